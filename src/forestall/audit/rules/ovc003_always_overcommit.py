"""No request for memory is ever refused, however absurd.

With vm.overcommit_memory=1 a program that asks for a terabyte by mistake gets the promise, and the
first sign of trouble is the OOM killer. Some ask for it: Redis and its kin, because saving to disk
forks the whole process, MongoDB from 8.0 on for its allocator, and a kubelet, which sets it on its
node. Elsewhere it is usually left over from a guide.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity

ASK_FOR_IT = ("redis-server", "valkey-server", "keydb-server", "mongod")

NOT_READ = unknown("vm.overcommit_memory could not be read.")
ASKED_FOR = not_applicable("The database here asks for vm.overcommit_memory=1.")
ON_NODE = not_applicable("A kubelet sets vm.overcommit_memory=1 on its node.")
IN_CONTAINER = not_applicable("The setting is the host's, not this container's.")


def judge(host: Posture) -> Judgement:
    """0 refuses the absurd alone, 2 whatever is above a limit."""
    mode = host.number("vm.overcommit_memory")
    if mode == 0:
        return PASS
    if mode is None:
        return NOT_READ
    if mode != 1:
        return PASS
    if host.facts.container:
        return IN_CONTAINER
    if host.kubernetes:
        return ON_NODE
    if host.runs(*ASK_FOR_IT):
        return ASKED_FOR
    if any(one.process.name in ASK_FOR_IT for one in host.facts.holders):
        return ASKED_FOR
    if host.facts.databases is None or host.facts.hidden_processes:
        return unknown(
            "vm.overcommit_memory=1, and whether a program here asks for it could not be seen."
        )
    return fail("No request for memory is ever refused (vm.overcommit_memory=1), however absurd.")


RULE = Rule(
    id="OVC-003",
    title="memory never refused",
    severity=Severity.MEDIUM,
    reads=("/sysctls/vm.overcommit_memory",),
    expected="vm.overcommit_memory=0, or 2 on a host for PostgreSQL alone",
    remedy="sysctl -w vm.overcommit_memory=0, unless a program here asks for 1, and look for the "
    "line that sets it below /etc/sysctl.d/",
    undo="sysctl -w vm.overcommit_memory=1",
    cost=Cost.NONE,
    reference="kernel documentation, mm/overcommit-accounting.rst",
    judge=judge,
)
