"""OBS-001: who would see the next leak coming, in its four parts."""

import pytest
from tests.fakes.facts import healthy
from tests.fakes.seed import DAY, remedied, seed_host

from forestall.audit.posture import Posture
from forestall.audit.rules import obs001_unobserved as obs001
from forestall.audit.terms import Terms
from forestall.model.finding import FindingState, Severity

FAIL, UNKNOWN = FindingState.FAIL, FindingState.UNKNOWN
PASS, NOT_APPLICABLE = FindingState.PASS, FindingState.NOT_APPLICABLE
AT = healthy().at
EL8 = "4.18.0-553.el8_10.x86_64"


def watched(**changes):
    """A host that everything watches."""
    return healthy(
        **{
            "monitors": ("node_exporter",),
            "scraped_at": AT - 15,
            "memory_alerts": ("HostMemoryLow",),
            "gated_services": ("feed-sync",),
            **changes,
        }
    )


def judged(facts, terms=None):
    return obs001.RULE.judge(Posture(facts, terms))


def test_watched_by_all_four():
    """Samples, an alert, pressure and a leak test: nothing is missing."""
    assert judged(watched()).state is PASS


@pytest.mark.parametrize(
    ("changes", "severity", "said"),
    [
        ({"scraped_at": AT - 2 * DAY}, Severity.HIGH, "no sample of it for 2 d"),
        ({"scraped_at": AT - DAY - 1}, Severity.HIGH, "no sample of it for 24 h"),
        ({"scraped_at": None, "monitors": ()}, Severity.HIGH, "no exporter or agent runs"),
        ({"memory_alerts": ()}, Severity.HIGH, "no alert watches its memory"),
        ({"psi": False}, Severity.LOW, "pressure (PSI) is switched off"),
        ({"psi": False, "kernel_release": EL8}, Severity.LOW, "pressure (PSI) is switched off"),
        (
            {"psi": False, "kernel_release": "4.20.0"},
            Severity.LOW,
            "pressure (PSI) is switched off",
        ),
        ({"gated_services": ()}, Severity.MEDIUM, "feed-sync.service never passed a leak test"),
    ],
)
def test_one_part_missing(changes, severity, said):
    """Each part fails by itself, as grave as it is."""
    found = judged(watched(**changes))
    assert (found.state, found.severity) == (FAIL, severity)
    assert said in found.text


@pytest.mark.parametrize(
    "changes",
    [
        {"scraped_at": None},
        {"scraped_at": None, "monitors": None},
        {"scraped_at": None, "monitors": (), "hidden_processes": True},
        {"memory_alerts": None},
        {"psi": None},
        {"gated_services": None},
    ],
)
def test_nobody_was_asked(changes):
    """What a host cannot say of itself is unknown until Prometheus or the gate is asked."""
    found = judged(watched(**changes))
    assert found.state is UNKNOWN
    assert found.text.startswith("Not known: whe") or found.text.startswith("Not known: which")


def test_the_agent_is_a_monitor():
    """forestall watch runs: whether it is scraped is then the question."""
    facts = watched(scraped_at=None, monitors=(), guards=("forestall",))
    assert judged(facts).state is UNKNOWN


def test_what_is_missing_and_what_was_not_asked_are_told_apart():
    """A part that is missing decides; the others are named as unknown."""
    found = judged(watched(memory_alerts=(), gated_services=None))
    assert found.state is FAIL
    assert found.text.endswith("Not known: which services were tested for leaks.")


def test_an_old_kernel_is_not_blamed():
    """RHEL 7 knows no pressure, and nothing on the host could change that."""
    assert judged(remedied(seed_host())).state is PASS
    for release in (None, "4.19.0-27-amd64", "3.20", "el9"):
        assert judged(watched(psi=False, kernel_release=release)).state is PASS


def test_a_sample_of_a_day_ago_is_young_enough():
    """To the second."""
    assert judged(watched(scraped_at=AT - DAY)).state is PASS


def test_what_was_not_asked_is_asked_first_where_it_decides():
    """The remedy and the evidence are those of the parts that the text names."""
    unasked = judged(watched(scraped_at=None, memory_alerts=None))
    assert unasked.text == (
        "Not known: whether its exporter is scraped, whether an alert watches its memory."
    )
    assert unasked.remedy == "ask the Prometheus: forestall audit prometheus URL"
    assert unasked.reads == ("/scraped_at", "/monitors", "/memory_alerts")
    missing = judged(watched(psi=False, gated_services=(), memory_alerts=None))
    assert missing.severity is Severity.MEDIUM
    assert missing.reads == ("/psi", "/gated_services")
    assert missing.remedy.count("; ") == 1
    seen = judged(watched(gated_services=()))
    assert seen.text.endswith("a leak test.")


@pytest.mark.parametrize(
    ("changes", "reads"),
    [
        ({"scraped_at": None, "monitors": ()}, ("/monitors",)),
        ({"scraped_at": None, "monitors": None, "guards": None}, ("/monitors",)),
        ({"scraped_at": AT - 2 * DAY}, ("/scraped_at",)),
        ({"memory_alerts": ()}, ("/memory_alerts",)),
        ({"psi": None}, ("/psi",)),
        ({"gated_services": None}, ("/gated_services",)),
    ],
)
def test_what_a_part_reads(changes, reads):
    """The evidence of the part that is missing, or was not asked, and nothing else."""
    assert judged(watched(**changes)).reads == reads


def test_monitors_that_cannot_be_seen():
    """With other users' processes hidden an exporter may run; one that is seen settles it."""
    hidden = watched(scraped_at=None, monitors=(), hidden_processes=True, guards=())
    assert "whether an exporter runs" in judged(hidden).text
    seen = watched(scraped_at=None, hidden_processes=True)
    assert "whether its exporter is scraped" in judged(seen).text
    unread = watched(scraped_at=None, monitors=None, guards=None)
    assert "whether an exporter runs" in judged(unread).text


def test_services_are_known_with_and_without_their_suffix():
    """The gate's records name them as its users do."""
    assert judged(watched(gated_services=("feed-sync.service",))).state is PASS


def test_who_watched_is_told_as_of_when_it_was_read():
    """Facts of yesterday do not say that nobody took a sample since."""
    assert judged(watched(), Terms(at=AT + 2 * DAY)).state is PASS


def test_a_container_is_watched_through_its_host():
    """Nothing to say of a container."""
    assert judged(watched(container="docker")).state is NOT_APPLICABLE


def test_a_host_with_little_to_lose():
    """A laptop that nobody scrapes is no alarm; with a service or a database on it, it is."""
    bare = watched(scraped_at=None, monitors=(), units=())
    found = judged(bare)
    assert (found.state, found.severity) == (FAIL, Severity.MEDIUM)
    assert judged(watched(psi=False, units=())).severity is Severity.LOW
    assert judged(bare, Terms(roles=frozenset(("db",)))).severity is Severity.HIGH


def test_the_incidents_host():
    """Nobody watched it: three parts are named, and pressure is not."""
    found = judged(seed_host())
    assert (found.state, found.severity) == (FAIL, Severity.HIGH)
    assert found.text == (
        "The next leak would not be seen: no exporter or agent runs on it, no alert watches its "
        "memory, feed-sync.service never passed a leak test."
    )
