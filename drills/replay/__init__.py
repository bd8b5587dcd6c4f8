"""The seed incident replayed: what `drills/two-hours-forty/run.py` runs.

timeline   the seed's times on a scaled clock          (pure)
flow       orders, clients' rule, penalties            (pure, but for placing the orders)
stage      one run of one guard: machine, cluster, inventory, load, leak, people
guards     how each guard is started, and when it named the culprit
figures    what a run left behind -> one row of the table
report     the table, the plots and report.md
review     the incident and its review, from the guard's own evidence
"""
