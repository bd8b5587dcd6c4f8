"""`forestall drill` as its user calls it: small drills made here, and the real one without QEMU."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

FAKE = '''\
"""A fake: it says what it was given."""
import json, os, sys
from drills.fake.part import ANSWER
if "--json" in sys.argv:
    entry = {"guard": "none", "panicked": True, "seconds": 8.0, "evidence": None, "culprit": "x"}
    print(json.dumps({"guards": [entry]}))
else:
    print(ANSWER, *sys.argv[1:])
sys.exit(int(os.environ.get("FAKE_CODE", "0")))
'''


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "drills" / "fake"
    folder.mkdir(parents=True)
    (folder / "run.py").write_text(FAKE)
    (folder / "part.py").write_text("ANSWER = 42\n")
    (tmp_path / "below" / "deep").mkdir(parents=True)
    return tmp_path


def drill(cwd, *words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "forestall", "drill", *words],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["fake", "../../drills/fake", "../../drills/fake/run.py"])
def test_a_drill_is_found_from_below_by_name_and_by_path(place, name):
    """Its options reach it untouched, also those that we know, and it imports its neighbours."""
    ran = drill(place / "below" / "deep", name, "--guard", "none", "--list", "-h")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "42 --guard none --list -h\n"


def test_its_exit_code_and_its_json_are_passed_on(place):
    """Nothing else stands on standard output."""
    ran = drill(place, "fake", "--json", FAKE_CODE="1")
    assert ran.returncode == 1
    guards = json.loads(ran.stdout)["guards"]
    assert list(guards[0]) == ["guard", "panicked", "seconds", "evidence", "culprit"]


def test_the_list_says_what_each_drill_is(place):
    """Those here and those of the checkout, each with its own first line."""
    ran = drill(place, "--list")
    assert ran.returncode == 0
    assert "fake\n    A fake: it says what it was given.\n" in ran.stdout
    assert "panic\n    A real kernel panics" in ran.stdout


def test_drills_elsewhere_are_named_by_an_option(place, tmp_path):
    """`--drills DIR` alone counts then."""
    ran = drill("/", "--drills", str(place / "drills"), "--list")
    assert ran.stdout.startswith("fake\n")
    assert "panic" not in ran.stdout


@pytest.mark.parametrize("name", ["nosuch", "", "../elsewhere", ".", "a\x1b[31mb"])
def test_a_bad_name_gets_one_line_that_lists_the_drills(place, name):
    """What there is, is what a person wants to know then."""
    ran = drill(place, name)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("forestall: no such drill: ")
    assert "drills here: " in ran.stderr
    assert "fake, " in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert "\x1b" not in ran.stderr


def test_no_name_and_no_folder_are_usage_errors(place):
    """Neither runs anything."""
    assert drill(place).returncode == 2
    assert drill(place, "--drills", "nowhere", "fake").returncode == 2


def test_a_signal_ends_the_drill_and_not_only_us(place):
    """SIGTERM is passed on, and the exit code says so."""
    script = place / "drills" / "fake" / "run.py"
    script.write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    child = subprocess.Popen(
        [sys.executable, "-m", "forestall", "drill", "fake"],
        cwd=place,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "up\n"
    started = time.monotonic()
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 128 + signal.SIGTERM
    assert time.monotonic() - started < 30
    child.stdout.close()


def test_the_panic_drill_says_which_packages_are_missing(tmp_path):
    """All of them in one line, and how to get them: exit code 3, no traceback."""
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_PROGRAMS, "--out", str(tmp_path / "out")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": ROOT, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 3
    first, second = ran.stderr.splitlines()
    assert "qemu-system-x86 e2fsprogs" in first
    assert second.strip().startswith("as root:  sh tools/packages.sh panic")


@pytest.mark.parametrize("words", [["--guard", "x"], ["--memory", "3"], ["--out", "/dev/null/x"]])
def test_the_panic_drill_refuses_bad_input_in_a_line(tmp_path, words):
    """What is wrong, and what would be right; nothing was started."""
    ran = drill(tmp_path, "panic", *words)
    assert ran.returncode in (2, 3)
    assert ran.stdout == ""
    assert ran.stderr.startswith("drill panic: ")
    assert "Traceback" not in ran.stderr


ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A host on which not one program is installed.
WITHOUT_PROGRAMS = """
import sys
from drills.panic import packages
packages.find = lambda program: None
from drills.panic.run import main
sys.exit(main(sys.argv[1:]))
"""
