"""Ask of a review what a careful reader asks: what contradicts, what is missing, what is in doubt.

Exit code 1 when there is something to ask, 0 when there is not.

examples:
  forestall review lint INC-20260302-001.md
  forestall review lint INC-20260302-001.md --json
"""

import argparse

from forestall.cli.options import add_json, print_json, printable
from forestall.cli.review_parse import add_document, read_document
from forestall.incident.review.lint import lint
from forestall.model import codec


def configure(parser: argparse.ArgumentParser) -> None:
    """FILE, `--zone` and `--json`."""
    add_document(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 when there are any."""
    findings = lint(read_document(args))
    if args.json:
        found = [codec.encode(finding) for finding in findings]
        print_json({"schema": "forestall/lint/1", "file": args.file, "findings": found})
    else:
        for finding in findings:
            where = args.file if finding.line is None else f"{args.file}:{finding.line}"
            print(f"{where}: {finding.severity}: {printable(finding.message)} [{finding.rule}]")
            print(f"    {finding.question}")
        if not findings:
            print(f"{args.file}: nothing to ask")
    return 1 if findings else 0
