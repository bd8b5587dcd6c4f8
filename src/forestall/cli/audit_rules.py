"""List the rules of the audit, or explain one.

The optional ones are judged with `forestall audit --optional`, or by name with --rule ID.

examples:
  forestall audit rules
  forestall audit rules PAN-001
  forestall audit rules --json
"""

import argparse

from forestall.audit.rule import Rule
from forestall.audit.rules import RULES, reason
from forestall.cli.audit import rule_id
from forestall.cli.options import add_json, print_json
from forestall.cli.style import Style
from forestall.model.codec import Json


def configure(parser: argparse.ArgumentParser) -> None:
    """ID and `--json`."""
    parser.add_argument("id", nargs="*", metavar="ID", help="rules to explain, such as PAN-001")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the list, or the explanations."""
    wanted = [rule_id(name) for name in args.id]
    found = [rule for rule in RULES if rule.id in wanted] if wanted else list(RULES)
    if args.json:
        print_json({"schema": "forestall/audit-rules/1", "rules": [_json(rule) for rule in found]})
    elif wanted:
        print("\n\n".join(_explained(rule) for rule in found))
    else:
        for rule in found:
            off = " (optional)" if rule.optional else ""
            print(f"{rule.id:<8} {rule.severity.value:<8} {rule.title}{off}")
    return 0


def _explained(rule: Rule) -> str:
    optional = ", optional" if rule.optional else ""
    lines = [f"{rule.id}  {rule.title} ({rule.severity.value}{optional})", ""]
    style = Style.of_stdout()
    for paragraph in reason(rule).split("\n\n"):
        lines += [*style.wrapped(" ".join(paragraph.split())), ""]
    for name, text in (
        ("reads", ", ".join(rule.reads)),
        ("expected", rule.expected),
        ("source", rule.reference),
        ("do", rule.remedy),
        ("undo", rule.undo),
        ("costs", rule.cost.value),
    ):
        lines += style.wrapped(f"{name:<10}{text}", rest=" " * 10)
    return "\n".join(lines)


def _json(rule: Rule) -> dict[str, Json]:
    return {
        "id": rule.id,
        "title": rule.title,
        "severity": rule.severity.value,
        "reason": reason(rule),
        "reads": list(rule.reads),
        "expected": rule.expected,
        "reference": rule.reference,
        "remedy": rule.remedy,
        "undo": rule.undo,
        "cost": rule.cost.value,
        "optional": rule.optional,
    }
