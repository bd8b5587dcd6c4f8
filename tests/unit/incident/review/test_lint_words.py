"""The lexical matcher behind the rules on measures and causes."""

import pytest

from forestall.incident.review import lint_words


@pytest.mark.parametrize(
    "words",
    [
        "upgrade upgrades upgrading upgraded",
        "configure configuration configurations configured",
        "leak leaks leaking leaked",
        "profile profiling profiles",
        "deploy deployment deployments deploying",
        "swap swapping swaps",
        "alert alerts alerting",
        "memory memories",
    ],
)
def test_inflections_share_a_stem(words):
    """All forms of a word have one stem."""
    assert len({lint_words.stem(word) for word in words.split()}) == 1


def test_different_words_have_different_stems():
    """Words that only look alike stay apart."""
    words = ["server", "service", "serial", "swap", "sweep", "test", "text", "leak", "cache"]
    assert len({lint_words.stem(word) for word in words}) == len(words)


@pytest.mark.parametrize(
    ("measure", "follow_up", "is_about"),
    [
        ("Rotate database credentials each quarter.", "Schedule rotation of credentials.", True),
        ("Test restores of backups monthly.", "Restore one backup a month, and test it.", True),
        ("Add swap so that nothing panics.", "Add swap to the database hosts.", True),
        ("Alert on certificates that expire.", "Add an alert for expiring certificates.", True),
        ("Alert on disks that fill up.", "Add an alert for expiring certificates.", False),
        ("Page somebody when memory grows.", "Give pipelines a memory profiler.", False),
        ("Train the night shift.", "Buy a bigger server.", False),
        ("Improve everything.", "Review all of it.", False),
    ],
)
def test_what_carries_out_what(measure, follow_up, is_about):
    """A follow-up carries out a measure when they share what they are about."""
    assert lint_words.is_about(measure, follow_up) is is_about


@pytest.mark.parametrize(
    ("one", "other", "is_repeat"),
    [
        ("A connection leak in the API.", "The API had connection leaks under load.", True),
        ("The disk of db-1 was full.", "db-1 had a full disk.", True),
        ("A memory leak in the importer.", "Memory exhaustion met too little swap.", False),
        ("The database server had no swap.", "The database server ran an old kernel.", False),
        ("A deadlock in the scheduler.", "The scheduler was not monitored.", False),
    ],
)
def test_one_cause_or_two(one, other, is_repeat):
    """Two causes are one when they name the same fault, or say the same words."""
    assert lint_words.is_repeat(one, other) is is_repeat
