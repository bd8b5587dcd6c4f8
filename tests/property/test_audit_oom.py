"""Whatever happens to a log: no error, and nobody is blamed whom it does not name."""

import json

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.fakes import oom, oom_hosts
from tests.fakes.oom_logs import chosen, explain

from forestall.audit.oom.account import OomReport
from forestall.cli.audit_oom_text import render
from forestall.cli.style import Style
from forestall.errors import InputError
from forestall.model.codec import from_document, to_document

MACHINES = [machine for machine, _, _ in oom_hosts.BLAMED.values()]
REPORTS = [oom.report(machine) for machine in MACHINES] + [
    oom.report(oom_hosts.incident(), panic="Out of memory: system-wide panic_on_oom is enabled"),
    oom.report(oom_hosts.lowmem()),
    oom.report(oom_hosts.fragmented()),
    oom_hosts.docker_el7(),
    oom_hosts.pod_el8_dirty(),
]
LOGS = [
    form(lines).encode()
    for lines in REPORTS
    if len(lines) < 120
    for form in (oom.stamped, oom.syslog, oom.console, oom.journal_json)
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A log with lines lost, cut, swapped and bytes overwritten."""
    data = bytearray(draw(st.sampled_from(LOGS)))
    lines = bytes(data).split(b"\n")
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "cut", "double", "swap"])):
            case "drop":
                del lines[at : at + draw(st.integers(1, 20))]
                lines = lines or [b""]
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, 80))]
            case "double":
                lines.insert(at, lines[at])
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
    data = bytearray(b"\n".join(lines))
    for _ in range(draw(st.integers(0, 8))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@settings(max_examples=150, deadline=None)
@given(damaged())
def test_a_damaged_log_blames_nobody_it_does_not_name(data):
    """Lines may be lost, cut or overwritten: what is told stands in the log, and is plain text."""
    try:
        report = explain(data)
    except InputError:
        # Nothing of the log is left, and that is no all-clear.
        return
    text = data.decode("utf-8", "replace")
    # A name may be split over a JSON list of bytes, or hold an escape that is taken off.
    plain = text if not text.lstrip().startswith("{") else _json_text(data)
    for account in report.accounts:
        named = [one.name for one in account.culprits if one.kind.is_process]
        named += [kill.name for kill in account.victims]
        for name in named:
            assert name in plain or "\x1b" in plain or "\x00" in plain
    shown = render(report, Style(width=80))
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert from_document(OomReport, json.loads(json.dumps(to_document(report)))) == report


def _json_text(data: bytes) -> str:
    found = []
    for line in data.split(b"\n"):
        try:
            message = json.loads(line).get("MESSAGE", "")
        except (ValueError, AttributeError):
            continue
        if isinstance(message, list):
            message = bytes(b for b in message if isinstance(b, int) and 0 <= b < 256).decode(
                "utf-8", "replace"
            )
        found.append(str(message))
    return "\n".join(found)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=600), st.sampled_from(LOGS))
def test_any_bytes_before_a_report_leave_it_told(noise, log):
    """What a console printed before does not hide the report after it."""
    # Its first bytes say what kind of file it is; that of a console begins with text.
    assume(b"__REALTIME_TIMESTAMP=" not in noise)
    text = log if not log.startswith(b"{") else LOGS[0]
    assert explain(b"login: " + noise + b"\n" + text).events >= 1


sizes = st.integers(1_000, 3_000_000)


@settings(max_examples=100, deadline=None)
@given(
    era=st.sampled_from(oom.ERAS),
    leak=sizes,
    tmpfs=sizes,
    slab=sizes,
    shared=st.integers(1_000, 400_000),
    backends=st.integers(1, 40),
    swap=st.integers(0, 400_000),
    adjust=st.sampled_from([-900, -100, 0, 300]),
)
def test_who_holds_most_is_blamed(era, leak, tmpfs, slab, shared, backends, swap, adjust):
    """On machines whose every page has an owner, the blamed one is the owner of the most."""
    machine = oom.Machine(
        era=era,
        zones=((0, "DMA32", 700_000), (0, "Normal", 9_000_000)),
        procs=(
            *oom_hosts.small(era),
            oom.Proc(5000, "leak", leak, swap=swap, adjust=adjust),
            *oom_hosts.postgres(backends, 2_000, shared),
        ),
        shared=shared,
        tmpfs=tmpfs,
        slab=slab,
        swap_total=swap + 100,
        swap_free=100,
    )
    assume(machine.unnamed >= 0)
    # What is left over is page cache, so that nothing is without a name.
    machine = oom.Machine(**{**_fields(machine), "cache": machine.unnamed + 500})
    # 2.6.32 prints no swap of a process, so there the log knows less than we do.
    seen_swap = 0 if era == "2.6.32" else swap
    owned = {
        "leak": leak + seen_swap,
        "files in tmpfs, and shared memory": tmpfs,
        "unreclaimable slab": slab,
        "page cache": machine.cache,
        "postgres": backends * 2_000 + shared,
    }
    first, second = sorted(owned, key=lambda name: -owned[name])[:2]
    assume(owned[first] > 1.5 * owned[second])
    assume(owned[first] > 0.25 * (machine.managed + swap))
    account = chosen(explain(oom.stamped(oom.report(machine))))
    assert account.culprits[0].name == first


def _fields(machine: oom.Machine) -> dict[str, object]:
    import dataclasses

    return {f.name: getattr(machine, f.name) for f in dataclasses.fields(machine)}
