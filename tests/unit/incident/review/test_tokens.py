"""Which words carry a claim."""

import re

import pytest

from forestall.incident.review.templates import TEMPLATES
from forestall.incident.review.tokens import (
    PERSON,
    Word,
    bears_claim,
    clean,
    is_negation,
    is_plain,
    words,
)


@pytest.mark.parametrize(
    "text",
    [
        "7",
        "03:05",
        "4171,",
        "(97%)",
        "½",
        "４",
        "Ⅳ",
        "二",
        "seven",
        "Twelve",
        "Dallas",
        "CDT",
        "kernelX",
        "memory.max",
        "feed-sync",
        "/proc/meminfo",
        "`redis`",
        "`memory`",
        "vm_swappiness",
        "naïve",
        "база",
        "not",
        "Nobody",
    ],
)
def test_these_need_a_fact_or_a_person(text):
    """Numbers in any script, names, code, spelled numbers, and what turns a sentence round."""
    (word,) = words(text)
    assert bears_claim(word)


@pytest.mark.parametrize("text", ["the", "After", "memory", "Guard", "restarted.", '"was"'])
def test_these_a_person_may_choose(text):
    """Words that hold a sentence together, and the templates' own, also at its start."""
    (word,) = words(text)
    assert not bears_claim(word)


def test_capitals_in_the_middle_are_names():
    """A plain word in capitals is a name all the same."""
    assert is_plain(Word("memory"))
    assert is_plain(Word("Memory"))
    assert not is_plain(Word("MEMORY"))


def test_marks_and_bullets_are_no_words():
    """What has neither letter nor number is punctuation."""
    assert words("-   **—** * , .") == []
    assert words("`a.b`, (c)") == [Word("a.b", True), Word("c")]


def test_templates_hold_no_fact():
    """The fixed words of every template carry no number, no capitalised name and no version.

    What they do name is the product's own and the kernel's vocabulary, listed here.
    """
    own = {"OOM", "site.toml", "one", "first", "Guard's", "by="}
    found = set()
    for text in TEMPLATES.values():
        fixed = re.sub(r"`?\{\w+\}`?|\{\{|\}\}", " ", text)
        for word in words(fixed):
            assert not re.search(r"\d", word.text), text
            if bears_claim(word) and not is_negation(word):
                found.add(word.text)
    assert found <= own, found - own


def test_a_persons_passage_has_a_name():
    """`[text]{by="name"}` is a passage; an empty name or an open bracket is none."""
    assert PERSON.findall('a [b c]{by="Jane Doe"} d') == [("b c", "Jane Doe")]
    assert PERSON.findall('[b]{by=""} [c]{by=Jane} [d] {by="J"}') == []


def test_clean_keeps_signs_and_inner_marks():
    """A minus, a slash and a dot inside a word are part of it."""
    assert [clean(word) for word in ("-5,", "(a.b)", "1.5.", "**x**")] == ["-5", "a.b", "1.5", "x"]
