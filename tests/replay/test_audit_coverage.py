"""How many of the rules a plain sosreport, and the SSH script's answer, decide."""

from dataclasses import replace
from pathlib import Path

from tests.fakes.recorder import collect

from forestall.audit.findings import audit
from forestall.audit.inputs.sosreport import read_sosreports
from forestall.audit.rules import RULES
from forestall.audit.terms import Terms
from forestall.clock import SystemClock
from forestall.model.finding import FindingState
from forestall.sense.facts import read_facts
from forestall.sense.recording import RecordedHost, copied_host

DATA = Path(__file__).parents[1] / "data"
ADDED = {"MEM-001", "LIM-004", "CGR-001", "JRN-001", "LMT-001", "TMP-001"}
"""Not of the catalogue's forty-two: two of our own, and the optional four."""


def decided(facts):
    """The catalogue's rules that are not UNKNOWN, as of when the facts were read."""
    judged = audit(facts, Terms(at=facts.at), rules=RULES)
    return {one.rule for one in judged if one.state is not FindingState.UNKNOWN} - ADDED


def test_the_catalogue_has_forty_two():
    """So that the counts below are out of what they are said to be of."""
    assert len({rule.id for rule in RULES} - ADDED) == 42


def test_a_plain_sosreport_decides_thirty_eight():
    """Of a database host of RHEL 7, whose sos keeps no OOM scores."""
    (seen,) = read_sosreports([str(DATA / "sosreports/rhel7-db")], SystemClock())
    assert len(decided(seen.facts)) >= 38


def test_what_the_script_takes_decides_forty_one():
    """The same kind of host through the table of places, which is all that the script takes."""
    recording = replace(collect(copied_host(str(DATA / "hosts/rhel7-db"))), complete=True)
    facts = read_facts(RecordedHost(recording), SystemClock())
    assert len(decided(facts)) >= 41
