"""audit on the host the tests run on, and its reports in the programs that read them."""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.facts import healthy, seed_like
from tests.integration.sshd import ssh_server

from forestall.audit.rules import RULES
from forestall.model.codec import dumps

ROOT = Path(__file__).parents[2]
PLAIN_USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def audit(*words, prefix=(), **options):
    command = [*prefix, sys.executable, "-m", "forestall", "audit", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def as_plain_user():
    return PLAIN_USER if os.geteuid() == 0 else []


@pytest.fixture
def fleet(tmp_path):
    """Forty hosts in a file, of every second one the next leak is an outage."""
    path = tmp_path / "facts.jsonl"
    hosts = [
        replace(
            seed_like() if number % 2 else healthy(),
            hostname=f"h{number:02}.example",
            boot_id=f"boot-{number}",
        )
        for number in range(40)
    ]
    path.write_text("".join(f"{dumps(one)}\n" for one in hosts))
    return str(path)


@pytest.mark.parametrize("prefix", [[], as_plain_user()], ids=["this user", "no rights"])
def test_this_host(prefix):
    """Whoever asks gets a line per rule, each with a state, and no word of trouble of ours."""
    shown = audit("--json", "--state", "/nonexistent", prefix=prefix)
    assert shown.returncode in (0, 1, 3), shown.stderr
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [one["rule"] for one in lines] == [rule.id for rule in RULES if not rule.optional]
    assert not [one for one in lines if "could not judge" in one["text"]]
    assert sum(one["state"] != "unknown" for one in lines) > len(lines) / 2
    assert not any("Traceback" in text for text in (shown.stdout, shown.stderr))


def test_one_report_over_ssh_sosreports_and_this_host(tmp_path):
    """Hosts over real SSH by an inventory's group, a refused one, sosreports, and this host."""
    inventory, report = tmp_path / "hosts.ini", tmp_path / "fleet.html"
    inventory.write_text("[databases]\nhost-1\n[web]\nhost-2\n")
    with ssh_server(tmp_path, {"plain": None, "refused": "exit 1"}) as server:
        shown = audit(
            *("ssh", "refused", "sosreport", str(ROOT / "tests/data/sosreports"), "--apart"),
            *("--inventory", str(inventory), "--role", "db=@databases", "local", "--json"),
            *("--ssh-config", str(server.config), "--html", str(report), "--rule", "SWP-002"),
        )
    lines = {one["host"]: one for one in map(json.loads, shown.stdout.splitlines())}
    assert shown.returncode == 1, shown.stderr
    assert {"host-1", "host-2", "refused", "db01.example", "app01.example"} < set(lines)
    assert len(lines) == 6
    assert lines["db01.example"]["state"] == "fail"
    # The same machine twice: as a database's by its group, and by what runs on it.
    assert lines["host-1"]["state"] in ("pass", "fail")
    assert lines["host-2"]["origin"] == "ssh"
    assert lines["refused"]["state"] == "unknown"
    assert "refused" in report.read_text()


def test_a_question_reaches_hosts_as_the_audit_does(tmp_path):
    """Through a jump host, as a user of its own, with answers kept: then nobody is asked again."""
    question = "all host: mem_total_bytes > 1MiB"
    with ssh_server(tmp_path) as server:
        words = [question, "--from", "ssh", "--from", "root@host-1", "--keep", str(tmp_path / "k")]
        words += ["--ssh-config", str(server.config), "--ssh-option", "ProxyJump=host-2"]
        asked = audit("check", *words)
        # A host key that is not known, and nothing kept: it is not seen, so it is not known.
        (tmp_path / "none").touch()
        refused = audit("check", *words[:5], *words[7:], "--known-hosts", str(tmp_path / "none"))
    assert (asked.returncode, asked.stdout) == (0, "true: so on 1 host\n"), asked.stderr
    assert refused.returncode == 3
    assert "unknown on host-1: its host key is not known" in refused.stdout
    again = audit("check", *words)
    assert (again.returncode, again.stdout) == (0, "true: so on 1 host\n"), again.stderr
    stale = audit("check", *words, "--max-age", "0s", "--host-timeout", "5s")
    assert stale.returncode == 3


def test_the_standard_library_is_enough(fleet, tmp_path):
    """Without any other package every report is written, and questions are answered."""
    bare = [sys.executable, "-S", "-m", "forestall", "audit"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    names = ["html", "sarif", "junit", "textfile", "ansible"]
    words = [word for name in names for word in (f"--{name}", str(tmp_path / name))]
    for tail, code in (
        (["facts", fleet, *words], 1),
        (["check", "any host: vm.panic_on_oom = 1", "--facts", fleet], 0),
        (["rules"], 0),
    ):
        ran = subprocess.run(
            [*bare, *tail], env=environment, capture_output=True, text=True, timeout=60
        )
        assert ran.returncode == code, ran.stderr
    assert sorted(os.listdir(tmp_path)) == sorted([*names, "facts.jsonl"])


def test_a_reader_that_went_away_costs_no_report(fleet, tmp_path):
    """`forestall audit ... | true`: the files are whole, and nobody is told of a pipe."""
    report = tmp_path / "audit.xml"
    running = subprocess.Popen(
        [sys.executable, "-m", "forestall", "audit", "facts", fleet, "--junit", str(report)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running.stdout.close()
    error = running.stderr.read()
    running.stderr.close()
    running.wait(timeout=60)
    assert "Traceback" not in error
    assert "Broken" not in error
    assert len(ET.parse(report).getroot()) == 40


def test_the_page_in_a_browser(fleet, tmp_path):
    """A browser makes of the file a matrix of all hosts and rules, the worst first."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("chromium is not installed (sh tools/packages.sh browser)")
    page = tmp_path / "fleet.html"
    assert audit("facts", fleet, "--html", str(page)).returncode == 1
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    shown = subprocess.run(
        [browser, *words, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    dom = shown.stdout
    rules = sum(not rule.optional for rule in RULES)
    assert dom.count('<th scope="row" title="h') == 40
    assert dom.count('<th scope="col" title=') == rules
    assert dom.index('title="h01.example"') < dom.index('title="h00.example"')


def test_the_play_is_one_that_ansible_reads(fleet, tmp_path):
    """ansible-playbook --syntax-check takes it; nothing is run."""
    beside = os.path.dirname(sys.executable)
    ansible = shutil.which("ansible-playbook", path=os.pathsep.join((beside, os.defpath)))
    if ansible is None:
        pytest.skip("ansible-core is not installed")
    play = tmp_path / "audit.yml"
    assert audit("facts", fleet, "--ansible", str(play)).returncode == 1
    ran = subprocess.run(
        [ansible, "--syntax-check", "-i", "h01.example,", str(play)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stderr


def test_the_textfile_is_one_that_promtool_takes(fleet, tmp_path):
    """promtool check metrics finds nothing to say."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (sh tools/packages.sh metrics)")
    path = tmp_path / "audit.prom"
    assert audit("facts", fleet, "--textfile", str(path)).returncode == 1
    ran = subprocess.run(
        [promtool, "check", "metrics"],
        input=path.read_text(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr + ran.stdout) == (0, "")
