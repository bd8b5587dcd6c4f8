"""The documents do what they say: every `console` block is run, every link leads somewhere."""

import doctest
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "CONTRIBUTING.md",
        ROOT / "cims" / "README.md",
    ]
)
RUN = [path for path in DOCUMENTS if "```console" in path.read_text(encoding="utf-8")]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _commands(path: Path) -> list[tuple[str, str]]:
    """The commands of a document's `console` blocks, each with the output it shows."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            first, *rest = part.splitlines(keepends=True)
            # As in a shell: lines of a command after its first begin with the second prompt.
            more = list(itertools.takewhile(lambda line: line.startswith(">"), rest))
            command = first + "".join(re.sub(r"^> ?", "", line) for line in more)
            found.append((command, "".join(rest[len(more) :])))
    return found


def test_the_readme_and_the_tutorial_are_run():
    """The two documents a newcomer follows hold commands that this test runs."""
    assert {ROOT / "README.md", ROOT / "docs" / "tutorial.md"} <= set(RUN)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("path", RUN, ids=_id)
def test_a_document_shows_what_really_happens(path, tmp_path):
    """Each command, run in order in an empty folder, prints what the document shows.

    `...` stands for what differs from host to host. A command may end with 0 or 1; both are
    answers, and the document shows which sentences came with it.
    """
    commands = _commands(path)
    assert commands
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "FORESTALL_STATE": str(tmp_path / "state"),
        "NO_COLOR": "1",
        "COLUMNS": "100",
    }
    checker = doctest.OutputChecker()
    for command, expected in commands:
        ran = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        got = ran.stdout + ran.stderr
        assert ran.returncode in (0, 1), f"$ {command}\n{got}"
        assert checker.check_output(expected, got, FLAGS), f"$ {command}\n{got}\nshown:\n{expected}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=_id)
def test_links_between_documents_lead_somewhere(path):
    """A relative link names a file that exists."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target
