"""Which parts of the tables a run was judged by, so that only those are called stale."""

from forestall.audit.exposure import subject
from forestall.audit.posture import Posture
from forestall.audit.rule import Rule
from forestall.audit.systems import system_of

BY_LIFE_CYCLE = frozenset({"KRN-001"})
BY_KERNEL = frozenset({"KRN-002", "KRN-003", "KRN-005"})


class Used:
    """Products whose life cycles, and majors of Enterprise Linux whose kernels, were asked."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        chosen = {rule.id for rule in rules}
        self._cycles = not BY_LIFE_CYCLE.isdisjoint(chosen)
        self._kernels = not BY_KERNEL.isdisjoint(chosen)
        self.products: set[str] = set()
        self.majors: set[int] = set()

    def add(self, host: Posture | None) -> None:
        """Count one host in; None = it could not be read."""
        if host is None:
            return
        facts = host.facts
        if self._cycles:
            product = system_of(facts.os_id, facts.os_version_id, facts.os_name).product
            if product is not None:
                self.products.add(product)
        if self._kernels:
            kernel = subject(host).kernel
            if kernel is not None and kernel.el_major is not None:
                self.majors.add(kernel.el_major)
