"""The report of a drill: what happened under each guard, who was to blame, and why a host dies."""

from collections.abc import Sequence
from dataclasses import dataclass

from drills.panic.findings import Finding
from forestall.units import MIB, format_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What was the same for every guard, and what the numbers were taken on."""

    date: str
    machine: str
    load_before: float
    load_after: float
    qemu: str
    accelerator: str
    kernel: str
    python: str
    memory_bytes: int
    leak_bytes_per_second: float
    healthy_seconds: float
    total_seconds: float


WHY = """\
## Why the host panicked instead of killing one process

Because it was told to. `vm.panic_on_oom=1` makes the kernel panic when the host as a whole has run
out of memory; with 0, the default, its OOM killer would have ended one process and gone on. A
setting of 1 is often inherited from a cluster's or a database's tuning guide, where a dead node
that fails over is preferred to a live one that lost any process. The review that this drill is
taken from names the leak and the panic, and never this setting, which is what joins the two.
`forestall look` reads it on your host and says which of the two would happen.

Two things follow. With 1 a limit of a cgroup still helps: reaching it ends a process of that cgroup
and does not panic (only 2 panics there too). And whatever acts must act before memory has ended.
"""


def write(conditions: Conditions, findings: Sequence[Finding]) -> str:
    """The whole report, as Markdown."""
    parts = [
        "# Drill: a kernel panics\n",
        _conditions(conditions),
        _table(findings),
        *(_details(one) for one in findings),
        _names(findings),
        WHY,
        _limits(conditions),
    ]
    return "\n".join(part for part in parts if part)


def _conditions(c: Conditions) -> str:
    how = "plain emulation (TCG)" if c.accelerator == "tcg" else "KVM"
    rows = [f"{c.date}, {c.machine}; load average {c.load_before:.2f}, then {c.load_after:.2f}."]
    rows.append(
        f"{c.qemu}, {how}, one processor, {format_bytes(c.memory_bytes)}; Linux {c.kernel}, "
        f"Python {c.python}, no swap."
    )
    rows.append(
        f"The service leaks {c.leak_bytes_per_second / MIB:g} MiB/s from its first second, beside "
        "`postgres`, a stand-in whose four processes take and give back 4 MiB ten times a second "
        "(it is not PostgreSQL). Both, their pace and the memory are the same under every guard."
    )
    rows.append(
        "Guards run with the thresholds they ship with. forestall is told what an owner would "
        "tell it: which service it may restart, and how."
    )
    rows.append(
        f"After the service was first recycled, the guest was watched for {c.healthy_seconds:g} s. "
        f"The whole drill took {c.total_seconds:.0f} s."
    )
    return "\n".join(f"- {row}" for row in rows) + "\n"


def _table(findings: Sequence[Finding]) -> str:
    head = "| guard | outcome | seconds | longest gap of the database | evidence | culprit |\n"
    head += "|---|---|---|---|---|---|\n"
    rows = []
    for one in findings:
        gap = one.run.longest_gap_seconds
        evidence = f"bundle, {one.verified}" if one.evidence else "none"
        rows.append(
            f"| {one.guard} | {one.outcome} | {_seconds(one.run.seconds)} "
            f"| {'for ever' if one.run.panicked else _seconds(gap)} | {evidence} "
            f"| {one.culprit or 'unknown'} ({one.culprit_by or 'nobody says'}) |\n"
        )
    note = (
        "\nSeconds: from the service's first request to the panic, or to the end of the leaking "
        "process, on the guest's clock. The culprit is followed by who names it.\n"
    )
    return head + "".join(rows) + note


def _details(one: Finding) -> str:
    run = one.run
    lines = [f"## {one.guard}\n"]
    if run.panic is not None:
        lines.append(f"- Panic at {run.panic.at:.2f} s of the guest's uptime: {run.panic.why}.")
        lines.append(f"- Kernel's memory: `{run.vmcore}`.")
    began, host = run.host_seconds.get("serving"), run.host_seconds
    ended = host.get("panic" if run.panicked else "ended")
    if began is not None and ended is not None:
        lines.append(f"- By this host's clock: {ended - began:.2f} s.")
    starts = [event for event in run.all("started") if event.get("name") == "inventory-sync"]
    lines.append(f"- inventory-sync was started {len(starts)} times.")
    if one.guard != "none":
        rss = [e.get("guard_rss") for e in run.all("beat")]
        known = [value for value in rss if isinstance(value, int)]
        if known:
            lines.append(f"- The guard's own memory was at most {format_bytes(max(known))}.")
    if one.evidence is not None:
        lines.append(f"- Evidence: `{one.evidence}` ({one.verified}).")
        lines += [f"- Not in it: {sentence}" for sentence in one.not_kept]
    elif one.guard != "none":
        lines.append("- It left no evidence of what held the memory.")
    lines += [f"- {act}" for act in one.acts]
    lines.append(f"- All files of this run: `{run.folder}`.")
    return "\n".join(lines) + "\n"


def _names(findings: Sequence[Finding]) -> str:
    one = next((finding for finding in findings if finding.run.panic is not None), None)
    if one is None or one.run.panic is None:
        return ""
    panic = one.run.panic
    lines = [
        "## Who was to blame\n",
        f"- The panic's log opens with `{panic.invoked_by} invoked oom-killer`. That is who asked "
        "for memory when none was left, and no more: "
        + (
            "the wrong process."
            if panic.invoked_by != "inventory-sync"
            else "this time the leaking process itself; another run may name an innocent one."
        ),
    ]
    if panic.largest is not None:
        lines.append(
            f"- The task table further down in the same log (vm.oom_dump_tasks=1) shows who held "
            f"most: `{panic.largest.name}`, {format_bytes(panic.largest.rss_bytes)}."
        )
    if one.named is not None:
        named = one.named
        lines.append(
            f"- drgn, from the kernel's memory: `{named.name}` (process {named.pid}, cgroup "
            f"`{named.cgroup}`) held {format_bytes(named.rss_bytes)}, {named.share:.0%} of all "
            f"memory; its command was `{named.command}`. The panic was raised in "
            f"`{named.panicked_in}`: {' <- '.join(named.stack[:8])}."
        )
    else:
        lines.append(f"- drgn was not asked. {one.unnamed}")
    return "\n".join(lines) + "\n"


def _limits(conditions: Conditions) -> str:
    slow = (
        "The emulated processor counts a nanosecond per instruction, and idle time is passed over: "
        "the guest's clock is the same on a busy machine, and its seconds are not this host's. It "
        "is about as fast as a small, old server. "
        if conditions.accelerator == "tcg"
        else ""
    )
    return (
        "## What this drill does not show\n\n"
        f"{slow}One run per guard. The leak is much faster than the incident's, which took days, "
        "so that the drill ends within a minute; a slower leak leaves a guard more time. The "
        "service leaks on after each restart: a guard that restarts it twice and then holds it is "
        "seen whole with `--healthy 120`. The guest's root lies in memory and there is no page "
        "cache to thrash, so it panics at once where a real host may first stand still.\n"
    )


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} s"
