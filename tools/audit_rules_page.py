"""Writes docs/reference/audit-rules.md from the rules' own docstrings and fields.

python tools/audit_rules_page.py            write the page
python tools/audit_rules_page.py --check    end with 1 where the page is not current
"""

import argparse
import sys
from pathlib import Path

from forestall.audit.rule import Rule
from forestall.audit.rules import RULES, reason

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "audit-rules.md"
FAMILIES = {
    "CGR": "Control groups",
    "COR": "Core dumps",
    "HUG": "Huge pages",
    "JRN": "The journal",
    "KDP": "Crash dumps of the kernel",
    "KRN": "The kernel's life cycle and open faults",
    "LIM": "Memory limits of services",
    "LMT": "Limits of users",
    "MEM": "Memory now",
    "MIN": "The kernel's reserve",
    "NUM": "Memory nodes",
    "OBS": "Who watches",
    "OOM": "Whom the OOM killer takes",
    "OVC": "Overcommit",
    "PAN": "Panic instead of a kill",
    "SVC": "What happens after a kill",
    "SWA": "Swappiness",
    "SWP": "Swap",
    "THP": "Transparent huge pages",
    "TMP": "tmpfs",
}
HEAD = """\
# The rules of `forestall audit`

This page is made from the rules themselves (`python tools/audit_rules_page.py`); each is a file of
`src/forestall/audit/rules/`. `forestall audit rules ID` shows the same on a terminal. Severities:
critical takes the host or its database down; high makes an outage likelier or longer; medium
deserves a change when there is time; low is to know. A rule may grade one host's finding higher or
lower than the grade below, which is the one it has by default. Optional rules run with
`--optional`, `--rule ID`, or `rules.optional` of the site's audit file.

"""


def page() -> str:
    """The whole document."""
    parts = [HEAD, "| rule | about | severity | costs |\n|---|---|---|---|\n"]
    for rule in RULES:
        off = " (optional)" if rule.optional else ""
        parts.append(
            f"| [{rule.id}](#{rule.id.lower()}) | {_cell(rule.title)}{off} "
            f"| {rule.severity.value} | {rule.cost.value} |\n"
        )
    family = ""
    for rule in RULES:
        if rule.id[:3] != family:
            family = rule.id[:3]
            parts.append(f"\n## {FAMILIES.get(family, family)}\n")
        parts.append(_section(rule))
    return "".join(parts)


def _section(rule: Rule) -> str:
    off = " (optional)" if rule.optional else ""
    rows = [
        ("severity", rule.severity.value + off),
        ("expected", rule.expected),
        ("source", rule.reference),
        ("reads", ", ".join(f"`{pointer}`" for pointer in rule.reads)),
        ("do", rule.remedy),
        ("undo", rule.undo),
        ("costs", rule.cost.value),
    ]
    table = "".join(f"| {name} | {_cell(text)} |\n" for name, text in rows)
    return (
        f"\n### {rule.id}\n\n**{rule.title}.** {_prose(reason(rule))}\n\n| | |\n|---|---|\n{table}"
    )


def _prose(text: str) -> str:
    """A docstring as Markdown: what would be a mark is text."""
    return text.replace("*", "\\*").replace("<", "&lt;")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    text = page()
    if not args.check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is not current: python tools/audit_rules_page.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
