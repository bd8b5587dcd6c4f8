"""`forestall guard explain` and `guard test` on a fake host: what is said, and nothing is done."""

import tomllib

import pytest
from tests.fakes.agent import FakeAgent
from tests.fakes.guard import verdict_of
from tests.fakes.host import MIB

from forestall.agent.config import parse_config
from forestall.cli import guard_test
from forestall.cli.guard_explain import acts, document, exhausting, explain, lines
from forestall.cli.guard_test import Check, checks_of
from forestall.errors import InputError
from forestall.guard.history import History
from forestall.guard.policy import Policy
from forestall.units import HOUR, MINUTE

CONFIG = """
[agent]
mode = "act"
[[service]]
name = "feed"
match = { process = "feed-sync" }
restart = "signal"
allow = true
limit = "1G"
[[service]]
name = "gone"
match = { process = "not-here" }
allow = true
"""


@pytest.fixture
def agent(tmp_path):
    config = parse_config(tomllib.loads(CONFIG), "f.toml")
    agent = FakeAgent(tmp_path / "host", None, config=config)
    agent.process(4_000_001, "feed-sync", rss=100 * MIB)
    agent.process(4_000_002, "postgres", rss=300 * MIB)
    agent.run(2)
    return agent


def test_a_supposed_exhaustion_shows_the_whole_plan(agent, tmp_path):
    """Each step with allowed or refused and why, though the service is well."""
    explained = explain(agent.watch, History(), str(tmp_path), "feed-sync", True)
    assert acts(explained)
    text = "\n".join(lines(explained))
    assert text.startswith("feed-sync on ")
    assert "supposed to be EXHAUSTING by its own growth" in text
    assert "1-capture     allowed" in text
    assert "2-restart     allowed" in text
    assert "Contain: It cannot be contained" in text
    told = document(explained)
    assert [step["allowed"] for step in told["steps"]] == [True, True, True]
    assert agent.watch.acting.counts == {}


@pytest.mark.parametrize(("low", "supposed"), [(5 * HOUR, MINUTE), (None, MINUTE), (9.0, 9.0)])
def test_what_is_supposed_is_near_enough_for_guard_to_act(agent, low, supposed):
    """A leak that is hours from its own limit is not acted on; supposed, it is a minute away."""
    verdicts = agent.watch.judging.verdicts.values()
    subject = next(v.subject for v in verdicts if v.subject.name == "feed-sync")
    leak = verdict_of(subject, low=low)
    found = exhausting(agent.watch, leak, leak.at).forecast
    assert found.exhaustion_low_seconds == supposed
    assert supposed <= Policy().act_alone_within_seconds


def test_a_protected_service_is_refused_and_the_reason_is_shown(agent, tmp_path):
    """Also when asked for by name."""
    explained = explain(agent.watch, History(), str(tmp_path), "postgres", True)
    assert not acts(explained)
    assert "never touches postgres" in "\n".join(lines(explained))


def test_a_service_that_is_well_has_no_plan(agent, tmp_path):
    """Which is said, with the verdict."""
    explained = explain(agent.watch, History(), str(tmp_path), None, False)
    text = "\n".join(lines(explained))
    assert explained.plan.idle
    assert "No plan is made now." in text


def test_a_service_that_is_not_there_is_said(agent, tmp_path):
    """One line, and what to try."""
    with pytest.raises(InputError, match="no process of nobody runs"):
        explain(agent.watch, History(), str(tmp_path), "nobody", False)


def test_each_thing_is_tested_and_a_no_says_what_to_do(agent, tmp_path):
    """What is there, what is not, and a next step for each NO."""
    config = agent.watch.config
    checks = list(checks_of(agent.watch, config, Policy(), str(tmp_path)))
    by_name = {check.what: check for check in checks}
    assert by_name[f"state {tmp_path}"].fault is None
    assert by_name["service feed: restart"].fault is None
    assert "It cannot be contained" in (by_name["service feed: contain"].fault or "")
    assert by_name["service gone"].fault == "no process of it runs"
    assert all(check.then for check in checks if check.fault)
    assert guard_test.document(checks)["ok"] is False
    assert agent.watch.acting.counts == {}


def test_a_state_folder_that_is_not_there_is_a_no(agent, tmp_path):
    """No evidence could be kept, so nothing would be taken down."""
    absent = str(tmp_path / "absent")
    first = next(checks_of(agent.watch, agent.watch.config, Policy(), absent))
    assert first.fault is not None


def test_the_lines_are_ok_or_no_and_are_counted():
    """One line each for a person, the next step below a NO."""
    shown = guard_test.lines(
        [
            Check(what="state", said="evidence may take 5 GiB"),
            Check(what="fleet", fault="etcd: no answer", then="see whether it runs"),
        ]
    )
    assert shown == [
        "OK  state  evidence may take 5 GiB",
        "NO  fleet  etcd: no answer",
        "           see whether it runs",
        "",
        "1 of 2 are as guard needs them.",
    ]


def test_a_password_that_cannot_be_read_is_a_no(tmp_path):
    """A look at the cluster needs none, so it would be missed when the primary has to move."""
    missing, there = tmp_path / "missing", tmp_path / "there"
    there.write_text("secret\n")
    assert "no secret to read" in (guard_test._secret("x", str(missing)).fault or "")
    found = guard_test._secret("x", str(there))
    assert found.fault is None
    assert "secret" not in found.said
    assert guard_test._secret("x", None).fault is None
