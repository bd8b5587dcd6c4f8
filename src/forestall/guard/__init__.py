"""Stage 3: Verdict -> Plan -> Outcome. Decides in a pure function, acts in one place, and says why.

policy     the shipped thresholds, and what a decision must know
decision   `decide`: what to do about a verdict (pure); refusals and words are its sentences
history    the fold of past plans and their outcomes that `decide` looks at
recipe     how a service is brought back: systemd, a given command, or a signal
protect    who is never touched, and the look at the live process before it is
executor   the only place that acts: journals, re-checks, acts, verifies, journals
ledger     what was decided and what came of it, on disk
actions/   one file for each kind of action
"""
