"""Do two sentences speak of the same thing? Lexical only: stems of the words that carry meaning.

Suffixes are stripped longest first, a small cousin of Porter's algorithm (1980): enough to hold
`upgrades`, `upgrading` and `upgrade` equal, and readable in full.
"""

import functools
import itertools
import re
from itertools import pairwise

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9'_-]*|\d+(?:\.\d+)*")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SUFFIXES = sorted(
    _words(
        "izations isations ization isation ments ment ions ion ings ing ities ity"
        " ies ers er ed es s ly al e"
    ),
    key=lambda suffix: (-len(suffix), suffix),
)
_PURPOSE = re.compile(r",? (?:so that|so|because|in order to) ")
_STEM_LETTERS_MIN = 3
# Words that any sentence of a review may have, whatever it speaks of.
_EMPTY_WORDS = _words(
    "a about across add after again against all also an and another any are as at be because been"
    " before being better between both build but by can carry cause caused conduct consider could"
    " create define do does done during each early enable enhance ensure establish every existing"
    " extend few first for from further had has have having how if implement improve in include"
    " increase into introduce is it its keep know known last latest less make may more most must"
    " need new next no not of on once one only optimize optimise or other our out over own perform"
    " provide put raise reduce related review run running set should so some start stop such"
    " than that the their them then there these they this those through to too under up update"
    " use used using very was we well were what when where which while who whole will with within"
    " without would write"
)
# What a cause is called; with the word before it, it names one fault: `memory leak`.
_FAULTS = _words(
    "bug conflict contention corruption crash deadlock defect error exhaustion expiry failure"
    " fault growth hang leak leakage loop loss misconfiguration mistake outage overflow overload"
    " panic partition race regression saturation shortage starvation storm timeout typo"
)
# Nobody writes longer sentences; the rest of one is not looked at.
_SENTENCE_WORDS_MAX = 200

OVERLAP_OF_TWO_WORDS = 0.25
OVERLAP_OF_ANY = 0.5
OVERLAP_OF_A_REPEAT = 0.75


def stem(word: str) -> str:
    """The part of a word that its inflections share."""
    plain = word.lower().removesuffix("'s").replace("'", "")
    for suffix in _SUFFIXES:
        if plain.endswith(suffix) and len(plain) - len(suffix) >= _STEM_LETTERS_MIN:
            plain = plain[: -len(suffix)]
            break
    # `rotation` and `rotate`, `configuration` and `configure`; `memory`, but not `deploy`.
    if plain.endswith("at") and len(plain) - 2 >= _STEM_LETTERS_MIN:
        plain = plain[:-2]
    elif plain.endswith("y") and len(plain) > _STEM_LETTERS_MIN and plain[-2] not in "aeou":
        plain = plain[:-1]
    # `running` and `run`, `swapping` and `swap`.
    if len(plain) > _STEM_LETTERS_MIN and plain[-1] == plain[-2] and plain[-1] not in "aeiouls":
        plain = plain[:-1]
    return plain


@functools.lru_cache(maxsize=1024)
def stems(sentence: str) -> tuple[str, ...]:
    """The stems of the words that carry meaning, in order."""
    return tuple(
        stem(word) for word in _first_words(sentence) if word not in _EMPTY_WORDS and len(word) > 1
    )


def overlap(one: str, other: str) -> tuple[int, float]:
    """How many stems two sentences share, and which part of the shorter one that is."""
    ours, theirs = set(stems(one)), set(stems(other))
    shared = len(ours & theirs)
    shorter = min(len(ours), len(theirs))
    return shared, shared / shorter if shorter else 0.0


def is_about(measure: str, follow_up: str) -> bool:
    """Whether carrying out `follow_up` would be (part of) carrying out `measure`.

    What a measure is for (`so that ...`) is not what is to be done, and does not count.
    """
    shared, part = overlap(_PURPOSE.split(measure, 1)[0], _PURPOSE.split(follow_up, 1)[0])
    return part >= OVERLAP_OF_ANY or (shared > 1 and part >= OVERLAP_OF_TWO_WORDS)


def is_repeat(one: str, other: str) -> bool:
    """Whether two causes are one: most of the words, or the same fault by its full name."""
    shared, part = overlap(one, other)
    return (shared > 1 and part >= OVERLAP_OF_A_REPEAT) or bool(faults(one) & faults(other))


@functools.lru_cache(maxsize=1024)
def faults(sentence: str) -> frozenset[tuple[str, str]]:
    """The faults a sentence names: (`memor`, `leak`) for a memory leak."""
    return frozenset(
        (stem(before), _singular(word))
        for before, word in pairwise(_first_words(sentence))
        if _singular(word) in _FAULTS and before not in _EMPTY_WORDS
    )


def _first_words(sentence: str) -> list[str]:
    matches = itertools.islice(_WORD.finditer(sentence), _SENTENCE_WORDS_MAX)
    return [match[0].lower() for match in matches]


def _singular(word: str) -> str:
    return word if word in _FAULTS else word.removesuffix("s")
