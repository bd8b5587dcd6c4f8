"""The rules, by what they look at: each a pure function HostFacts -> Finding, or None.

None = the rule is satisfied or does not apply. Missing evidence is a Finding of state UNKNOWN.
"""
