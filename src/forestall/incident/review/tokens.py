"""Words that carry a claim: numbers, times, versions, names, code, and negations.

A word is what stands between blanks, without the punctuation around it. What is neither a number,
capitalised, foreign nor code is plain, and a person may choose other plain words freely.
"""

import re
import unicodedata
from typing import NamedTuple

from forestall.incident.review.templates import TEMPLATES

PERSON = re.compile(r'\[([^\[\]]*)\]\{by="([^"{}]+)"\}')
"""A passage marked as a person's, a bracketed span of Pandoc's: `[text]{by="Jane Doe"}`."""

_AROUND = ".,;:!?()[]\"'“”‘’*_"
_CODE = frozenset("/_=@:\\~$#%+<>|^&.-–—")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NUMBER_WORDS = _set(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
    "hundred thousand million billion dozen dozens hundreds thousands half twice thrice double "
    "triple couple several both first second third fourth fifth"
)
_NEGATIONS = _set(
    "no not never none nothing nobody neither nor without cannot can't didn't wasn't isn't won't "
    "doesn't hadn't weren't failed"
)
_FUNCTION_WORDS = _set(
    "a about above after again all also although an and any are as at be because been before being "
    "below between but by can could did do does during each for from had has have he her here his "
    "how however i if in into is it its later many may more most much of on once only or other our "
    "over she should since so some such than that the their them then there these they this those "
    "though through thus to too under until up us very was we were what when where which while who "
    "why will with within would you your"
)


def _template_words() -> frozenset[str]:
    fixed = " ".join(re.sub(r"`?\{\w*\}`?", " ", text) for text in TEMPLATES.values())
    usual = (word for word in map(clean, fixed.split()) if word.isalpha() and word.isascii())
    return frozenset(word.lower() for word in usual if word[1:].islower() or len(word) == 1)


def clean(word: str) -> str:
    """A word without the punctuation and marks around it; a sign before a number stays."""
    return word.strip(_AROUND).replace("`", "")


class Word(NamedTuple):
    """A word of a line; `is_code` where it stood in code marks, and so is a name."""

    text: str
    is_code: bool = False


def words(text: str) -> list[Word]:
    """The words of one line, in order; what has neither letter nor number is none."""
    pairs = ((clean(raw), raw) for raw in text.split())
    return [
        Word(word, "`" in raw)
        for word, raw in pairs
        if any(c.isalnum() or _is_numeric(c) for c in word)
    ]


def _is_numeric(character: str) -> bool:
    return unicodedata.numeric(character, None) is not None


_PLAIN = _FUNCTION_WORDS | _template_words()


def is_plain(word: Word) -> bool:
    """Whether a word is one of the templates' own, or holds a sentence together."""
    lower = word.text.lower()
    is_usual = word.text in (lower, word.text[:1].upper() + lower[1:])
    return is_usual and not word.is_code and lower in _PLAIN


def is_negation(word: Word) -> bool:
    """Whether a word turns a sentence round."""
    return word.text.lower() in _NEGATIONS


def bears_claim(word: Word) -> bool:
    """Whether a word says something that only a fact, or a person, can answer for."""
    if any(_is_numeric(c) for c in word.text):
        return True
    if word.text.lower() in _NUMBER_WORDS or is_negation(word):
        return True
    if is_plain(word):
        return False
    if word.is_code or any(c in _CODE for c in word.text):
        return True
    return any(c.isupper() or not c.isascii() for c in word.text)
