"""How `forestall look` reads: plain text for a person at 03:05, from a Look alone."""

import time
from collections.abc import Iterable, Iterator

from forestall.cli.style import BOLD, GREEN, RED, YELLOW, Style, cut
from forestall.model.finding import Answer, Finding, Holder, Look, Outcome, Point, Service, Severity
from forestall.units import format_bytes, format_duration

HOLDER_ROWS = 6
SERVICE_ROWS = 6
BAR_WIDTH = 40
NAME_WIDTH = 15

MARKS = {Answer.YES: ("yes", GREEN), Answer.NO: ("NO", RED), Answer.UNKNOWN: ("?", YELLOW)}
SEVERITY_COLORS = {Severity.CRITICAL: RED, Severity.HIGH: YELLOW}


def render(seen: Look, style: Style, *, live: bool = True) -> str:
    """The whole report. `live` = the facts are of this host now, so its uptime means something."""
    sections = (
        _head(seen, style, live=live),
        _outcome(seen, style),
        _headroom(seen, style),
        _services(seen, style),
        _between(seen, style),
        _abilities(seen, style),
        _findings(seen, style),
        _next(seen, style),
    )
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _head(seen: Look, style: Style, *, live: bool) -> Iterator[str]:
    facts = seen.facts
    system = facts.os_name or facts.os_id or "unknown system"
    kernel = f"kernel {facts.kernel_release}" if facts.kernel_release else "kernel unknown"
    parts = [f"{facts.hostname}: {system}", kernel]
    if facts.container:
        parts.append(f"in a container ({facts.container})")
    elif facts.virtualization:
        parts.append(f"virtual machine ({facts.virtualization})")
    if live and facts.booted_at is not None and not facts.container:
        parts.append(f"up {format_duration(max(0.0, facts.at - facts.booted_at))}")
    yield from style.wrapped(", ".join(parts))
    when = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(seen.at))
    rights = {0: "as root", None: "from copied files"}.get(facts.effective_uid, "without root")
    yield from style.wrapped(f"read {when}, {rights}; nothing was changed")


def _outcome(seen: Look, style: Style) -> Iterator[str]:
    found = seen.exhaustion
    yield style.title("WHEN MEMORY RUNS OUT")
    yield from _headline(style, found.headline, found.outcome)
    if found.host_headline != found.headline:
        whole = found.host_headline.replace("The kernel", "the kernel", 1)
        yield from _headline(style, f"The whole host: {whole}", found.host_outcome)
    yield ""
    for reason in found.because:
        yield from style.wrapped(reason.text, first="  - ", rest="    ")


def _headline(style: Style, text: str, outcome: Outcome) -> Iterator[str]:
    color = BOLD
    if outcome.takes_host_down:
        color = f"{BOLD};{RED}"
    for line in style.wrapped(f"{text}.", first="  ", rest="  "):
        yield style.paint(line, color)


def _headroom(seen: Look, style: Style) -> Iterator[str]:
    room = seen.headroom
    yield style.title("HEADROOM")
    yield from style.wrapped(room.text, first="  ", rest="  ")
    if room.left_bytes is not None and room.total_bytes:
        used = 1 - min(1.0, room.left_bytes / room.total_bytes)
        filled = round(used * BAR_WIDTH)
        color = RED if used > 0.9 else YELLOW if used > 0.75 else GREEN
        bar = style.paint("#" * filled, color) + "." * (BAR_WIDTH - filled)
        yield f"  [{bar}] {used:.0%} used"
    rows = grouped(room.holders)[:HOLDER_ROWS]
    if not rows:
        return
    yield ""
    head = f"    {'who holds it':<{NAME_WIDTH + 5}}{'pid':>8} {'RSS+swap':>9} {'share':>6}"
    yield f"{head} {'OOM score':>10}  unit"
    for holder, count in rows:
        yield _holder_row(style, holder, count)
    legend = "* is the database. " if any(holder.database for holder, _ in rows) else ""
    yield from style.wrapped(legend + _picked_text(seen), first="    ", rest="    ")


def _picked_text(seen: Look) -> str:
    """Who is killed first, said in terms of the table above it."""
    found = seen.exhaustion
    never = [holder for holder in seen.headroom.holders if holder.killable is False]
    exempt = "".join(f" Never killed: {holder.name} (pid {holder.pid})." for holder in never[:2])
    if found.outcome is Outcome.PANIC:
        return "Nobody is picked here: the host panics." + exempt
    if found.victim is None and found.outcome is Outcome.CGROUP_KILL:
        return "No other process is seen below that limit." + exempt
    if found.victim is None:
        return "Who is picked cannot be told." + exempt
    who = f"{found.victim.name} (pid {found.victim.pid})"
    largest = max(seen.headroom.holders, key=lambda holder: holder.memory_bytes)
    most = "and it holds most"
    if largest.pid != found.victim.pid:
        most = f"though {largest.name} (pid {largest.pid}) holds more"
    return f"Picked first now, by score: {who}, {most}." + exempt


def grouped(holders: Iterable[Holder]) -> list[tuple[Holder, int]]:
    """Processes of one name and unit as one row: the largest, and how many there are.

    Their sizes are not added, because they may share most of it. The one that would be killed
    first keeps a row of its own.
    """
    rows: dict[tuple[str, str | None, bool], tuple[Holder, int]] = {}
    for holder in holders:
        key = (holder.name, holder.unit, holder.first_pick)
        largest, count = rows.get(key, (holder, 0))
        rows[key] = (largest, count + 1)
    return list(rows.values())


def _holder_row(style: Style, holder: Holder, count: int) -> str:
    name = cut(style.plain(holder.name), NAME_WIDTH) + (f" x{count}" if count > 1 else "")
    share = "?" if holder.share is None else _percent(holder.share)
    score = "?" if holder.oom_score is None else str(holder.oom_score)
    sign = style.paint("*", BOLD) if holder.database else " "
    left = (
        f"{name:<{NAME_WIDTH + 5}}{holder.pid:>8} {format_bytes(holder.memory_bytes):>9} "
        f"{share:>6} {score:>10}  "
    )
    unit = style.plain(holder.unit or "-").removesuffix(".service")
    return f"  {sign} {left}{cut(unit, style.width - len(left) - 4)}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def _services(seen: Look, style: Style) -> Iterator[str]:
    yield style.title("SERVICES")
    yield from style.wrapped(seen.services_text, first="  ", rest="  ")
    rows = [service for service in seen.services if not service.limited]
    known = [service for service in rows if service.own or service.memory_bytes]
    shown = known[:SERVICE_ROWS]
    if not shown:
        return
    yield ""
    name_width = max(20, style.width - 38)
    yield f"  {'no limit of its own':<{name_width}} {'memory':>9}  after a kill"
    for service in shown:
        yield _service_row(style, service, name_width)
    if len(rows) > len(shown):
        yield f"  and {len(rows) - len(shown)} more (all in --json)"


def _service_row(style: Style, service: Service, name_width: int) -> str:
    name = cut(style.plain(service.name), name_width)
    memory = "?" if service.memory_bytes is None else format_bytes(service.memory_bytes)
    restart = service.restart
    after = {
        None: "unknown",
        "no": style.paint("stays dead (Restart=no)", YELLOW),
    }.get(restart, f"Restart={restart}")
    return f"  {name:<{name_width}} {memory:>9}  {after}"


def _between(seen: Look, style: Style) -> Iterator[str]:
    whom = "THE DATABASE" if seen.facts.databases else "THE REST OF THE HOST"
    yield style.title(f"BETWEEN A LEAK AND {whom}")
    yield from style.wrapped(seen.protected, first="  ", rest="  ")
    yield ""
    yield from _points(style, seen.between)


def _abilities(seen: Look, style: Style) -> Iterator[str]:
    yield style.title("WHAT FORESTALL CAN SEE AND DO HERE")
    yield from _points(style, seen.abilities)


def _points(style: Style, points: tuple[Point, ...]) -> Iterator[str]:
    indent = " " * 22
    for point in points:
        mark, color = MARKS[point.answer]
        lines = list(style.wrapped(point.text, first=indent, rest=indent))
        head = f"  {style.paint(f'{mark:>3}', color)}  {point.name:<15}"
        yield head + lines[0][len(indent) :]
        yield from lines[1:]
        if point.remedy:
            yield from style.wrapped(point.remedy, first=f"{indent}more: ", rest=f"{indent}      ")


def _findings(seen: Look, style: Style) -> Iterator[str]:
    yield style.title("FINDINGS")
    if not seen.findings:
        yield "  none"
    for finding in seen.findings:
        yield from _finding(style, finding)


def _finding(style: Style, finding: Finding) -> Iterator[str]:
    label = f"{finding.severity.value:<8} {finding.rule}"
    indent = " " * (len(label) + 4)
    lines = list(style.wrapped(finding.text, first=indent, rest=indent))
    color = SEVERITY_COLORS.get(finding.severity, "")
    yield f"  {style.paint(label, color)}  {lines[0][len(indent) :]}"
    yield from lines[1:]
    if finding.severity is not Severity.LOW:
        yield from style.wrapped(finding.remedy, first=f"{indent}do: ", rest=f"{indent}    ")


def _next(seen: Look, style: Style) -> Iterator[str]:
    yield style.title("NEXT")
    yield from style.wrapped(seen.next_step, first="  ", rest="  ")
