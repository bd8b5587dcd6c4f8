import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.fakes.agent import FakeAgent
from tests.fakes.host import MIB

from forestall.agent.budget import Budget
from forestall.agent.config import AgentConfig, ServiceConfig
from forestall.agent.exposition import render
from forestall.agent.metrics import LARGEST_SHOWN, OWN, families, names
from forestall.sense import signals


@pytest.fixture
def agent(tmp_path):
    services = (ServiceConfig(name="feed", process="feed-sync", limit_bytes=512 * MIB),)
    agent = FakeAgent(tmp_path / "host", tmp_path / "state", config=AgentConfig(services=services))
    # The budget of the agent, not of the test run that plays it.
    agent.make(budget=Budget(agent.clock, read_rss=lambda: 16 * MIB))
    yield agent
    agent.watch.close()


def scrape(agent: FakeAgent):
    text = render(families(agent.watch)).decode("utf-8")
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(agent: FakeAgent, name: str):
    """Of one metric, by the parser's sample name."""
    return [s for family in scrape(agent).values() for s in family.samples if s.name == name]


def test_before_the_first_tick_there_is_only_the_agent_itself(agent):
    """A scraper that comes early gets a valid answer."""
    found = scrape(agent)
    assert "forestall_agent_info" in found
    assert not [name for name in found if name.startswith("forestall_process")]


def test_a_leak_is_seen_by_the_scraper(agent):
    """Memory, verdict, headroom and the range to exhaustion, each with its service and pid."""
    agent.process(10)
    agent.watch.start()
    agent.run(70, p10=lambda second: 100 * MIB + second * 3 * MIB // 60)
    labels = {"service": "feed-sync", "pid": "10"}
    (verdict,) = samples(agent, "forestall_process_verdict")
    assert verdict.labels["verdict"] in ("LEAKING", "EXHAUSTING")
    (memory,) = samples(agent, "forestall_process_memory_bytes")
    assert memory.labels == labels
    assert memory.value == pytest.approx(100 * MIB + 4190 * 3 * MIB // 60, abs=8192)
    (headroom,) = samples(agent, "forestall_process_headroom_bytes")
    assert headroom.labels == {**labels, "limit": "given"}
    bounds = {
        s.labels["bound"]: s.value for s in samples(agent, "forestall_process_exhaustion_seconds")
    }
    assert bounds["soonest"] <= bounds["likely"] <= bounds["latest"]
    (troubles,) = samples(agent, "forestall_guard_troubles")
    assert troubles.value == 1
    actions = samples(agent, "forestall_guard_actions_total")
    assert {(s.labels["kind"], s.labels["state"]) for s in actions} == {("notify", "would")}


def test_the_number_of_series_is_bounded(agent):
    """300 quiet processes give as many series as ten, the largest."""
    for pid in range(100, 400):
        agent.process(pid, f"p{pid}", rss=pid * MIB)
    agent.watch.start()
    agent.run(0.2)
    memory = samples(agent, "forestall_process_memory_bytes")
    assert [s.labels["pid"] for s in memory] == [
        str(pid) for pid in range(399, 399 - LARGEST_SHOWN, -1)
    ]
    (watched,) = samples(agent, "forestall_agent_processes")
    assert watched.value == 300


def test_names_keep_the_fields_rules(agent):
    """Base units, counters end in _total, gauges do not, and nothing is exported uncatalogued."""
    agent.process(10)
    agent.watch.start()
    agent.run(70, p10=lambda second: 100 * MIB + second * 3 * MIB // 60)
    catalogue = set(names())
    for family in scrape(agent).values():
        for sample in family.samples:
            assert sample.name in catalogue
        assert family.documentation.endswith(".")
        assert (family.type == "counter") == family.samples[0].name.endswith("_total")
    assert all(name.startswith("forestall_") for name in OWN)


def test_hostile_names_are_labels_like_any_other(agent):
    """A name made to forge a sample is one label of one process."""
    agent.process(10, b'x"} 1\nforged_bytes 7')
    agent.watch.start()
    agent.run(0.2)
    (memory,) = samples(agent, "forestall_process_memory_bytes")
    assert memory.labels["service"] == 'x"} 1\nforged_bytes 7'
    assert "forged_bytes" not in scrape(agent)


def test_the_reference_lists_every_metric_as_it_is():
    """docs/reference/watch.md has one row for each name, with its kind and its help."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "watch.md").read_text()
    rows = set(re.findall(r"^\| `(forestall_\w+)` \| (\w+) \| (.+) \|$", page, re.MULTILINE))
    expected = {(name, *rest) for name, rest in OWN.items()}
    for name, signal in signals.METRICS.items():
        expected.add((name, "counter" if signal.counter else "gauge", signal.help))
    assert rows == expected
