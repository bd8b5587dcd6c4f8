"""look on the host the tests run on: as root and without, below a limit, and into a closed pipe."""

import json
import os
import resource
import subprocess
import sys
import tempfile

import pytest

from forestall.demo.limit import cage
from forestall.model.codec import from_document
from forestall.model.finding import Look, Outcome

MIB = 1024**2
CPU_SECONDS = 2.0

PLAIN_USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def look(*words, prefix=(), **options):
    command = [*prefix, sys.executable, "-m", "forestall", "look", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def as_plain_user():
    """The words that drop root, none where the tests run without it already."""
    return PLAIN_USER if os.geteuid() == 0 else []


@pytest.mark.parametrize("prefix", [[], as_plain_user()], ids=["this user", "no rights"])
def test_this_host(prefix):
    """Whoever asks gets an answer: exit 0 or 1, nothing on stderr, a document that reads back."""
    shown = look("--json", prefix=prefix)
    assert shown.returncode in (0, 1), shown.stderr
    assert shown.stderr == ""
    seen = from_document(Look, json.loads(shown.stdout))
    assert seen.exhaustion.headline
    assert seen.facts.memory.mem_total_bytes
    assert seen.headroom.left_bytes
    assert (shown.returncode == 1) == any(
        finding.severity.value in ("critical", "high") for finding in seen.findings
    )


def test_it_is_not_in_its_own_picture():
    """The process that looks is gone in a moment, and names itself nowhere."""
    shown = subprocess.Popen(
        [sys.executable, "-m", "forestall", "look", "--json"], stdout=subprocess.PIPE, text=True
    )
    output, _ = shown.communicate(timeout=60)
    holders = json.loads(output)["headroom"]["holders"]
    assert shown.pid not in [holder["pid"] for holder in holders]


def test_processor_time():
    """All of it takes less than two seconds of processor, interpreter included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    look()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < CPU_SECONDS


def test_below_a_limit():
    """A process below a cgroup's limit is told of that limit, and of the host beside it."""
    with cage(f"forestall-test-look-{os.getpid()}", 512 * MIB) as limit:
        if not limit.real:
            pytest.skip("no memory cgroup can be made here")
        shown = look("--json", preexec_fn=lambda: limit.admit(os.getpid()))
    seen = from_document(Look, json.loads(shown.stdout))
    assert seen.exhaustion.limit_bytes == 512 * MIB
    assert seen.exhaustion.outcome in (Outcome.CGROUP_KILL, Outcome.PANIC)
    assert seen.headroom.total_bytes == 512 * MIB
    assert 0 < seen.headroom.left_bytes < 512 * MIB


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_text_in_any_terminal(encoding):
    """The report holds within 80 columns and the terminal's encoding."""
    shown = subprocess.run(
        [sys.executable, "-m", "forestall", "look"],
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    text = shown.stdout.decode(encoding)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "WHEN MEMORY RUNS OUT" in text


def test_a_process_with_a_hostile_name():
    """A name with an escape and a newline reaches the report as plain text."""
    name = b"a) \x1b[31m\nR 1"
    script = (
        "import ctypes, sys; held = bytearray(64 << 20); "
        f"ctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as hostile:
        hostile.stdout.readline()
        shown = look()
        facts = json.loads(look("--json").stdout)["facts"]
        hostile.stdin.close()
    assert "\x1b" not in shown.stdout
    if hostile.pid in [holder["process"]["key"]["pid"] for holder in facts["holders"]]:
        assert "a) \\x1b[31m" in shown.stdout


def test_a_reader_that_goes_away():
    """`forestall look | head` ends quietly."""
    with tempfile.TemporaryFile() as errors:
        shown = subprocess.Popen(
            [sys.executable, "-m", "forestall", "look"], stdout=subprocess.PIPE, stderr=errors
        )
        shown.stdout.close()
        shown.wait(timeout=60)
        errors.seek(0)
        assert errors.read() == b""
