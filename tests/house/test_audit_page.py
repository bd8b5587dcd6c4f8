"""The page of the rules says what the rules say."""

import re
import subprocess
import sys
from pathlib import Path

from forestall.audit.rules import RULES
from forestall.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]


def test_the_page_of_the_rules_is_current():
    """docs/reference/audit-rules.md is what tools/audit_rules_page.py writes."""
    ran = subprocess.run(
        [sys.executable, "tools/audit_rules_page.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr


def test_every_rule_has_its_section():
    """One heading per rule, in the rules' order."""
    page = (ROOT / "docs" / "reference" / "audit-rules.md").read_text(encoding="utf-8")
    sections = [line[4:] for line in page.splitlines() if line.startswith("### ")]
    assert sections == [rule.id for rule in RULES]


PAGES = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]


def test_no_page_speaks_of_another_number_of_rules():
    """How many there are, or run unless others are asked for, is what the rules themselves say."""
    numbers = {str(len(RULES)), str(sum(not rule.optional for rule in RULES))}
    for page in (page for page in PAGES if "decisions" not in page.parts):
        found = set(re.findall(r"\b(\d+) rules\b", page.read_text(encoding="utf-8")))
        assert found <= numbers, page


def test_every_command_that_is_named_exists():
    """Pages, messages and reasons send nobody to a command that is not there."""
    sources = (ROOT / "src" / "forestall").rglob("*.py")
    named = re.compile(r"`forestall ([a-z]+)")
    for page in [*PAGES, *sources]:
        found = set(named.findall(page.read_text(encoding="utf-8")))
        assert found <= dict(COMMANDS).keys(), page
