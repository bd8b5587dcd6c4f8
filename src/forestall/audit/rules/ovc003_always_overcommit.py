"""No request for memory is ever refused, however absurd.

With vm.overcommit_memory=1 a program that asks for a terabyte by mistake gets the promise, and the
first sign of trouble is the OOM killer. Redis and its kin ask for it, because saving to disk forks
the whole process.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity

ASK_FOR_IT = ("redis-server", "valkey-server")


def judge(host: Posture) -> Judgement:
    """0 refuses the absurd alone, 2 whatever is above a limit."""
    mode = host.number("vm.overcommit_memory")
    if mode is None:
        return unknown("vm.overcommit_memory could not be read.")
    if mode != 1:
        return PASS
    if host.runs(*ASK_FOR_IT):
        return not_applicable("The database here asks for vm.overcommit_memory=1.")
    return fail("No request for memory is ever refused (vm.overcommit_memory=1), however absurd.")


RULE = Rule(
    id="OVC-003",
    title="memory never refused",
    severity=Severity.LOW,
    reads=("/sysctls/vm.overcommit_memory",),
    expected="vm.overcommit_memory=0, or 2 on a host for PostgreSQL alone",
    remedy="sysctl -w vm.overcommit_memory=0, unless a program here asks for 1",
    undo="sysctl -w vm.overcommit_memory=1",
    cost=Cost.NONE,
    reference="kernel documentation, mm/overcommit-accounting.rst",
    judge=judge,
)
