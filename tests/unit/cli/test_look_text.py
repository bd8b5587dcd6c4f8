"""How it reads: within the columns, safe whatever the names, and coloured only where wanted."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, cgroup, healthy, holder, process, seed_like, unit

from forestall.audit.look import look
from forestall.cli.look_text import grouped, render
from forestall.cli.style import Style
from forestall.model.finding import Holder

MIB = 1024**2
HOSTILE = "a) \x1b[31m\nR 1\u202e\U0001f600"

CONTAINER = healthy(
    container="docker", own_cgroups=(cgroup("/", max_bytes=512 * MIB, current_bytes=MIB),)
)


def hostile():
    """A host where everybody chose a name that could move a cursor."""
    unit_name = HOSTILE * 6 + ".service"
    bad = holder(HOSTILE, 900, 4 * GIB, 866, 0, unit_name)
    return seed_like(
        hostname=HOSTILE,
        os_name=HOSTILE,
        holders=(bad,),
        databases=(bad,),
        units=(unit(unit_name, main_pid=900, restart="no", fragment_path="/etc/" + HOSTILE),),
    )


@pytest.mark.parametrize("width", [72, 80, 100])
@pytest.mark.parametrize("facts", [healthy(), seed_like(), CONTAINER, hostile()])
def test_no_line_is_wider_than_the_terminal(facts, width):
    """A terminal of that many columns wraps nothing by itself."""
    lines = render(look(facts), Style(width=width)).splitlines()
    assert max(len(line) for line in lines) <= width


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_hostile_names_stay_text(encoding):
    """No control character, no direction mark and nothing the terminal cannot show gets out."""
    text = render(look(hostile()), Style(encoding=encoding))
    text.encode(encoding)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "\\x1b[31m\\nR 1" in text


def test_colour_only_where_wanted():
    """Without colour there is no escape at all; with it the text is the same."""
    plain = render(look(seed_like()), Style())
    colored = render(look(seed_like()), Style(color=True))
    assert "\x1b" not in plain
    assert "\x1b[1;31m" in colored
    for code in ("1;31", "31", "32", "33", "1", "0"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert colored == plain


def test_the_headline_comes_first():
    """At 03:05 the first thing below the host's name is what happens."""
    lines = render(look(seed_like()), Style()).splitlines()
    start = lines.index("WHEN MEMORY RUNS OUT")
    assert start <= 4
    assert lines[start + 1].startswith("  PANIC, not an OOM kill: vm.panic_on_oom=1; and it stays")


def test_sections_in_order():
    """What happens, what is left, who is unlimited, what stands between, what can be done."""
    text = render(look(seed_like()), Style())
    titles = [line for line in text.splitlines() if line.isupper() and not line.startswith(" ")]
    assert titles == [
        "WHEN MEMORY RUNS OUT",
        "HEADROOM",
        "SERVICES",
        "BETWEEN A LEAK AND THE DATABASE",
        "WHAT FORESTALL CAN SEE AND DO HERE",
        "FINDINGS",
        "NEXT",
    ]


def test_a_container_is_told_of_both_fates():
    """Its own limit first, then what the whole host would do."""
    text = render(look(CONTAINER), Style(width=100))
    assert "This container's limit of 512 MiB is reached first" in text
    assert "The whole host: the kernel kills ONE process" in text


def test_who_is_picked_and_whether_it_holds_most():
    """The reader is told when the largest holder is not the one that dies."""
    facts = healthy(
        holders=(
            holder("java", 5, 8 * GIB, 300, -500),
            holder("postgres", 6, 2 * GIB, 766, 0),
        ),
        databases=(holder("postgres", 6, 2 * GIB, 766, 0),),
    )
    text = render(look(facts), Style(width=100))
    sentence = "Picked first now, by score: postgres (pid 6), though java (pid 5) holds more."
    assert f"* is the database. {sentence}" in " ".join(text.split())
    assert "  * postgres" in text


def test_nobody_is_picked_by_a_panic():
    """Where the host panics, no victim is suggested."""
    assert "Nobody is picked here: the host panics." in render(look(seed_like()), Style())


def test_many_alike_are_one_row():
    """Thirty workers are one row with the largest of them, and the first pick has its own."""
    rows = grouped(
        (
            Holder(name="w", pid=1, memory_bytes=9, unit="u", first_pick=True),
            Holder(name="w", pid=2, memory_bytes=8, unit="u"),
            Holder(name="w", pid=3, memory_bytes=7, unit="u"),
            Holder(name="w", pid=4, memory_bytes=6, unit="other"),
        )
    )
    assert [(row.pid, count) for row, count in rows] == [(1, 1), (2, 2), (4, 1)]


def test_copied_files_show_no_uptime():
    """The uptime of files copied last year means nothing now."""
    seen = look(healthy(effective_uid=None))
    assert "from copied files" in render(seen, Style(), live=False)
    assert ", up " not in render(seen, Style(), live=False)
    assert ", up 7 d 16 h" in render(look(healthy()), Style(width=100))


def test_unlimited_services_are_cut_short_with_a_count():
    """A hundred services do not fill the screen, and the rest is counted."""
    units = tuple(
        unit(f"s{index:03}.service", main_pid=index, memory_current_bytes=index * MIB)
        for index in range(1, 101)
    )
    text = render(look(healthy(units=units)), Style())
    assert "and 94 more (all in --json)" in text
    assert text.count("  Restart=") + text.count("unknown\n") >= 6


def test_the_notes_are_one_line_each_without_a_remedy():
    """Grave findings say what to do; notes do not crowd them out."""
    text = render(look(seed_like()), Style(width=100))
    findings = text.partition("FINDINGS")[2]
    assert findings.count("do: ") == 8
    assert findings.count("\n  low ") == 2


def test_process_without_unit_or_score():
    """What was not read shows as a question mark or a dash, never as zero."""
    held = replace(holder("x", 5, GIB, None, None), process=process("x", 5, GIB))
    text = render(look(healthy(holders=(held,))), Style())
    row = next(line for line in text.splitlines() if line.startswith("    x "))
    assert row.split()[-2:] == ["?", "-"]
