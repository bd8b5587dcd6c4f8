"""The command: inputs in any mix, options anywhere, files, exit codes, and mistakes."""

import json
import time

import pytest
from tests.fakes.facts import healthy, seed_like, with_sysctls

from forestall.audit.rules import RULES
from forestall.cli.audit_inputs import groups
from forestall.cli.main import main
from forestall.errors import UsageError
from forestall.model.codec import dumps

FINE = ["--rule", "PAN-001"]


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESTALL_STATE", str(tmp_path / "state"))


@pytest.fixture
def fleet(tmp_path):
    """A file with two hosts: one panics on OOM, one does not."""
    path = tmp_path / "facts.jsonl"
    hosts = [
        seed_like(hostname="db01", boot_id="b1"),
        with_sysctls(healthy(hostname="app01", boot_id="b2"), vm__panic_on_oom="0"),
    ]
    path.write_text("".join(f"{dumps(one)}\n" for one in hosts))
    return path


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_one_report_over_a_mix_of_inputs(fleet, tmp_path, capsys):
    """Groups follow one another, options stand anywhere, and every host is in the lines."""
    other = tmp_path / "more.jsonl"
    other.write_text(dumps(healthy(hostname="web01", boot_id="b3")) + "\n")
    words = ["facts", str(fleet), "--json", "facts", *FINE, str(other), "local"]
    assert main(["audit", *words]) == 1
    found = lines(capsys)
    assert [one["host"] for one in found][:3] == ["db01", "app01", "web01"]
    assert [one["origin"] for one in found][3] == "local"
    assert [one["state"] for one in found][:3] == ["fail", "pass", "pass"]


def test_a_role_that_takes_the_database_rules_away_is_told(fleet, capsys):
    """`--role database=db*` is no `db`; nor does a pattern for nobody pass in silence."""
    words = ["audit", "facts", str(fleet), "--json", *FINE]
    main([*words, "--role", "database=db*", "--role", "web=nobody*"])
    said = capsys.readouterr().err
    assert "a large database runs on db01, and the roles given do not say db" in said
    assert "--role web=nobody* names no host that was seen" in said
    main([*words, "--role", "db=db*"])
    assert "role" not in capsys.readouterr().err


def test_two_reports_in_one_file_are_refused(fleet, tmp_path, capsys):
    """The second would replace the first without a word."""
    same = str(tmp_path / "out")
    assert main(["audit", "facts", str(fleet), "--html", same, "--sarif", same]) == 2
    assert "named for two reports" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_old_facts_are_told_of_a_fleet_as_well(fleet, tmp_path, capsys):
    """Of many hosts the table shows no age of each."""
    main(["audit", "facts", str(fleet), *FINE])
    assert "note: the facts of 2 hosts are more than a day old, the oldest" in " ".join(
        capsys.readouterr().out.split()
    )
    young = tmp_path / "young.jsonl"
    young.write_text(dumps(healthy(hostname="a", boot_id="b", at=time.time())) + "\n")
    main(["audit", "facts", str(young), *FINE])
    assert "more than a day old" not in capsys.readouterr().out
    young.write_text(dumps(healthy(hostname="a", boot_id="b", at=time.time() + 86_400)) + "\n")
    main(["audit", "facts", str(young), *FINE])
    assert "the facts of 1 host are of a later moment" in capsys.readouterr().out


def test_facts_older_than_a_limit_are_unknown(fleet, tmp_path, capsys):
    """As for `audit check`; facts of tomorrow have no age. Without a limit they count."""
    young = tmp_path / "young.jsonl"
    young.write_text(dumps(healthy(hostname="new", boot_id="b", at=time.time() - 60)) + "\n")
    ahead = tmp_path / "ahead.jsonl"
    ahead.write_text(dumps(healthy(hostname="ahead", boot_id="c", at=time.time() + 7200)) + "\n")
    words = ["audit", "facts", str(fleet), str(young), str(ahead), "--json", *FINE]
    assert main([*words, "--max-age", "7d"]) == 3
    found = {line["host"]: line for line in lines(capsys)}
    states = {name: line["state"] for name, line in found.items()}
    assert states == {"db01": "unknown", "app01": "unknown", "new": "pass", "ahead": "unknown"}
    assert "its facts are" in found["db01"]["text"]
    assert "from now" in found["ahead"]["text"]
    assert main(words) == 1


def test_every_rule_has_a_line_and_optional_ones_on_request(fleet, capsys):
    """One line per host and rule; --optional adds, --skip takes away."""
    usual = [rule.id for rule in RULES if not rule.optional]
    main(["audit", "facts", str(fleet), "--json"])
    assert [one["rule"] for one in lines(capsys)] == usual * 2
    main(["audit", "facts", str(fleet), "--json", "--optional", "--skip", "pan-001"])
    assert {one["rule"] for one in lines(capsys)} == {rule.id for rule in RULES} - {"PAN-001"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (FINE, 1),
        ([*FINE, "--fail-on", "none"], 0),
        (["--rule", "SVC-001"], 0),
        (["--rule", "SVC-001", "--fail-on", "low"], 1),
        (["--rule", "PAN-004"], 0),
    ],
)
def test_exit_codes(fleet, words, code, capsys):
    """1 from --fail-on (high by default) on, else 0."""
    assert main(["audit", "facts", str(fleet), *words]) == code
    assert capsys.readouterr().err == ""


def test_exit_3_where_evidence_is_missing(tmp_path, capsys):
    """UNKNOWN of a grave rule, and a line that is no host, are both missing evidence."""
    path = tmp_path / "facts.jsonl"
    path.write_text(dumps(with_sysctls(healthy(), vm__panic_on_oom=None)) + "\n")
    assert main(["audit", "facts", str(path), *FINE]) == 3
    path.write_text(dumps(healthy()) + "\n{}\n")
    assert main(["audit", "facts", str(path), *FINE]) == 3
    assert "could not be read" in capsys.readouterr().out


def test_waivers_and_roles_of_a_policy(fleet, tmp_path, capsys):
    """A waived finding does not fail the run; the line says who has it."""
    policy = tmp_path / "audit.toml"
    policy.write_text(
        "[[waiver]]\nhost = 'db*'\nrule = 'PAN-001'\nowner = 'Ana'\nreason = 'x'\n"
        f"expires = {_soon()}\n"
    )
    words = ["audit", "facts", str(fleet), "--policy", str(policy), "--json"]
    assert main([*words, *FINE]) == 0
    assert lines(capsys)[0]["waiver"].startswith("Ana, until")
    main([*words, "--rule", "SWP-002", "--role", "web=db01"])
    assert lines(capsys)[0]["state"] == "not-applicable"


def _soon():
    from datetime import UTC, datetime, timedelta

    return f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"


def test_every_report_at_once(fleet, tmp_path, capsys):
    """Each file is written whole, beside the table."""
    names = ["html", "sarif", "junit", "textfile", "ansible"]
    words = [word for name in names for word in (f"--{name}", str(tmp_path / f"out.{name}"))]
    assert main(["audit", "facts", str(fleet), *words, "--list-unknown"]) == 1
    for name in names:
        assert "db01" in (tmp_path / f"out.{name}").read_text(), name
    out = capsys.readouterr().out
    assert "db01" in out
    assert "MISSING EVIDENCE" in out


def test_a_report_that_cannot_be_written_is_said_before_hosts_are_read(fleet, tmp_path, capsys):
    """Exit 3 and one line; nothing is left half-written."""
    assert main(["audit", "facts", str(fleet), "--html", str(tmp_path / "no" / "a.html")]) == 3
    shown = capsys.readouterr()
    assert "not written" in shown.err
    assert shown.out == ""


def test_an_input_that_fails_leaves_the_old_report(fleet, tmp_path, capsys):
    """The file of yesterday stands where today's run could not look."""
    report = tmp_path / "a.html"
    report.write_text("yesterday")
    words = ["facts", str(fleet), "facts", str(tmp_path / "gone"), "--html", str(report)]
    assert main(["audit", *words]) == 3
    assert report.read_text() == "yesterday"
    assert "gone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["db01"], "not an input: db01"),
        (["ssh"], "ssh needs HOST..."),
        (["local", "x"], "local takes nothing"),
        (["facts"], "facts needs FILE|DIR..."),
        (["--rule", "PAN-999"], "no such rule: PAN-999"),
        (["--rule", "PAN-001", "--skip", "PAN-001"], "asked for and skipped"),
        (["--fail-on", "terrible"], "invalid choice"),
        (["--role", "db"], "not a role"),
        (["--policy", "/no/such.toml"], "/no/such.toml: No such file"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_mistakes_of_usage(words, said, capsys):
    """Exit 2, and one line that says what and what next."""
    assert main(["audit", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_groups():
    """A kind's word begins a group; everything else belongs to the one before."""
    assert groups(["local", "ssh", "a", "b", "facts", "c"]) == [
        ("local", []),
        ("ssh", ["a", "b"]),
        ("facts", ["c"]),
    ]
    assert groups(["ssh", "root@local", "facts", "./ssh"])[0] == ("ssh", ["root@local"])
    with pytest.raises(UsageError):
        groups(["a"])


def test_the_rules_are_listed_and_explained(capsys):
    """A line each; by name the reason, threshold's source, remedy, undo and cost."""
    assert main(["audit", "rules"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(RULES)
    assert main(["audit", "rules", "pan-001"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("PAN-001  panic on OOM (critical)\n\nRunning out of memory panics")
    for part in ("expected  ", "source    ", "do        ", "undo      ", "costs     none"):
        assert part in told
    assert main(["audit", "rules", "PAN-999"]) == 2
    assert "there are PAN-001" in capsys.readouterr().err
    assert main(["audit", "rules", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rules"]) == len(RULES)


def test_no_missing_evidence_is_said_so(tmp_path, capsys):
    """A list that was asked for and is empty has a word in it."""
    path = tmp_path / "facts.jsonl"
    path.write_text(dumps(healthy()) + "\n")
    main(["audit", "facts", str(path), *FINE, "--list-unknown"])
    assert "MISSING EVIDENCE (none)" in capsys.readouterr().out


def test_rules_and_tables_keep_to_the_columns(capsys):
    """Reasons, thresholds and origins are wrapped, also where nobody tells a width."""
    assert main(["audit", "rules", *(rule.id for rule in RULES)]) == 0
    assert main(["audit", "refresh"]) == 0
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())


def test_help_explains_inputs_and_exit_codes(capsys):
    """The grammar, the sub-commands and the codes are in --help."""
    with pytest.raises(SystemExit):
        main(["audit", "--help"])
    told = capsys.readouterr().out
    for part in ("sosreport FILE|DIR...", "check ", "exit codes:", "--fail-on", "--ansible"):
        assert part in told
