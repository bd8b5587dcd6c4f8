"""The house rules that a program can check."""

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "cims" / "src").rglob("*.py")])
MODULE_LINES = 600
FUNCTION_LINES = 70
BANNED_NAMES = {"utils", "common", "helpers", "core", "manager"}


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=_id)
def test_a_module_opens_with_what_it_is_for_and_stays_readable(path):
    """Each module has a docstring, at most 600 lines, and functions of at most 70."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no docstring"
    assert len(text.splitlines()) <= MODULE_LINES
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.end_lineno - node.lineno + 1 - _docstring_lines(node) > FUNCTION_LINES
    ]
    assert not long


def _docstring_lines(node: ast.FunctionDef) -> int:
    return len((ast.get_docstring(node) or "").splitlines())


def test_no_module_is_a_drawer():
    """A module is named for what is in it."""
    assert len(SOURCES) > 40
    assert not [path for path in SOURCES if path.stem in BANNED_NAMES]


def test_every_package_names_its_place():
    """A package's docstring opens with its stage, or says that it holds the nouns or is a face."""
    packages = sorted((ROOT / "src" / "forestall").glob("*/__init__.py"))
    assert len(packages) >= 10
    for package in packages:
        opening = ast.get_docstring(ast.parse(package.read_text(encoding="utf-8")))
        assert re.match(
            r"(Stages? \d|Wires stages|Before|After|Face|The nouns|Notify)", opening or ""
        ), package


def test_the_product_is_imported_without_importing_anything():
    """`import forestall` costs nothing: the agent starts on dying hosts."""
    tree = ast.parse((ROOT / "src" / "forestall" / "__init__.py").read_text(encoding="utf-8"))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]


def test_the_project_names_no_machine_and_no_package_registry():
    """What is committed works elsewhere: no home folders, no download addresses."""
    # The brackets keep this test from finding itself.
    words = re.compile(
        r"/[r]oot/|/[w]ork/|/home/(?!user|app|alice)[a-z]|py[p]i\.org|python[h]osted"
    )
    found = []
    for path in _tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{_id(path)}: {match[0]}" for match in words.finditer(text)]
    assert not found


def test_every_recorded_host_says_where_it_comes_from():
    """A tree under tests/data/hosts has a PROVENANCE that names a command or a document."""
    hosts = [entry for entry in os.scandir(ROOT / "tests" / "data" / "hosts") if entry.is_dir()]
    assert len(hosts) >= 3
    for host in hosts:
        provenance = Path(host.path, "PROVENANCE").read_text(encoding="utf-8")
        assert re.search(r"(recorded|written)", provenance, re.IGNORECASE), host.path
