"""Every host under tests/data/hosts, and what look must say of it."""

from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.host import recorded_host

from forestall.audit.look import look
from forestall.cli.look_text import render
from forestall.cli.style import Style
from forestall.model.codec import from_document, to_document
from forestall.model.finding import Look, Outcome
from forestall.sense.facts import read_facts

HOSTS = Path(__file__).parents[1] / "data" / "hosts"
NOVEMBER_2024 = 1_731_661_500.0

EXPECTED = {
    "rhel7-db": (
        Outcome.PANIC,
        (
            "PANIC, not an OOM kill: vm.panic_on_oom=1; and it stays down: kernel.panic=0; "
            "no dump: kdump not armed"
        ),
        [
            "PAN-001",
            "LIM-001",
            "PAN-002",
            "KDP-001",
            "SWP-002",
            "SVC-001",
            "PAN-003",
            "KRN-001",
            "KRN-002",
        ],
    ),
    "laptop-zram": (
        Outcome.KILL,
        (
            "The kernel kills ONE process and the host goes on: vm.panic_on_oom=0; "
            "as things stand Isolated Web Co (pid 3120)"
        ),
        ["SWP-005", "LIM-001", "PAN-002", "KDP-001"],
    ),
    "container-v2": (
        Outcome.CGROUP_KILL,
        (
            "This container's limit of 512 MiB is reached first: the kernel kills ONE process "
            "inside it, and the host goes on; as things stand gunicorn (pid 8)"
        ),
        [],
    ),
    "vm-hybrid": (
        Outcome.CGROUP_KILL,
        (
            "At the limit of 256 MiB on cgroup /feed-sync the kernel kills ONE process inside it, "
            "and the host goes on; as things stand python3.11 (pid 16693)"
        ),
        ["SWP-005"],
    ),
}


def seen_of(name):
    """The Look of a recorded host, as of November 2024."""
    return look(read_facts(recorded_host(HOSTS / name), FakeClock(NOVEMBER_2024)))


def test_every_recorded_host_has_its_expectation():
    """A host that is added to the data is looked at here."""
    assert {path.parent.name for path in HOSTS.glob("*/PROVENANCE")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_outcome_headline_and_findings(name):
    """What happens there, in which words, and exactly these findings, the gravest first."""
    outcome, headline, rules = EXPECTED[name]
    seen = seen_of(name)
    assert seen.exhaustion.outcome is outcome
    assert seen.exhaustion.headline == headline
    assert [finding.rule for finding in seen.findings] == rules


@pytest.mark.parametrize("name", EXPECTED)
def test_reads_well_anywhere(name):
    """Plain ASCII within 80 columns, and the document reads back."""
    seen = seen_of(name)
    text = render(seen, Style(encoding="ascii"), live=False)
    assert text.isascii()
    assert max(len(line) for line in text.splitlines()) <= 80
    assert from_document(Look, to_document(seen)) == seen


def test_what_stands_between_on_the_incidents_host():
    """On RHEL 7 nothing but a little swap stands between the leak and the database."""
    answers = {point.name: point.answer.value for point in seen_of("rhel7-db").between}
    assert answers == {
        "swap": "yes",
        "overcommit": "no",
        "memory limits": "no",
        "OOM guard": "no",
        "oom_score_adj": "no",
        "forestall": "no",
    }


def test_old_hosts_say_what_they_cannot_see():
    """RHEL 7 has no PSI, and that is said rather than shown as calm."""
    points = {point.name: point for point in seen_of("rhel7-db").abilities}
    assert points["see pressure"].answer.value == "no"
    assert "no PSI" in points["see pressure"].text
