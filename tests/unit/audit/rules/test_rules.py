"""The list of rules: every file of the folder, in order, each with its reason."""

import inspect
import re
from pathlib import Path

from forestall.audit import rules
from forestall.audit.rules import RULES, reason

FILES = sorted(Path(rules.__file__).parent.glob("[a-z]*[0-9]_*.py"))


def test_every_file_is_listed():
    """A rule that nobody listed would never run; a file is named after its rule."""
    named = [re.sub(r"([a-z]+)(\d+)_.*", r"\1-\2", path.stem).upper() for path in FILES]
    assert [rule.id for rule in RULES] == named


def test_a_rules_reason_is_its_files_docstring():
    """Whole, and what the judge's own docstring says is no part of it."""
    for rule, path in zip(RULES, FILES, strict=True):
        said = path.read_text(encoding="utf-8").removeprefix('"""').partition('\n"""\n')[0]
        assert reason(rule) == said.strip()
        assert inspect.getdoc(rule.judge) not in said


def test_no_rule_imports_another():
    """What two of them need is in `shared/`."""
    for path in FILES:
        found = re.findall(r"from forestall\.audit\.rules\.(\w+)", path.read_text(encoding="utf-8"))
        assert set(found) <= {"shared"}, path.name
