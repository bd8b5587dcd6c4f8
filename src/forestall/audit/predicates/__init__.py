"""Questions over the facts of hosts, answered yes, no or unknown.

    all host where role=db: swap_total_bytes >= 16GiB

A predicate is parsed once and decided over any number of hosts; nothing here reads a host or a
clock, so follow-ups can be closed by the same text that a person tried on the command line.
docs/reference/audit-check.md describes the language.
"""

from forestall.audit.predicates.deciding import Checked, Reason, evaluate
from forestall.audit.predicates.grammar import Predicate
from forestall.audit.predicates.parsing import PredicateError, parse

__all__ = ["Checked", "Predicate", "PredicateError", "Reason", "evaluate", "parse"]
