"""Any incident, any site, any host: the review is of the profile, backed, and cannot be changed."""

import functools
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.fakes import facts as fake_facts
from tests.fakes import leak

from forestall.errors import InputError
from forestall.incident.review.compose import compose
from forestall.incident.review.facts import DERIVATIONS, Book
from forestall.incident.review.parse import parse
from forestall.incident.review.render import render
from forestall.incident.review.tokens import bears_claim, words
from forestall.incident.review.verify import compare
from forestall.model.codec import to_document
from forestall.model.event import EventKind
from forestall.model.sample import HostSample
from forestall.model.verdict import LimitKind

GIB = 1024**3
BYTES = st.integers(0, 1 << 50)
DAYS = st.integers(0, 99)
SECONDS = st.one_of(st.none(), st.floats(0, 4e6))
FOREIGN = st.text(min_size=1, max_size=40)
# What site.toml accepts as text, any script included.
PLAIN = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="()[]{}<>`*|\\:\"'"),
    min_size=1,
    max_size=30,
).filter(lambda text: any(character.isalnum() for character in text))


@st.composite
def sites(draw):
    """A site.toml that states some things and leaves out others."""

    def maybe(text):
        return text if draw(st.booleans()) else ""

    zone = draw(st.sampled_from(["UTC", "America/Chicago", "Asia/Kolkata", "Asia/Tehran"]))
    place = maybe(f'place = "{draw(PLAIN)}"\n')
    teams = "".join(
        f'[[teams]]\nname = "{draw(PLAIN)}"\nmembers = [{{ name = "{draw(PLAIN)}" }}]\n'
        for _ in range(draw(st.integers(0, 3)))
    )
    return (
        maybe(f'zone = "{zone}"\n')
        + maybe(f'applications = ["{draw(PLAIN)}"]\n')
        + maybe(f'[location]\nsite = "{draw(PLAIN)}"\n{place}')
        + maybe(f'[reported_by]\nrole = "{draw(PLAIN)}"\n')
        + maybe(
            f'[follow_up]\nowner = "{draw(PLAIN)}"\ndeadline_days = {draw(st.integers(0, 99))}\n'
        )
        + maybe(f'[penalties]\ncurrency = "EUR"\nper_hour = {draw(st.floats(0, 1e9))}\n')
        + teams
    )


@st.composite
def bundles(draw):
    """The entries of a review bundle of some incident on some host."""
    limit = leak.limit(draw(st.sampled_from(LimitKind)), headroom=draw(BYTES))
    forecast = leak.forecast(
        limit=replace(limit, source=draw(FOREIGN)),
        exhaustion_low_seconds=draw(SECONDS),
        exhaustion_high_seconds=draw(SECONDS),
        rate_bytes_per_second=draw(st.floats(-1e9, 1e9)),
    )
    found = leak.verdict(
        memory=draw(BYTES),
        forecast=draw(st.sampled_from([forecast, None])),
        reasons=tuple(draw(st.lists(FOREIGN, max_size=3))),
        subject=leak.subject(name=draw(FOREIGN)),
    )
    facts = draw(st.sampled_from([fake_facts.healthy, leak.host_facts]))(at=leak.DETECTED_AT)
    sysctls = {
        "vm.panic_on_oom": draw(st.sampled_from("012")),
        "kernel.panic": draw(st.sampled_from(["0", "10", "-1"])),
        "vm.overcommit_memory": draw(st.sampled_from("012")),
    }
    memory = HostSample(
        mem_total_bytes=draw(BYTES), mem_available_bytes=draw(BYTES), swap_total_bytes=draw(BYTES)
    )
    facts = replace(facts, sysctls=sysctls, memory=memory, os_name=draw(FOREIGN))
    kept = draw(st.integers(1, 6))
    story = [
        replace(one, data=to_document(found)) if one.kind is EventKind.DETECTED else one
        for one in leak.events(("a" * 64,))
        if one.kind is EventKind.DETECTED or draw(st.booleans())
    ][: kept + 1]
    assume(any(one.kind is EventKind.DETECTED for one in story))
    return leak.review_entries(
        site=draw(sites()),
        story=story,
        evidence=leak.captured(**{"host-facts.json": to_document(facts)}),
        scale=draw(st.sampled_from([None, 60.0])),
    )


@given(bundles())
@settings(max_examples=25, deadline=None)
def test_any_draft_is_whole_and_backed(entries):
    """It reads back without residual, verifies, and each fact follows from its sources."""
    draft = compose(entries)
    document = render(draft.review)
    parsed = parse(document)
    assert parsed.review.residual == ()
    assert render(parsed.review) == document
    found = compare(document, draft)
    assert found.holds, found.unresolved
    assert len(found.claims) == len(draft.claims)
    book = Book(entries)
    for fact in {fact for claim in draft.claims for fact in claim.facts}:
        values = [book.value(source) for source in fact.sources]
        extra = [] if fact.parameter is None else [fact.parameter]
        assert DERIVATIONS[fact.derivation](*values, *extra) == fact.text


@functools.cache
def shipped():
    return compose(leak.review_entries())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_other_word_in_a_facts_place_is_caught(data):
    """The text of any fact of any claim, replaced by another claim-bearing word: unresolved."""
    claims = [claim for claim in shipped().claims if claim.facts]
    claim = data.draw(st.sampled_from(claims))
    fact = data.draw(st.sampled_from(claim.facts))
    other = data.draw(st.one_of(PLAIN, st.integers().map(str)))
    assume(any(bears_claim(word) for word in words(other)))
    assume(all(word not in words(claim.text) for word in words(other)))
    document = render(shipped().review).decode()
    changed = document.replace(claim.text, claim.text.replace(fact.text, other, 1), 1)
    assume(changed != document)
    assert not compare(changed.encode(), shipped()).holds


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_changed_value_changes_the_review(data):
    """A pointed-at value of the evidence, changed: the review is another, or cannot be composed."""
    claims = [claim for claim in shipped().claims if claim.facts]
    fact = data.draw(st.sampled_from(data.draw(st.sampled_from(claims)).facts))
    source = data.draw(st.sampled_from(fact.sources))
    entries = dict(leak.review_entries())
    value = Book(entries).value(source)
    assume(isinstance(value, str | int | float) and not isinstance(value, bool))
    text = entries[source.entry]
    old = repr(value).encode() if isinstance(value, int | float) else value.encode()
    place = text.find(old)
    assume(place >= 0)
    entries[source.entry] = text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]
    entries["SHA256SUMS"] = leak.sums(
        {name: found for name, found in entries.items() if name != "SHA256SUMS"}
    )
    document = render(shipped().review)
    try:
        other = compose(entries)
    except InputError:
        return
    assert not compare(document, other).holds
