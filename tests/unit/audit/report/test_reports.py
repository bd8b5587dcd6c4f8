"""Each format: what is in it, and that nothing a host says can break out of it."""

import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.fakes.facts import healthy, holder, seed_like, unit, with_sysctls

from forestall.audit.fleet import Fleet, chosen_rules, judge_host
from forestall.audit.inputs.source import Seen
from forestall.audit.policy import Policy
from forestall.audit.report import About
from forestall.audit.report.ansible import Ansible
from forestall.audit.report.html import Html
from forestall.audit.report.junit import Junit
from forestall.audit.report.lines import Lines
from forestall.audit.report.sarif import Sarif
from forestall.audit.report.table import Look, Table
from forestall.audit.report.textfile import Textfile
from forestall.audit.report.unknowns import Unknowns
from forestall.audit.waivers import Waiver, Waivers
from forestall.model.finding import Severity

AT = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
HOSTILE = "x\x1b[2J\"'<script>alert(1)</script>{{ 7*7 }}\n- hosts: all\\\x00\u202e\udc80é"


def hosts():
    """The incident's host, a waived one, a healthy one, one that was not read, a hostile one."""
    unread = Seen(name="gone01", problem="timed out after 60 s")
    strange = seed_like(
        hostname=HOSTILE,
        os_name=HOSTILE,
        kernel_release=HOSTILE,
        at=AT - 90,
        units=(
            unit(HOSTILE, main_pid=7, restart="no", fragment_path="/etc/systemd/system/x.service"),
        ),
        databases=(holder(HOSTILE, 800, 9 * 1024**3, 250, 0, HOSTILE),),
    )
    return [
        Seen(name="db01.example", facts=seed_like(at=AT - 90)),
        Seen(name="cl01.example", facts=with_sysctls(healthy(at=AT), vm__panic_on_oom="1")),
        Seen(name="app01.example", facts=healthy(at=AT - 5)),
        unread,
        Seen(name=HOSTILE, facts=strange, problem=HOSTILE),
    ]


def told(make, found=None, *, rules=None, fail_on=Severity.HIGH, keep=50):
    """The text of one report over the hosts."""
    waiver = Waiver(
        host="cl*", rule="PAN-001", owner="Ana", reason="<fenced>", expires=date(2027, 1, 31)
    )
    policy = Policy(waivers=Waivers((waiver,)))
    rules = rules or chosen_rules()
    about = About(at=AT, version="1.2.3", fail_on=fail_on)
    out, fleet = io.StringIO(), Fleet(rules, keep=keep)
    report = make(out, about)
    for seen in hosts() if found is None else found:
        audit = judge_host(seen, policy, rules, AT)
        fleet.add(audit)
        report.host(audit)
    about.notices.append("a <note> on tables")
    report.end(fleet)
    return out.getvalue()


def table(**look):
    return lambda out, about: Table(out, about, Look(**look))


def test_the_table_does_not_call_a_fleet_fine_that_nobody_read():
    """No "every rule passes" where nothing was judged; with some unread it says which are meant."""
    unread = [Seen(name=f"gone{number}", problem="timed out") for number in range(5)]
    nothing = told(table(), unread, rules=chosen_rules(["PAN-001"]))
    assert "passes" not in nothing
    assert "NOT READ (5 hosts)" in nothing
    fine = [Seen(name=f"app{number}", facts=healthy(at=AT)) for number in range(5)]
    some = told(table(), fine + unread, rules=chosen_rules(["PAN-001"]))
    assert "passes on every host that was read." in some
    assert "passes on every host." in told(table(), fine, rules=chosen_rules(["PAN-001"]))


def test_the_table_counts_unknown_right_where_an_unread_host_is_waived():
    """Waived unread hosts are not taken off the unknown of others."""
    gone = [Seen(name=f"cl{number}", problem="timed out") for number in range(3)]
    blind = with_sysctls(healthy(at=AT), vm__panic_on_oom=None)
    found = [*gone, Seen(name="app1", facts=blind)]
    said = told(table(), found, rules=chosen_rules(["PAN-001"]))
    (line,) = [line for line in said.splitlines() if line.startswith("PAN-001")]
    assert line.split()[2:5] == ["0", "1", "3"]


def test_lines_are_one_per_host_and_rule_with_everything():
    """Each line is a whole finding: evidence with source, pointer, value and age."""
    lines = [json.loads(line) for line in told(Lines).splitlines()]
    assert len(lines) == len(hosts()) * len(chosen_rules())
    (panic,) = [one for one in lines if (one["host"], one["rule"]) == ("db01.example", "PAN-001")]
    assert panic["schema"] == "forestall/audit-finding/1"
    assert (panic["state"], panic["severity"], panic["cost"]) == ("fail", "critical", "none")
    assert panic["observed"] == {"vm.panic_on_oom": "1"}
    assert panic["evidence"] == [
        {
            "source": "/proc/sys/vm/panic_on_oom",
            "pointer": "/sysctls/vm.panic_on_oom",
            "value": "1",
            "age_seconds": 90.0,
        }
    ]
    assert panic["expected"] == "vm.panic_on_oom=0"
    assert all(panic[key] for key in ("text", "remedy", "undo", "reference"))
    assert panic["waiver"] is None
    keys = {tuple(one) for one in lines}
    assert len(keys) == 1, "every line has the same keys, in the same order"


def test_lines_of_a_waived_and_of_an_unread_host():
    """The waiver is named; the unread host is UNKNOWN with its reason."""
    lines = [json.loads(line) for line in told(Lines).splitlines()]
    (waived,) = [one for one in lines if one["state"] == "waived"]
    assert waived["waiver"] == "Ana, until 2027-01-31: <fenced>"
    gone = [one for one in lines if one["host"] == "gone01"]
    assert {one["state"] for one in gone} == {"unknown"}
    assert all("timed out" in one["text"] for one in gone)


def test_a_long_value_is_cut_and_a_list_of_services_is_counted():
    """Evidence of 4,000 services is a number, not a megabyte."""
    units = tuple(unit(f"u{number}.service", main_pid=number) for number in range(4000))
    facts = seed_like(units=units, kernel_release="k" * 10_000)
    text = told(Lines, [Seen(name="db01", facts=facts)])
    assert max(map(len, text.splitlines())) < 8000
    values = [
        evidence["value"]
        for line in text.splitlines()
        for evidence in json.loads(line)["evidence"]
        if evidence["pointer"] == "/units"
    ]
    assert values
    assert set(values) == {4000}


def test_the_table_tells_one_host_in_full():
    """What, what was seen, what is wanted, what to do, how to undo it, and what it costs."""
    facts = with_sysctls(seed_like(at=AT - 90), vm__oom_kill_allocating_task=None)
    text = told(table(width=200), [Seen(name="db01.example", facts=facts)])
    found = text[text.index("PAN-001") :].split("\n\n")[0]
    assert "vm.panic_on_oom=1 turns OOM into a panic" in found
    assert "seen    vm.panic_on_oom 1 (/proc/sys/vm/panic_on_oom)" in found
    assert "want    vm.panic_on_oom=0 [kernel documentation" in found
    assert "do      sysctl -w vm.panic_on_oom=0" in found
    assert "undo    sysctl -w vm.panic_on_oom=1" in found
    assert "CRITICAL  PAN-001" in text
    assert text.index("CRITICAL") < text.index("HIGH") < text.index("UNKNOWN: evidence is missing")
    assert "note: a <note> on tables" in text


def test_the_table_of_a_fleet_counts_and_ranks():
    """Rules with counts, the worst hosts first, the unread with their reason."""
    text = told(table(width=100))
    assert text.startswith(f"5 hosts, {len(chosen_rules())} rules, judged 2026-11-26 12:00 UTC")
    assert re.search(r"^PAN-001 +critical +2 +0 +1 +panic on OOM$", text, re.MULTILINE)
    assert "NOT READ (1 host)\ngone01  timed out after 60 s" in text
    worst = text[text.index("WORST HOSTS") :].splitlines()[1]
    assert worst.startswith("db01.example")


@pytest.mark.parametrize("width", [60, 100])
def test_the_worst_hosts_fit_the_terminal(width):
    """As many rules as there is room for, and how many more; one where there is none."""
    several = [replace(one, name=f"{one.name}.{n}") for n in range(4) for one in hosts()[:1]]
    told_rows = told(table(width=width), several)
    rows = told_rows[told_rows.index("WORST HOSTS") :].split("\n\n")[0].splitlines()[1:]
    assert len(rows) == 4
    for row in rows:
        start, _, ids = row.rpartition(": ")
        shown = re.findall(r"[A-Z]{3}-\d{3}", ids)
        assert len(row) <= max(width, len(start) + len(": KRN-001 +99"))
        failed = sum(
            int(count) for count in re.findall(r"(\d+) (?:critical|high|medium|low)", start)
        )
        assert ids.endswith(f" +{failed - len(shown)}")


def test_nothing_moves_the_cursor():
    """Foreign text in a terminal is printable, whatever a host calls itself."""
    for found in (hosts(), hosts()[4:]):
        text = told(table(width=100), found)
        assert "\\x1b[2J" in text
        assert all(line.isprintable() for line in text.splitlines())
    for line in told(Unknowns).splitlines():
        assert line.isprintable()


def test_colour_is_only_where_it_is_wanted():
    """Escape sequences appear with colour and not without."""
    assert "\x1b[31m" in told(table(color=True), hosts()[:1])
    assert "\x1b" not in told(table(color=False), hosts()[:1])


def test_unknowns_are_gathered_by_reason():
    """One line per rule and reason, with how many hosts and how to get the evidence."""
    facts = [
        Seen(name=f"h{number}", facts=with_sysctls(healthy(), vm__panic_on_oom=None))
        for number in range(3)
    ]
    text = told(Unknowns, facts, rules=chosen_rules(["PAN-001"]))
    assert "MISSING EVIDENCE (3 answers)" in text
    assert "could not be read. (3 hosts, e.g. h0)" in text
    assert "cat /proc/sys/vm/panic_on_oom" in text


class Page(HTMLParser):
    """What a page links to, and the text and tags it has."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.rows = [], set(), [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.rows += tag == "tr" and "class" not in found
        if "id" in found:
            assert found["id"] not in self.ids, "an id stands once"
            self.ids.add(found["id"])
        if "href" in found:
            self.links.append(found["href"])


def test_the_page_needs_nothing_else_and_its_links_lead_somewhere():
    """No script, no outside address; each link is to a place on the page."""
    text = told(Html)
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not re.search(r"(https?:)?//\w", text)
    assert page.links
    assert {link.removeprefix("#") for link in page.links} <= page.ids
    assert "<script" not in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e\udc80]", text)


def test_the_page_shows_every_host_and_state():
    """A row per host, a letter in each cell, the reason of the unread, and the waiver's owner."""
    text = told(Html)
    for part in ("db01.example", "app01.example", "gone01", "timed out", "Ana, until 2027-01-31"):
        assert part in text
    assert 'aria-label="PAN-001 critical">C</a>' in text
    assert 'aria-label="PAN-001 waived">w</a>' in text
    assert "a &lt;note&gt; on tables" in text


def test_the_page_of_many_hosts_is_bounded_and_says_what_it_leaves_out(monkeypatch):
    """Beyond its limits it shows the worst, and how many are left out."""
    monkeypatch.setattr("forestall.audit.report.html.MATRIX_HOSTS", 4)
    monkeypatch.setattr("forestall.audit.report.html.DETAIL_HOSTS", 2)
    found = [Seen(name=f"h{number}", facts=healthy()) for number in range(6)]
    text = told(Html, [*found, Seen(name="db01", facts=seed_like())], keep=2)
    assert "The 4 worst of 7 hosts are shown; 3 are left out" in text
    assert "The 2 worst of 7 hosts are told in full" in text
    assert text.count('<th scope="row" title=') == 4
    assert text.index('title="db01"') < text.index('title="h0"')
    page = Page(text)
    assert {link.removeprefix("#") for link in page.links} <= page.ids


def test_sarif_has_what_the_standard_asks_for():
    """Version, rules with index, kinds and levels, places, fingerprints and suppressions."""
    document = json.loads(told(Sarif))
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.id for rule in chosen_rules()]
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert (result["kind"] == "open") == (result["level"] == "none")
        assert result["message"]["text"]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"[A-Za-z0-9_.~%/-]+", uri), uri
    prints = [one["partialFingerprints"]["hostAndRule/v1"] for one in run["results"]]
    assert len(set(prints)) == len(prints)
    (waived,) = [one for one in run["results"] if "suppressions" in one]
    assert waived["suppressions"][0]["justification"].startswith("Ana, until 2027-01-31")
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "gone01" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_sarif_shows_what_a_host_says_as_text():
    """No placeholder, no link and nothing that a terminal obeys; our own texts need no escape."""
    strange = Seen(name="a{0}[b](https://evil.example)\x1b[2J", problem="{1}[c](d)")
    document = json.loads(told(Sarif, [strange, replace(strange, facts=seed_like(at=AT))]))
    (run,) = document["runs"]
    texts = [one["message"]["text"] for one in run["results"]]
    texts += [one["message"]["text"] for one in run["invocations"][0]["toolExecutionNotifications"]]
    assert len(texts) > 3
    for text in texts:
        assert not re.search(r"(?<!\{)\{[0-9]+\}(?!\})", text), text
        assert "](" not in text
        assert text.isprintable()
    assert any("[b]\\(https" in text and "a{{0}}" in text for text in texts)
    for rule in run["tool"]["driver"]["rules"]:
        for field in ("shortDescription", "fullDescription", "help"):
            assert not re.search(r"[{}]|\]\(", rule[field]["text"]), rule["id"]


def test_sarif_of_nothing_found():
    """A document without results is still one."""
    document = json.loads(told(Sarif, [], rules=chosen_rules(["PAN-001"])))
    assert document["runs"][0]["results"] == []
    assert document["runs"][0]["invocations"][0]["executionSuccessful"] is True


@pytest.mark.parametrize("fail_on", [Severity.CRITICAL, Severity.HIGH, None])
def test_junit_fails_what_the_exit_code_fails(fail_on):
    """FAIL from --fail-on on fails, UNKNOWN errs, waived and not applicable are skipped."""
    root = ET.fromstring(told(Junit, fail_on=fail_on))
    suites = {suite.get("name"): suite for suite in root}
    assert len(suites) == len(hosts())
    seed = suites["db01.example"]
    assert int(seed.get("tests")) == len(seed) == len(chosen_rules())
    for kind in ("failure", "error", "skipped"):
        key = {"failure": "failures", "error": "errors", "skipped": "skipped"}[kind]
        assert int(seed.get(key)) == len(seed.findall(f"testcase/{kind}"))
    failed = {case.get("name") for case in seed if case.find("failure") is not None}
    assert ("PAN-001" in failed) == (fail_on is not None)
    assert ("SWP-002" in failed) == (fail_on is Severity.HIGH)
    waived = suites["cl01.example"].find("testcase[@name='PAN-001']/skipped")
    assert "Ana" in waived.get("message")
    gone = [case.find("error") is not None for case in suites["gone01"]]
    assert any(gone) == (fail_on is not None)


def test_the_textfile_is_read_by_prometheus():
    """Every sample parses, names come back as they were, and no metric is in two places."""
    text = told(Textfile)
    families = {one.name: one.samples for one in text_string_to_metric_families(text)}
    findings = families["forestall_audit_finding"]
    assert {"host": "db01.example", "rule": "PAN-001", "severity": "critical", "state": "fail"} in [
        sample.labels for sample in findings
    ]
    assert {sample.labels["state"] for sample in findings} == {"fail", "unknown", "waived"}
    coverage = {one.labels["host"]: one.value for one in families["forestall_audit_coverage_ratio"]}
    assert coverage["gone01"] == 0
    assert 0 < coverage["db01.example"] <= 1
    ages = {one.labels["host"]: one.value for one in families["forestall_audit_age_seconds"]}
    assert ages["db01.example"] == 90
    assert "gone01" not in ages
    assert [one.value for one in families["forestall_audit_hosts"]] == [4, 1]
    assert len(re.findall(r"^# TYPE", text, re.MULTILINE)) == len(families) == 5
    # A newline in a name is escaped, so that it makes no line of its own.
    assert "\n- hosts: all" not in text


def test_a_host_that_was_read_twice_is_one_host_of_the_textfile():
    """node_exporter drops a file with two series of the same labels."""
    found = [Seen(name="db01", facts=seed_like(at=AT - age)) for age in (10, 20)]
    lines = [line for line in told(Textfile, found).splitlines() if not line.startswith("#")]
    series = [line.rpartition(" ")[0] for line in lines]
    assert len(set(series)) == len(series)
    assert any('forestall_audit_age_seconds{host="db01"} 10' in line for line in lines)


def test_the_play_automates_what_is_safe_and_takes_it_back():
    """sysctl now and kept, with the value that was seen as the way back; no shell anywhere."""
    text = told(Ansible, hosts()[:1])
    assert '- name: "forestall audit: db01.example"\n  hosts: "db01.example"\n' in text
    now = text.index('argv: ["sysctl", "-w", "vm.panic_on_oom=0"]')
    back = text.index('argv: ["sysctl", "-w", "vm.panic_on_oom=1"]')
    assert now < back
    path = "/etc/sysctl.d/99-z-forestall-vm.panic_on_oom.conf"
    assert f'"{path}"' in text
    # What is read last counts, and distributions link /etc/sysctl.conf there.
    assert path > "/etc/sysctl.d/99-sysctl.conf"
    tags = text[text.rindex("tags:", 0, back) : back]
    assert '["undo", "never"]' in tags
    assert "90-forestall-svc-001.conf" in text
    assert "builtin.shell" not in text


def test_the_play_asks_before_it_sets():
    """No command that changes something runs where nothing is to be changed, there and back."""
    text = told(Ansible, hosts()[:1]).replace("!unsafe", "")
    (play,) = yaml.safe_load(text)
    commands = [task for task in play["tasks"] if "ansible.builtin.command" in task]
    asks = [task for task in commands if task.get("check_mode") is False]
    assert all(task["changed_when"] is False for task in asks)
    assert {task["ansible.builtin.command"]["argv"][1] for task in asks} == {"-n"}
    sets = [task for task in commands if task not in asks]
    assert {task["ansible.builtin.command"]["argv"][0] for task in sets} == {
        "sysctl",
        "systemctl",
        "rmdir",
    }
    assert all(task["when"].startswith("forestall_") for task in sets)
    for task in sets:
        # What it asks about was registered by a task that runs with it.
        before = play["tasks"][: play["tasks"].index(task)]
        name = task["when"].partition(" ")[0].partition(".")[0]
        (last,) = [one for one in before if one.get("register") == name][-1:]
        assert last["tags"] == task["tags"]


def test_the_play_protects_postgres_and_not_its_sessions():
    """The drop-in has the environment that gives sessions their own score."""
    facts = with_sysctls(seed_like(), vm__panic_on_oom="0")
    text = told(Ansible, [Seen(name="db01", facts=facts)], rules=chosen_rules(["OOM-001"]))
    assert "OOMScoreAdjust=-900\\nEnvironment=PG_OOM_ADJUST_FILE=" in text
    assert "in force after its next start" in text


def test_what_needs_a_person_is_shown_and_not_done():
    """A move to another release is a message, as a text that Ansible does not evaluate."""
    text = told(Ansible, hosts()[:1], rules=chosen_rules(["KRN-001"]))
    assert "ansible.builtin.debug" in text
    assert "msg: !unsafe " in text
    assert "builtin.command" not in text


def test_what_takes_memory_or_makes_programs_fail_is_left_to_a_person():
    """Huge pages take memory at once, overcommit refuses it to what ran: no task sets them."""
    facts = with_sysctls(seed_like(), vm__overcommit_memory="1")
    text = told(Ansible, [Seen(name="db01", facts=facts)], rules=chosen_rules(["OVC-003"]))
    assert "OVC-003: by hand" in text
    assert "dest:" not in text
    assert "builtin.command" not in text


@pytest.mark.parametrize("name", ["all", "db*", "a:b", "!x", "a,b", "-x", "{{ x }}", "", HOSTILE])
def test_a_name_that_is_a_pattern_gets_no_play(name):
    """A host that calls itself `all` would have its remedies run everywhere."""
    text = told(Ansible, [Seen(name=name, facts=seed_like())])
    assert "hosts:" not in re.sub("^#.*", "", text, flags=re.MULTILINE)
    assert "# left out, its name could be a pattern" in text
    assert text.endswith("---\n[]\n") or text.rstrip().endswith("[]")
    assert all(line.isprintable() for line in text.splitlines())


def test_a_unit_with_a_strange_name_gets_no_file():
    """Its drop-in would be written where its name leads; it is left to a person."""
    strange = replace(
        seed_like(),
        units=(unit("../../x.service", main_pid=9, restart="no", fragment_path="/etc/systemd/x"),),
    )
    text = told(Ansible, [Seen(name="db01", facts=strange)], rules=chosen_rules(["SVC-001"]))
    assert "../../x.service.d" not in text
    assert "by hand" in text
