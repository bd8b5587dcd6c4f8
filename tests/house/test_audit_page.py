"""The page of the rules says what the rules say."""

import subprocess
import sys
from pathlib import Path

from forestall.audit.rules import RULES

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
