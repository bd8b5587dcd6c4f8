"""The script as text: what a host is sent."""

import re
import shutil
import subprocess

import pytest

from forestall.audit.collect.script import quoted, script
from forestall.sense import sources

MARK = "0123456789abcdef"
WRITES = re.compile(r"\b(rm|mv|cp|tee|touch|mkdir|chmod|chown|ln|dd|mktemp|kexec|sysctl)\b")


def test_the_list_is_the_table():
    """Every place and every command of the table stands in it; there is no other list."""
    text = script(MARK).decode()
    for source in sources.SOURCES:
        assert quoted("/" + source.path) in text
    for words in sources.COMMANDS:
        assert " ".join(quoted(word) for word in words) in text


def test_it_writes_nothing():
    """No command that changes anything, and no output to a file but /dev/null."""
    code = "\n".join(
        line for line in script(MARK).decode().splitlines() if not line.lstrip().startswith("#")
    )
    assert WRITES.search(re.sub(r"'[^']*'", "", code)) is None
    without_words = re.sub(r"'[^']*'", "", code)
    assert set(re.findall(r"\d?>>?\s*([^\s;)&|]+)", without_words)) <= {"/dev/null"}
    assert "<<" not in without_words


def test_it_begins_to_run_only_at_its_last_line():
    """Above it there are functions and values alone."""
    last = script(MARK).decode().rstrip("\n").splitlines()[-1]
    assert last == "forestall </dev/null"


def test_shellcheck_has_nothing_to_say(tmp_path):
    """The linter of shells agrees; its one exception is `ls`, whose words are read for links."""
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    path = tmp_path / "collector"
    path.write_bytes(script(MARK))
    done = subprocess.run(
        ["shellcheck", "-s", "sh", "-e", "SC2012", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == ""


@pytest.mark.parametrize("text", ["plain", "it's", '$(id) `id` \\ " *', "a\nb", "", "'''"])
def test_a_quoted_word_is_one_word(text):
    """Whatever it holds, a shell reads the same word."""
    line = f"printf %s {quoted(text)}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30)
    assert done.stdout == text
