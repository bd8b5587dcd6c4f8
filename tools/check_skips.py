"""Prints every skipped test of a JUnit report; exit 1 when one is not listed with its reason.

usage: check_skips.py REPORT.xml SKIPS.txt
"""

import sys
import xml.etree.ElementTree as ElementTree


def main(report: str, listing: str) -> int:
    """Compare the skips in `report` with the prefixes in `listing`."""
    allowed = _allowed(listing)
    unlisted = 0
    cases = list(ElementTree.parse(report).iter("testcase"))
    for case in cases:
        skipped = case.find("skipped")
        if skipped is None:
            continue
        path = str(case.get("classname")).replace(".", "/")
        name = f"{path}.py::{case.get('name')}"
        known = any(name.startswith(prefix) for prefix in allowed)
        unlisted += not known
        print(f"skipped{'' if known else ' and NOT LISTED'}: {name}: {skipped.get('message')}")
    if not cases:
        print("the report holds no test at all")
        return 1
    print(f"{len(cases)} tests, {unlisted} skips not listed in {listing}")
    return 1 if unlisted else 0


def _allowed(listing: str) -> list[str]:
    with open(listing, encoding="utf-8") as lines:
        entries = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for entry in entries:
        if ": " not in entry:
            sys.exit(f"{listing}: no reason given: {entry}")
    return [entry.split(": ", 1)[0] for entry in entries]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
