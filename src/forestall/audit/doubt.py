"""What a host's facts leave open, and what of a verdict is left whichever way it is.

Some things are told by a sign that most hosts do not have: a container's, a kubelet's, a live
patch's. In half a report no sign is no answer. A rule whose state hangs on such a thing is UNKNOWN
there; one that says the same either way is as sure as ever. So no rule needs to ask whether the
absence of a sign was itself seen.

Other things are told by a list, and a list that was cut (more units than the limit, processes that
are hidden) may lack just what a rule looks for: it can accuse and does not acquit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from forestall.audit import holders as held
from forestall.audit.posture import Posture
from forestall.audit.rule import Judgement, Rule, unknown
from forestall.model.facts import HolderFacts, HostFacts, SwapDevice, UnitFacts
from forestall.model.finding import FindingState, Severity
from forestall.model.sample import ProcessKey, ProcessSample

Judge = Callable[[Rule, Posture], Judgement]


class Open(NamedTuple):
    """One thing that may be otherwise: the field, `otherwise` its other value, what it is about.

    `asked_by` is how the ids of the rules begin that look at it: judging all of them again would
    double what a fleet costs of which Prometheus tells, and that never tells of kubelets.
    """

    field: str
    otherwise: Any
    question: str
    asked_by: tuple[str, ...] = ("",)


_BY_SIGN = (
    Open("container", "unknown", "this is a container"),
    Open("virtualization", "unknown hypervisor", "this is a virtual machine"),
    Open("baseline", "stig", "a hardening baseline orders otherwise here"),
    Open("extended_support", "e4s", "maintenance was paid for"),
)
"""None where there is no sign, which `unseen` tells from signs that nobody could look for."""

BY_LIST = (
    Open("kubernetes", True, "a kubelet runs here", ("KRN-005", "OVC-", "PAN-003", "SWP-")),
    Open("livepatches", ("unknown",), "the kernel is livepatched", ("KRN-",)),
)
"""None where nobody could tell."""


def _database_of(unit: UnitFacts) -> HolderFacts:
    """A database that runs in `unit`."""
    key = ProcessKey(boot_id="", pid=unit.main_pid or 0, start_ticks=0)
    return HolderFacts(process=ProcessSample(key=key, name="database", rss_bytes=0, unit=unit.name))


def settled(
    host: Posture,
    rules: Sequence[Rule],
    judged: Sequence[Judgement],
    judge: Judge = lambda rule, host: rule.judge(host),
) -> Sequence[Judgement]:
    """`judged`, what `rules` say of the host, less what hangs on a thing that was not seen."""
    settled = list(judged)
    cut = _not_whole(host.facts)
    if cut:
        settled = [_by_all_of_it(cut, *one) for one in zip(rules, settled, strict=True)]
    for one in _open(host):
        changes: dict[str, Any] = {one.field: one.otherwise}
        other = Posture(replace(host.facts, **changes), host.terms)
        for index, rule in enumerate(rules):
            said = settled[index]
            if said.state is not FindingState.UNKNOWN and rule.id.startswith(one.asked_by):
                settled[index] = _either(host.facts, one, said, rule, judge(rule, other))
    return settled


def _not_whole(facts: HostFacts) -> dict[str, str]:
    """The lists that have a reason why they are not all there is."""
    unseen = facts.unseen.items()
    return {field: why for field, why in unseen if isinstance(getattr(facts, field, None), tuple)}


def _by_all_of_it(cut: Mapping[str, str], rule: Rule, said: Judgement) -> Judgement:
    """A PASS only by what was seen whole."""
    if said.state is FindingState.PASS:
        for pointer in rule.reads:
            field = pointer.split("/", 2)[1]
            if field in cut:
                return unknown(f"Nothing was found in what was seen: {cut[field]}.", pointer)
    return said


def _open(host: Posture) -> Iterator[Open]:
    """What is open of this host, one after the other; of most hosts nothing."""
    facts = host.facts
    for one in _BY_SIGN if facts.unseen else ():
        stated = one.field == "baseline" and host.terms.baseline is not None
        if one.field in facts.unseen and getattr(facts, one.field) is None and not stated:
            yield one
    if host.kubernetes is None:
        yield BY_LIST[0]
    if facts.livepatches is None and not facts.effective_release:
        yield BY_LIST[1]
    if facts.swaps is None and facts.memory.swap_total_bytes:
        zram = SwapDevice(
            name="/dev/zram0", kind="zram", size_bytes=facts.memory.swap_total_bytes, used_bytes=0
        )
        yield Open("swaps", (zram,), "swap is itself kept in memory (zram)")
    if facts.databases is None and host.own_units:
        served = tuple(_database_of(unit) for unit in host.own_units)
        yield Open("databases", served, "a service of the site's own is its database")
    for other in held.perhaps_larger(facts):
        yield Open("databases", (other,), f"{other.process.name} is the largest database")


def _either(
    facts: HostFacts, one: Open, said: Judgement, rule: Rule, otherwise: Judgement
) -> Judgement:
    """What is left of two verdicts: the first where both are in one state, else UNKNOWN."""
    if said.state is otherwise.state:
        return said
    why = facts.unseen.get(one.field, "it was not seen")
    asked = unknown(
        f"Whether {one.question} is unknown, and it decides here: {why}.",
        remedy="read that too: from the host itself, or with more rights",
    )
    return replace(asked, severity=_gravest(rule, said, otherwise))


def _gravest(rule: Rule, *told: Judgement) -> Severity | None:
    """A doubt is as grave as the finding it may be."""
    failed = [one.severity or rule.severity for one in told if one.state is FindingState.FAIL]
    return min(failed, key=tuple(Severity).index, default=None)
