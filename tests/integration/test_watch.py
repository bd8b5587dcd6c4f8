"""`forestall watch` as a person or systemd runs it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

FORESTALL = [sys.executable, "-m", "forestall"]


def run(*words: str, **more) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*FORESTALL, *words], capture_output=True, text=True, check=False, timeout=60, **more
    )


class Running:
    """A `forestall watch` that has said that it watches; `said` is all it wrote."""

    def __init__(self, *words: str, **more) -> None:
        self.process = subprocess.Popen(
            [*FORESTALL, "watch", *words], stderr=subprocess.PIPE, text=True, **more
        )
        self.said = ""
        assert self.process.stderr is not None
        while " watching in " not in self.said.replace(">watching", "> watching"):
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=30)
        self.said += rest
        return self.process.returncode

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def test_once_is_bare(tmp_path):
    """One look needs no folder, no configuration and no environment, and ends with 0."""
    environment = {"FORESTALL_STATE": "/dev/null/nowhere", "PATH": "/usr/bin:/bin"}
    done = run("watch", "--once", env=environment)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "none: /dev/null/nowhere cannot be written" in done.stdout
    assert "UNDECIDED" in done.stdout
    assert "PROCESS" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_once_as_json_is_one_object(tmp_path):
    """The machine gets the sample, and limit and verdict of each process."""
    done = run("watch", "--once", "--json", "--limit", "1T", "--state", str(tmp_path / "s"))
    assert done.returncode == 0
    look = json.loads(done.stdout)
    assert look["schema"] == "forestall/watch-once/1"
    assert look["sample"]["schema"] == "forestall/sample/1"
    assert len(look["processes"]) == len(look["sample"]["processes"]) > 0
    assert {one["verdict"]["schema"] for one in look["processes"]} == {"forestall/verdict/1"}
    assert not (tmp_path / "s").exists()


def test_once_looks_at_the_named_processes_only():
    """--pid and --limit: this very process, against the limit that was given."""
    done = run("watch", "--once", "--json", "--pid", str(os.getpid()), "--limit", "64G")
    (one,) = json.loads(done.stdout)["processes"]
    assert one["process"]["pid"] == os.getpid()
    assert one["limit"] is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--interval", "0"], "--interval: between 0.2 and 60 seconds"),
        (["--limit", "much"], "not a size: 'much'"),
        (["--pid", "4194305"], "no process 4194305"),
        (["--config", "/nonexistent.toml"], "/nonexistent.toml: No such file"),
        (["--listen", "0.0.0.0:9188"], "can be reached from other hosts"),
        (["--listen", "nowhere"], "no address and port"),
        (["--mode", "kill"], "invalid choice"),
        (["--json"], "--json is for --once"),
        (["--listen", "127.0.0.1:1", "--no-listen"], "not allowed with"),
    ],
)
def test_what_is_wrong_with_the_command_is_one_line(tmp_path, words, said):
    """Exit code 2, one line and a hint; never a traceback."""
    done = run("watch", "--state", str(tmp_path / "s"), *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_a_wrong_setting_of_the_file_is_named(tmp_path):
    """Also a setting of guard's own policy, which the agent passes on."""
    config = tmp_path / "f.toml"
    for text, said in (
        ("[agent]\nintervall = 1\n", "agent.intervall: no such key"),
        ("[policy]\ncooldown = 1\n", "no such setting: cooldown"),
    ):
        config.write_text(text)
        done = run("watch", "--config", str(config), "--state", str(tmp_path / "s"))
        assert done.returncode == 2
        assert said in done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_ends_cleanly(tmp_path, number):
    """The tick is finished, the journals closed, the exit code 0, and a second one can start."""
    for _ in range(2):
        with Running("--no-listen", "--state", str(tmp_path)) as agent:
            started = time.monotonic()
            assert agent.end(number) == 0
            assert time.monotonic() - started < 15
            assert f"asked to stop by {number.name}" in agent.said


def test_a_scraper_is_served_between_the_ticks(tmp_path):
    """/metrics is valid for the official parser, /healthz is ok, /other is not there."""
    port = free_port()
    with Running("--listen", f"127.0.0.1:{port}", "--state", str(tmp_path)) as agent:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            text = answer.read().decode()
        names = {family.name for family in text_string_to_metric_families(text)}
        assert {"forestall_agent_rss_bytes", "forestall_host_headroom_bytes"} <= names
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            assert answer.read() == b"ok\n"
        second = run("watch", "--listen", f"127.0.0.1:{port}", "--state", str(tmp_path / "other"))
        assert second.returncode == 3
        assert f"cannot listen on 127.0.0.1:{port}" in second.stderr
        assert agent.end(signal.SIGTERM) == 0


def test_two_agents_do_not_share_a_folder(tmp_path):
    """The second one ends with 3 and says why."""
    with Running("--no-listen", "--state", str(tmp_path)):
        second = run("watch", "--no-listen", "--state", str(tmp_path))
        assert second.returncode == 3
        assert "another agent keeps its state there" in second.stderr


def test_an_agent_over_its_budget_ends_and_says_so(tmp_path):
    """More memory than it may: exit code 3 for systemd's Restart=, one line with both sizes."""
    config = tmp_path / "f.toml"
    config.write_text('[agent]\nmemory_limit = "4M"\n')
    done = run("watch", "--no-listen", "--config", str(config), "--state", str(tmp_path / "s"))
    assert done.returncode == 3
    assert re.search(r"the agent itself holds \d+ MiB, more than the 4\.0 MiB", done.stderr)
    assert "Traceback" not in done.stderr


def test_in_the_journal_each_line_carries_its_priority(tmp_path):
    """With $JOURNAL_STREAM naming its stderr the agent prefixes <N> and leaves time to journald."""
    reader, writer = os.pipe()
    status = os.fstat(writer)
    environment = {**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    agent = subprocess.Popen(
        [*FORESTALL, "watch", "--no-listen", "--state", str(tmp_path)],
        stderr=writer,
        env=environment,
    )
    os.close(writer)
    with os.fdopen(reader) as stream:
        lines = [stream.readline()]
        while "watching" not in lines[-1]:
            lines.append(stream.readline())
            assert lines[-1], lines
        agent.send_signal(signal.SIGTERM)
        lines += stream.readlines()
    assert agent.wait(30) == 0
    assert all(re.match(r"<[346]>\S", line) for line in lines)
