"""`forestall audit check`: exit codes, hosts that made the answer, JSON, and mistakes."""

import json

import pytest
from tests.fakes.facts import healthy, seed_like

from forestall.cli.main import main
from forestall.model.codec import dumps


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESTALL_STATE", str(tmp_path / "state"))


@pytest.fixture
def facts(tmp_path):
    """Two hosts in a file: 4 GiB and 16 GiB of swap."""
    path = tmp_path / "facts.jsonl"
    hosts = [seed_like(hostname="db01"), healthy(hostname="app01")]
    path.write_text("".join(f"{dumps(one)}\n" for one in hosts))
    return str(path)


def check(*words):
    return main(["audit", "check", *words])


@pytest.mark.parametrize(
    ("question", "code", "word"),
    [
        ("any host: swap_total_bytes = 4GiB", 0, "true: 1 host of 2"),
        ("all host: swap_total_bytes >= 16GiB", 1, "false: not so on 1 host of 2"),
        ("all host: vm.nothing = 1", 3, "unknown: 2 hosts cannot be decided"),
    ],
)
def test_exit_codes(facts, question, code, word, capsys):
    """0 true, 1 false, 3 unknown."""
    assert check(question, "--facts", facts) == code
    assert capsys.readouterr().out.startswith(word)


def test_the_hosts_are_named(facts, capsys):
    """False on which, with the value."""
    check("all host: swap_total_bytes >= 16GiB", "--facts", facts)
    assert "false on db01: swap_total_bytes is 4.0 GiB" in capsys.readouterr().out


def test_several_questions_over_hosts_that_are_read_once(facts, capsys):
    """Each is answered; a false one decides the exit code."""
    assert check("any host: psi", "no host: psi", "--facts", facts) == 1
    out = capsys.readouterr().out
    assert "any host: psi\n  true" in out
    assert "no host: psi\n  false" in out


def test_json(facts, capsys):
    """One record per question."""
    assert check("all host: swap_total_bytes >= 16GiB", "--facts", facts, "--json") == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found["schema"] == "forestall/audit-check/1"
    assert (found["answer"], found["seen"], found["matched"]) == ("false", 2, 2)
    assert found["failing"] == [{"host": "db01", "why": "swap_total_bytes is 4.0 GiB"}]


def test_expected_hosts_and_stale_facts(facts, tmp_path, capsys):
    """A host that is listed and not seen, and facts of years ago, leave it open."""
    expected = tmp_path / "hosts.txt"
    expected.write_text("# the databases\ndb01\ndb02\n\n")
    question = "all host: mem_total_bytes > 1GiB"
    assert check(question, "--facts", facts) == 0
    assert check(question, "--facts", facts, "--expect", str(expected)) == 3
    assert "unknown on db02: it was expected and not seen" in capsys.readouterr().out
    assert check(question, "--facts", facts, "--max-age", "7d") == 3


def test_without_an_age_facts_of_any_age_count(facts):
    """Kept answers have an age by default (a day); facts that were given by name have none."""
    assert check("all host: age_seconds > 400d", "--facts", facts) == 0


def test_a_mistake_shows_where(facts, capsys):
    """Exit 2 with the question and a mark below the column."""
    assert check("all host: swap_totl_bytes > 1", "--facts", facts) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    first, second, *rest = shown.err.splitlines()
    assert second.index("^") == first.index("swap_totl")
    assert "column 11: no such fact" in rest[0]
    assert "did you mean swap_total_bytes" in rest[1]


def test_no_question_and_names(capsys):
    """No question is a mistake; --names lists what can be asked."""
    assert check() == 2
    assert check("--names") == 0
    out = capsys.readouterr().out
    assert "swap_total_bytes                     size" in out
    assert "unit(NAME).memory_max_bytes" in out


def test_this_host_by_default(capsys):
    """Without inputs it is asked of this host."""
    assert check("all host: mem_total_bytes > 1MiB") == 0
    assert "so on 1 host" in capsys.readouterr().out
