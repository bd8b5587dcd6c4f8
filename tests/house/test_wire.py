"""What decision 8 promises of guard's clients: small, listed with their sizes, nothing foreign."""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WIRE = sorted((ROOT / "src/forestall/guard/wire").glob("[!_]*.py"))
DECISION = ROOT / "docs/internals/decisions/0008-wire-protocols.md"
HEAVY = {"asyncio", "email", "hashlib", "http.client", "ssl", "subprocess", "urllib.request"}


def test_each_protocol_is_one_small_file_of_the_standard_library():
    """At most 200 lines each, which import the standard library and forestall alone."""
    assert len(WIRE) >= 10
    for path in WIRE:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 200, path.name
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.partition(".")[0]
                assert top == "forestall" or top in sys.stdlib_module_names, f"{path.name}: {name}"


def test_the_decision_lists_them_with_their_true_sizes():
    """Every file is in the table, with the lines that it has."""
    listed = {}
    for cells in re.findall(r"^\| (`.*?) \| ([\d, ]+) \|", DECISION.read_text(), re.MULTILINE):
        names = re.findall(r"`(\w+\.py)`", cells[0])
        listed |= dict(zip(names, map(int, cells[1].split(", ")), strict=True))
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in WIRE}
    assert listed == lines


def test_importing_the_clients_loads_nothing_heavy():
    """Hashes, TLS and processes are loaded where they are needed, and no sooner."""
    names = [f"forestall.guard.wire.{path.stem}" for path in WIRE if path.stem != "scram"]
    names += ["forestall.guard.links", "forestall.guard.fleet"]
    names += ["forestall.guard.actions.switchover"]
    code = f"import sys, {', '.join(names)}\nprint(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not set(ran.stdout.split()) & HEAVY
