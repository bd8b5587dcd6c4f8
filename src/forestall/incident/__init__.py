"""Stage 5: events and evidence -> Incident -> Review.

The agent's spool is read into one append-only timeline per incident; the state of an incident
is the fold of its timeline, and its review is composed from facts found in evidence bundles.
"""
