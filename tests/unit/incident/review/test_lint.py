"""What a careful reader asks, and what they do not."""

from pathlib import Path

import pytest

from forestall.incident.review.lint import lint
from forestall.incident.review.parse import parse
from forestall.incident.review.reading import Severity

DATA = Path(__file__).parents[3] / "data" / "reviews"
LEAK = (DATA / "thread-leak.md").read_text()
CLEAN = (DATA / "price-cache.md").read_text()
CERTIFICATE = (DATA / "expired-certificate.md").read_text()


def found(text):
    """(rule, line) of every finding."""
    return [(finding.rule, finding.line) for finding in lint(parse(text.encode()))]


def line_of(text, passage):
    assert passage in text
    return text[: text.index(passage)].count("\n") + 1


@pytest.mark.parametrize("text", [CLEAN, CERTIFICATE], ids=["leak", "certificate"])
def test_a_clean_review_raises_no_question(text):
    """Two incidents of different kinds, both told well: nothing to ask."""
    assert found(text) == []


def test_every_planted_fault_is_found_and_no_other():
    """The sample's faults are found, each at its line, and nothing else is."""
    assert found(LEAK) == [
        ("detected-by-outage", line_of(LEAK, "-   **Incident Detected")),
        ("downtime", line_of(LEAK, "-   **Total Downtime")),
        ("panic-without-oom", line_of(LEAK, "    -   A thread leak")),
        ("leak-without-limit", line_of(LEAK, "    -   A thread leak")),
        ("cause-twice", line_of(LEAK, "    -   The thread leak")),
        ("release-as-kernel", line_of(LEAK, "kernel version 7.4")),
        ("redirect-and-outage", line_of(LEAK, "Moved the portal")),
        ("measure-without-follow-up", line_of(LEAK, "2.  Train")),
        ("swap-against-panic", line_of(LEAK, "3.  Add swap so")),
        ("swap-against-panic", line_of(LEAK, "Enough swap")),
        ("follow-up-other-team", line_of(LEAK, "2.  Add swap to")),
    ]


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("times-order", "2026-07-07, 09:16 AM CDT", "2026-07-07, 09:14 AM CDT"),
        ("times-order", "2026-07-07, 09:31 AM CDT", "2026-07-07, 09:10 AM CDT"),
        ("downtime", "16 minutes", "2 hours 16 minutes"),
        ("downtime", "16 minutes", "15 minutes"),
        ("date", "July 7, 2026", "July 8, 2026"),
        ("number-date", "INC-20260707-001", "INC-20260706-001"),
        ("prose-time", "From 09:15 AM CDT", "From 09:45 AM CDT"),
        ("zone", "2026-07-07, 09:16 AM CDT", "2026-07-07, 09:16 AM CST"),
        ("zone", "From 09:15 AM CDT", "From 09:15 AM MDT"),
        ("deadline-past", "2026-07-21", "2025-07-21"),
        ("follow-up-owner", "-   **Owner:** Pricing Team\n", ""),
        ("follow-up-owner", "-   **Owner:** Pricing Team", "-   **Owner:** TBD"),
        ("follow-up-date", "-   **Deadline:** 2026-07-21\n", ""),
        ("follow-up-date", "-   **Deadline:** 2026-07-21", "-   **Deadline:** soon"),
        ("owner-unknown", "-   **Owner:** Pricing Team", "-   **Owner:** Catering"),
        (
            "measure-without-follow-up",
            "2.  Find caches without a bound, and give each a size.",
            "2.  Write this down.",
        ),
        ("cause-twice", "The canary of the release ran", "Another memory leak ran"),
        (
            "cause-twice",
            "The canary of the release ran for 20 minutes only",
            "Every answer was kept by the price cache for ever",
        ),
        ("panic-without-oom", "stopped before that", "stopped after a kernel panic"),
        ("swap-against-panic", "-   A canary", "-   Swap would have stopped the panic. A canary"),
        ("release-as-kernel", "-   A canary", "-   A RHEL kernel (8.10) and a canary"),
        ("empty", "    \n    -   Some 300 requests were answered 2 seconds late.\n", ""),
        ("empty", "    -   Lea Marsh (On Call)\n", ""),
        ("missing", CLEAN[CLEAN.index("-   **Deadline") :], ""),
    ],
)
def test_one_fault_in_a_clean_review(rule, old, new):
    """A clean review with one fault put in raises that question."""
    assert old in CLEAN
    assert rule in {name for name, _ in found(CLEAN.replace(old, new))}


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        (
            "panic-without-oom",
            "the kernel panicked",
            "the kernel panicked, as panic_on_oom was set",
        ),
        ("leak-without-limit", "No panel showed", "No MemoryMax was set and no panel showed"),
        (
            "redirect-and-outage",
            "No panel showed",
            "The standby was an hour behind, no panel showed",
        ),
        ("redirect-and-outage", "2026-03-13, 01:25 AM CET", "2026-03-13, 12:05 AM CET"),
        ("detected-by-outage", "At 11:40 PM CET, `book-db-07`", "At 11:41 PM CET, `book-db-07`"),
        ("downtime", "1 hour 35 minutes", "1 hour 45 minutes"),
        ("release-as-kernel", "kernel version 7.4", "kernel version 3.10.0-693"),
        ("release-as-kernel", "CentOS with kernel version 7.4", "a kernel version 7.4"),
        ("follow-up-other-team", "Wen Zhou", "Wen Zhou"),
    ],
)
def test_a_fault_repaired_is_not_asked_again(rule, old, new):
    """What the document explains, or does not claim, raises no question."""
    text = LEAK.replace(old, new)
    if rule == "follow-up-other-team":
        text = text.replace("-   **Owner:** Platform Team", "-   **Owner:** Database Team")
        text = text.replace("2.  Add swap to the database hosts.", "2.  Add swap to all hosts.")
    assert rule not in {name for name, _ in found(text)}


def test_a_document_that_is_no_review():
    """Any other Markdown is asked for the four things without which there is no review."""
    assert [rule for rule, _ in found("# Notes\n\n- milk\n")] == ["missing"] * 4


def test_times_are_compared_as_instants():
    """On the night the clock goes back, the later reading may look the earlier one."""
    text = CLEAN
    for old, new in (
        ("July 7, 2026", "November 1, 2026"),
        ("INC-20260707", "INC-20261101"),
        ("2026-07-07, 09:15 AM CDT", "2026-11-01, 01:50 AM CDT"),
        ("2026-07-07, 09:16 AM CDT", "2026-11-01, 01:55 AM CDT"),
        ("2026-07-07, 09:31 AM CDT", "2026-11-01, 01:06 AM CST"),
        ("From 09:15 AM CDT", "From 01:50 AM CDT"),
        ("2026-07-21", "2026-11-21"),
    ):
        assert old in text
        text = text.replace(old, new)
    assert found(text) == []


def test_each_finding_says_what_and_asks():
    """Every finding has a sentence, and a question that ends in a question mark."""
    for finding in lint(parse(LEAK.encode())):
        assert finding.message
        assert finding.question.endswith("?")
        assert finding.severity in Severity
