"""How `forestall audit oom` reads: the headline first, then what it stands on."""

from collections.abc import Iterator

from forestall.audit.oom.account import Account, Ending, OomReport, Series
from forestall.audit.oom.nouns import Zone
from forestall.audit.oom.tally import Holder
from forestall.cli.style import BOLD, RED, YELLOW, Style, cut
from forestall.units import format_bytes

HOLDER_ROWS = 10
ZONE_ROWS = 12
SERIES_ROWS = 20
CACHE_ROWS = 5
BAR_WIDTH, BESIDE_BAR = 24, 47
NAME_WIDTH, NAME_LEAST, BESIDE_NAME = 34, 12, 46


def render(report: OomReport, style: Style, *, event: int | None = None) -> str:
    """The event that matters, or number `event`, and a line for each of the others."""
    number = report.chosen if event is None else event
    account = next((one for one in report.accounts if one.number == number), None)
    if account is None:
        sections = [_nothing(report, style)]
    else:
        sections = [
            _headline(report, account, style),
            _head(report, account, style),
            _ran_out(account, style),
            _parts(account, style),
            _holders(account, style),
            _ending(account, style),
            _unknown(account, style),
            _next(account, style),
        ]
    if report.events > 1:
        sections.append(_series(report, style))
    if report.notes:
        sections.append(_bullets("NOTES", report.notes, style))
    texts = ["\n".join(section) for section in sections]
    return "\n\n".join(text for text in texts if text) + "\n"


def _nothing(report: OomReport, style: Style) -> Iterator[str]:
    text = (
        f"{report.source}: no OOM kill, no refused allocation and no panic over memory in "
        f"{report.lines_read} line{'' if report.lines_read == 1 else 's'} "
        f"({report.form}, {format_bytes(report.bytes_read)})."
    )
    if report.kernel_from and report.kernel_until:
        text += (
            f" The kernel's messages in it reach from {report.kernel_from} to "
            f"{report.kernel_until}; before and after that it says nothing."
        )
    yield from style.wrapped(text)


def _head(report: OomReport, account: Account, style: Style) -> Iterator[str]:
    text = f"{report.source}: "
    if report.events == 1:
        text += "one event"
    else:
        which = f" ({report.why_chosen})" if account.number == report.chosen else ""
        text += f"{report.events} events; this is number {account.number}{which}"
    text += f", line {account.line}"
    if account.host:
        text += f", host {account.host}"
    if account.at:
        text += f", {account.at}"
    elif account.seconds is not None:
        text += f", {account.seconds:.6f} s after the kernel's start"
    if account.kernel:
        text += f", kernel {account.kernel}"
    yield from style.wrapped(text, first="  ", rest="  ")


def _headline(report: OomReport, account: Account, style: Style) -> Iterator[str]:
    color = f"{BOLD};{RED}" if account.ending is Ending.PANICKED else BOLD
    for line in style.wrapped(account.headline + _died_for_it(report, account)):
        yield style.paint(line, color)


def _died_for_it(report: OomReport, account: Account) -> str:
    """Others that the kernel killed before, while the same process held most."""
    culprit = next((one.name for one in account.culprits if one.kind.is_process), None)
    others = [
        kill.name
        for one in report.accounts
        if culprit is not None and one.number < account.number
        if [holder.name for holder in one.culprits] == [culprit]
        for kill in one.victims
        if kill.name != culprit
    ]
    if not others:
        return ""
    names = ", ".join(list(dict.fromkeys(others))[:3])
    return f" Before that it had killed {len(others)} others ({names}) while {culprit} held most."


def _ran_out(account: Account, style: Style) -> Iterator[str]:
    yield style.title("WHAT RAN OUT")
    what = account.ran_out.what
    yield from style.wrapped(f"{what[0].upper()}{what[1:]}.", first="  ", rest="  ")
    for text in account.ran_out.because:
        yield from style.wrapped(text, first="  - ", rest="    ")
    if account.invoker and account.order is not None and account.order >= 0:
        size = format_bytes(account.page_bytes << min(account.order, 20))
        text = f"{account.invoker} asked for {size}; who asks is not who holds."
        yield from style.wrapped(text, first="  - ", rest="    ")
    rows = [zone for zone in account.zones if zone.min_bytes is not None][:ZONE_ROWS]
    if rows:
        yield ""
        yield f"    {'zone':<16} {'free':>9} {'min':>9} {'low':>9} {'high':>9} {'of':>9}"
        for zone in rows:
            yield _zone_row(zone)


def _zone_row(zone: Zone) -> str:
    name = zone.name if zone.node is None else f"node {zone.node} {zone.name}"
    sizes = (zone.free_bytes, zone.min_bytes, zone.low_bytes, zone.high_bytes, zone.managed_bytes)
    cells = " ".join(f"{'?' if size is None else format_bytes(size):>9}" for size in sizes)
    return f"    {name:<16} {cells}"


def _parts(account: Account, style: Style) -> Iterator[str]:
    if not account.parts:
        return
    yield style.title("WHERE THE MEMORY IS")
    whole = sum(part.bytes for part in account.parts)
    width = max(0, min(BAR_WIDTH, style.width - BESIDE_BAR))
    for part in sorted(account.parts, key=lambda part: -part.bytes):
        share = part.bytes / whole
        bar = "#" * round(share * width)
        percent = f"{share:.0%}" if share >= 0.01 else "<1%"
        yield f"  {part.name:<28} {format_bytes(part.bytes):>9} {percent:>4}  {bar}".rstrip()
    if account.swap_total_bytes:
        free = account.swap_free_bytes
        used = "?" if free is None else format_bytes(account.swap_total_bytes - free)
        yield f"  {'swap in use':<28} {used:>9} of {format_bytes(account.swap_total_bytes)}"
    if account.caches:
        names = ", ".join(
            f"{cache.name} {format_bytes(cache.total_bytes)}"
            for cache in account.caches[:CACHE_ROWS]
        )
        yield from style.wrapped(f"The largest slab caches: {names}.", first="  ", rest="  ")


def _holders(account: Account, style: Style) -> Iterator[str]:
    yield style.title("WHO HOLDS IT")
    yield from style.wrapped(account.culprit, first="  ", rest="  ")
    rows = account.holders[:HOLDER_ROWS]
    if not rows:
        return
    dead = [holder.was_hit(account.victims) for holder in rows]
    yield ""
    width = _name_width(style)
    head = f"    {'':<{width}} {'pid':>8} {'holds':>9} {'share':>6} {'swap':>9}"
    yield f"{head} {'adj':>5}"
    for holder, hit in zip(rows, dead, strict=True):
        yield _holder_row(account, holder, style, dead=hit)
    left = account.tasks_seen - sum(one.count for one in rows if one.kind.is_process)
    marks = ["> holds most"] if account.culprits else []
    legend = ", ".join(marks + (["x was killed"] if any(dead) else [])) or "The largest first"
    if any(one.most_bytes is not None for one in rows):
        legend += "; processes of one name are one row, and what they share is counted once"
    if account.tasks_seen:
        legend += f". Processes in the kernel's table: {account.tasks_seen}"
        legend += f", {left} of them not shown." if left > 0 else "."
    else:
        legend += ". There is no table: what the victim held is from the line of its kill."
    yield from style.wrapped(legend, first="    ", rest="    ")


def _name_width(style: Style) -> int:
    return max(NAME_LEAST, min(NAME_WIDTH, style.width - BESIDE_NAME))


def _holder_row(account: Account, holder: Holder, style: Style, *, dead: bool) -> str:
    name = style.plain(holder.name) + (f" x{holder.count}" if holder.count > 1 else "")
    pid = str(holder.pid) if holder.kind.is_process and holder.pid is not None else "-"
    swap = format_bytes(holder.swap_bytes) if holder.swap_bytes else "-"
    share = "?"
    if holder.share is not None:
        share = f"{holder.share:.0%}" if holder.share >= 0.01 else "<1%"
    if holder.capped:
        share = "most"
    adjust = "-" if holder.oom_score_adjust is None else str(holder.oom_score_adjust)
    same = ((one.kind, one.name, one.pid) for one in account.culprits)
    blamed = (holder.kind, holder.name, holder.pid) in same
    marks = (">" if blamed else " ") + ("x" if dead else " ")
    width = _name_width(style)
    row = (
        f"{cut(name, width):<{width}} {pid:>8} {format_bytes(holder.bytes):>9} "
        f"{share:>6} {swap:>9} {adjust:>5}"
    )
    return f" {style.paint(marks, BOLD) if blamed else marks} {row}"


def _ending(account: Account, style: Style) -> Iterator[str]:
    if account.why_panic:
        yield style.title("WHY IT PANICKED")
        for text in account.why_panic:
            yield from style.wrapped(text, first="  - ", rest="    ")
    if account.why_victim:
        if account.why_panic:
            yield ""
        yield style.title("WHY THIS VICTIM")
        for text in account.why_victim:
            yield from style.wrapped(text, first="  - ", rest="    ")


def _unknown(account: Account, style: Style) -> Iterator[str]:
    return _bullets("WHAT THE LOG DOES NOT SAY", account.unknown, style, color=YELLOW)


def _next(account: Account, style: Style) -> Iterator[str]:
    return _bullets("NEXT", account.next_steps, style)


def _bullets(title: str, texts: tuple[str, ...], style: Style, *, color: str = "") -> Iterator[str]:
    if not texts:
        return
    yield style.paint(style.title(title), color)
    for text in texts:
        yield from style.wrapped(text, first="  - ", rest="    ")


def _series(report: OomReport, style: Style) -> Iterator[str]:
    yield style.title("ALL EVENTS")
    rows = report.series[-SERIES_ROWS:]
    if len(report.series) > len(rows):
        yield f"  the last {len(rows)} rows of {len(report.series)}"
    many_hosts = len({row.host for row in report.series}) > 1
    for row in rows:
        text = _series_text(row) + (f", on {row.host}" if many_hosts and row.host else "")
        yield from style.wrapped(text, first="  ", rest="      ")
    yield "  (--event N shows another one)"


def _series_text(row: Series) -> str:
    which = f"#{row.first}" if row.count == 1 else f"#{row.first}-{row.last}"
    did = {
        Ending.KILLED: f"killed {row.victim}",
        Ending.PANICKED: "PANICKED",
        Ending.REFUSED: "a request was refused",
        Ending.NOBODY_KILLED: "nobody could be killed",
        Ending.UNKNOWN: "how it ended is not said",
    }[row.ending]
    held = f"; {row.culprit} held most" if row.culprit and row.culprit != row.victim else ""
    where = f", in cgroup {row.cgroup}" if row.cgroup else ""
    at = f" {row.at}" if row.at else ""
    return f"{which}{at}: {did}{held}{where}"
