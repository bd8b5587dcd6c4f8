"""A review is composed from a bundle's entries alone, and says only what they say."""

import json
from dataclasses import replace

import pytest
from tests.fakes import facts as fake_facts
from tests.fakes import leak

from forestall.audit.findings import audit
from forestall.audit.rules import RULES
from forestall.errors import InputError
from forestall.incident.review.compose import compose
from forestall.incident.review.facts import DERIVATIONS, Book
from forestall.incident.review.lint import lint
from forestall.incident.review.parse import parse
from forestall.incident.review.render import lines, render
from forestall.incident.review.templates import NOT_STATED, TEMPLATES
from forestall.model.action import ActionKind, Mode, OutcomeState
from forestall.model.codec import to_document
from forestall.model.event import EventKind
from forestall.model.facts import HostFacts
from forestall.model.finding import FindingState
from forestall.model.verdict import LimitKind

AT = leak.DETECTED_AT


def text(**options):
    """The composed document."""
    return render(compose(leak.review_entries(**options)).review).decode()


def with_verdict(found):
    """A story told with another verdict."""
    return [
        replace(one, data=to_document(found)) if one.kind == EventKind.DETECTED else one
        for one in leak.events(("a" * 64,))
    ]


def test_the_whole_document_is_of_the_profile():
    """Nothing of a drafted review is foreign to the profile, and it renders to the same bytes."""
    document = render(compose(leak.review_entries()).review)
    parsed = parse(document)
    assert parsed.review.residual == ()
    assert not parsed.is_refused
    assert render(parsed.review) == document


@pytest.mark.parametrize("site", [leak.SITE, ""])
def test_a_careful_reader_finds_no_contradiction(site):
    """Lint asks only for what site.toml does not state."""
    document = render(compose(leak.review_entries(site=site)).review)
    rules = {finding.rule for finding in lint(parse(document))}
    assert rules <= ({"follow-up-date", "owner-unknown", "empty"} if not site else set())


def test_the_same_bundle_gives_the_same_review():
    """Composing is pure."""
    entries = leak.review_entries()
    assert compose(entries) == compose(dict(reversed(entries.items())))


def test_every_leaf_that_is_shown_has_a_claim():
    """Each line with a value in it is backed, or is the templates' own fixed words."""
    draft = compose(leak.review_entries())
    claimed = {claim.where for claim in draft.claims}
    for line in lines(draft.review):
        for piece in line.pieces:
            for leaf in piece.leaves:
                statement = leaf.split("/values/")[0].removesuffix("/text")
                known = {leaf, statement, statement.removesuffix("/at").removesuffix("/zone")}
                known |= {statement.removesuffix("/fold")}
                assert known & claimed or leaf == "/title", leaf


def test_each_fact_follows_from_what_it_points_at():
    """The text of every fact is its derivation of the values at its sources."""
    entries = leak.review_entries(scale=60.0)
    book = Book(entries)
    facts = [fact for claim in compose(entries).claims for fact in claim.facts]
    assert len(set(facts)) > 80
    for fact in facts:
        values = [book.value(source) for source in fact.sources]
        assert values[0] is not None
        extra = [] if fact.parameter is None else [fact.parameter]
        assert DERIVATIONS[fact.derivation](*values, *extra) == fact.text


def test_every_claim_shows_its_facts():
    """A claim's text holds the text of each of its facts."""
    for claim in compose(leak.review_entries()).claims:
        assert claim.facts or claim.template
        for fact in claim.facts:
            assert fact.text in claim.text


def test_it_answers_what_a_person_on_call_asks():
    """What happened, since when, how fast, what next, what was done, what was left."""
    document = text()
    for expected in (
        (
            "At 04:25 AM CDT, forestall judged the service `feed-sync.service` on the server "
            "`depot-db02` to be LEAKING."
        ),
        "It ran as `python3`, process 4171, and held 1.2 GiB of memory at that time.",
        (
            "since 02:20 AM CDT, for 2 h 5 min, from 310 MiB to 1.2 GiB, at 17 MiB/min (between "
            "14 MiB/min and 21 MiB/min)."
        ),
        (
            "the 870 MiB left below the memory limit of its cgroup (2.0 GiB, "
            "/system.slice/feed-sync.service memory.max) would have been used up between "
            "05:06 AM CDT and 05:28 AM CDT."
        ),
        "853 MiB of the limit of 2.0 GiB were left.",
        "The limit was not reached: 853 MiB of 2.0 GiB were left when guard decided.",
        "was away for at most 7.6 s",
        "04:26:34 AM CDT: evidence of the running process was saved in 2.4 s: 14 entries",
        "Total Downtime:** 0 minutes",
        "give 2.53 USD for this time.",
        "1.1 GiB (97%) were anonymous memory of this process, and 28 MiB more were in swap",
        "cannot be seen from outside the process",
        "started at 01:15 AM CDT, 3 h 10 min before",
        "41 min 5 s before the soonest time of exhaustion",
    ):
        assert expected in document


def test_what_else_was_about_to_break():
    """The host's settings that make it worse are factors, with a measure and a follow-up each."""
    document = text()
    for expected in (
        "The database `postgres` (process 800) ran on the same host",
        "vm.panic_on_oom=1",
        "kernel.panic=0",
        "kdump is not armed",
        "4.0 GiB swap",
        "3.10.0-957.el7.x86_64",
        "No userspace OOM guard ran",
        "no limit",
    ):
        assert expected in document.split("Contributing Factors")[1].split("Incident Details")[0]


def of_facts(facts, **options):
    """The document of an incident on a host with these facts."""
    evidence = leak.captured(**{"host-facts.json": to_document(facts)})
    return text(evidence=evidence, **options)


def healthy_host(**changes):
    """A host with nothing to say against it, at the time of the incident."""
    now = {"at": AT, "booted_at": AT - 86_400.0, "scraped_at": AT - 15.0}
    return fake_facts.healthy(**{"hostname": leak.HOST, **now, **changes})


def test_what_is_only_good_to_know_is_no_factor():
    """A hard limit without a soft one is a low finding of the audit; nothing came of it here."""
    walled = fake_facts.unit(
        "feed-sync.service",
        main_pid=200,
        memory_max_bytes=2 * fake_facts.GIB,
        restart="always",
        fragment_path="/etc/systemd/system/feed-sync.service",
    )
    facts = healthy_host(units=(walled,))
    assert "LIM-003" in {one.rule for one in audit(facts) if one.state is FindingState.FAIL}
    assert "MemoryHigh" not in of_facts(facts)


def test_every_rule_has_its_sentences():
    """A rule that is added has a measure, a lesson and a follow-up, its own or its family's."""
    for rule in RULES:
        family = rule.id.partition("-")[0]
        for part in ("measure", "lesson", "follow-up"):
            assert f"{rule.id} {part}" in TEMPLATES or f"{family} {part}" in TEMPLATES


def test_the_role_is_stated_in_site_toml():
    """What only the site knows flows into the audit behind the review, and stays in the bundle."""
    site = leak.SITE + '\n[host]\nroles = ["web"]\n'
    with_role, without = text(site=site), text()
    assert "swap beside a database" in without
    assert "swap beside a database" not in with_role


@pytest.mark.parametrize(
    ("host", "shown"),
    [("db01.example", "db01.example"), ("10.0.0.7", "'10.0.0.7'"), ('a b"c', "'a b?c'")],
)
def test_what_closes_a_follow_up_names_the_host(host, shown):
    """A name that is none of the language's words is quoted, and cannot end its quotes."""
    said = DERIVATIONS["what closes it"](f"{host}/x.service", None, "PAN-001")
    assert said == (
        f'forestall audit check "all host where host = {shown}: rule PAN-001 = pass or rule '
        'PAN-001 = not-applicable"'
    )


def test_what_closes_a_follow_up_is_asked_of_the_same_role():
    """A role that site.toml states is part of the command, which would else go by what runs."""
    said = DERIVATIONS["what closes it"]("db01/x.service", {"roles": ["web", "db"]}, "SWP-002")
    assert said.endswith('SWP-002 = not-applicable" --role db=db01 --role web=db01')


def test_a_healthy_host_has_no_false_factor():
    """Nothing is listed against a host whose settings are fine."""
    document = of_facts(healthy_host())
    assert "No setting of the host or the service was found that made it worse." in document


def test_unknown_settings_are_no_factors():
    """What could not be read decides nothing."""
    facts = HostFacts(at=AT, hostname=leak.HOST)
    assert any(one.state is FindingState.UNKNOWN for one in audit(facts))
    assert "No setting of the host or the service was found" in of_facts(facts)


def test_the_exhaustion_of_the_host_is_that_of_its_facts():
    """Against the host's own memory, it is said whether it panics or kills, and why."""
    found = leak.verdict(forecast=leak.forecast(limit=leak.limit(LimitKind.HOST)))
    document = text(story=with_verdict(found))
    assert "below the memory of the whole host (2.0 GiB, host)" in document
    assert (
        "PANIC, not an OOM kill: vm.panic_on_oom=1; and it stays down: kernel.panic=0" in document
    )
    assert "No memory limit of the kernel held `feed-sync.service`" in document


def test_nothing_stated_is_shown_as_missing():
    """Without site.toml the review says so in each place, and in one list."""
    document = text(site="")
    assert document.count(NOT_STATED) >= 5
    assert "because it is not stated in site.toml: zone, location.site, location.place" in document
    assert "AM UTC" in document
    assert "CDT" not in document
    assert "Deadline" not in document
    assert "USD" not in document


@pytest.mark.parametrize("place", ["Nowhere", "Tokyo, Japan", "Havana, Cuba"])
def test_a_place_that_contradicts_the_zone_gives_utc(place):
    """Times are shown in the site's zone only where a reader can tell it from the page."""
    document = text(site=leak.SITE.replace("Dallas, TX", place))
    assert "09:25:30 AM UTC" in document
    assert parse(document.encode()).review.residual == ()


def test_observed_only():
    """A guard that may not act is a factor, and nothing is claimed to have been done."""
    story = leak.events()[:2]
    story.append(leak.event(EventKind.PLAN, AT + 61, leak.plan(mode=Mode.OBSERVE), id="plan-p1"))
    for kind in (ActionKind.CAPTURE, ActionKind.RESTART):
        done = leak.outcome(
            kind, AT + 61, 0.0, "Not done: the mode is observe.", state=OutcomeState.WOULD
        )
        story.append(leak.event(EventKind.OUTCOME, AT + 61, done, id=f"outcome-p1-{kind}"))
    document = text(story=story, evidence={})
    assert "Nothing was done about it by guard: its mode was observe." in document
    assert "Guard was not allowed to act: its mode was observe." in document
    assert "the action restart was not taken, because of the mode" in document
    assert "No evidence bundle of this incident was captured" in document
    assert "The incident was still open" in document
    assert "Nothing measured says that the service `feed-sync.service` was away." in document
    for absent in ("Total Downtime:**", "First Response", "Resolution Time"):
        assert absent not in document


def test_a_limit_that_was_reached():
    """Exhaustion changes the name, the priority and the downtime, and is never called avoided."""
    story = leak.events()[:2]
    story.append(leak.event(EventKind.EXHAUSTED, AT + 2_500, text="The kernel killed it."))
    story.append(leak.event(EventKind.RECOVERED, AT + 2_680, text="It runs again."))
    document = text(story=story)
    assert "which reached a limit" in document
    assert "P1 (Critical)" in document
    assert "The limit was reached at 05:07 AM CDT: The kernel killed it." in document
    assert "away for at most 3 min: from 05:07:10 AM CDT, until it was seen again at" in document
    assert "Total Downtime:** 3 minutes" in document


def test_a_service_left_stopped():
    """After a stop without a recovery no downtime is invented."""
    story = leak.events()[:4]
    done = leak.outcome(ActionKind.STOP, AT + 70, 2.0, "It was stopped.")
    story.append(leak.event(EventKind.OUTCOME, AT + 70, done))
    document = text(story=story)
    assert "was stopped at 04:26:40 AM CDT; no event says that it was started again" in document
    assert "Total Downtime:**" not in document


def test_containment_traffic_and_what_was_taken_back():
    """Each action of a plan is said with its time and its own words, as is its undoing."""
    story = leak.events(("a" * 64,))
    for kind, state, detail in (
        (ActionKind.CONTAIN, OutcomeState.DONE, "It may hold 51 MiB."),
        (ActionKind.SWITCHOVER, OutcomeState.DONE, "n2 is the primary."),
        (ActionKind.CONTAIN, OutcomeState.UNDONE, "The limit is off."),
    ):
        done = leak.outcome(kind, AT + 65, 2.0, detail, state=state)
        said = leak.event(EventKind.OUTCOME, AT + 65, done, id=f"more-{kind}-{state}")
        story.insert(-1, said)
    document = text(story=story)
    assert "the service was given a limit of its own in 2 s: It may hold 51 MiB." in document
    assert "the traffic of the database was moved to another node in 2 s: n2 is" in document
    assert "the action contain was taken back: The limit is off." in document
    assert not parse(document.encode()).review.residual


def test_what_was_measured_takes_the_place_of_what_would_be_computed():
    """Orders and penalties that somebody measured are said with who did, and no rate of loss."""
    measured = (
        '[measured]\nby = "the order log"\norders_acknowledged = 5120\norders_failed = 3\n'
        'orders_lost = 0\nlongest_write_gap_seconds = 2.9\npenalties = 12.5\ncurrency = "USD"\n'
    )
    document = text(site=leak.SITE + measured)
    assert (
        "Measured by the order log: 5120 orders were acknowledged, 3 failed and 0 were lost; the "
        "longest time without an acknowledged write was 2.9 s."
    ) in document
    assert "Measured by the order log: penalties of 12.50 USD for late orders." in document
    assert "per hour" not in document
    assert "was not measured" not in document


def test_a_stop_after_the_end_is_no_outage_until_it():
    """Time does not run backwards: a late stop is not counted until an earlier recovery."""
    done = leak.outcome(ActionKind.STOP, AT + 900, 2.0, "It was stopped.")
    late = leak.event(EventKind.OUTCOME, AT + 900, done)
    story = [one for one in leak.events(("a" * 64,)) if one.id != "outcome-p1-restart"]
    document = text(story=[*story, late])
    assert "Total Downtime:**" not in document
    assert "no event says that it was started again" in document


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_timeline_that_lost_its_beginning(kept):
    """Without a detection, or any event, the review is still whole and claims no verdict."""
    document = text(story=leak.events()[2 : 2 + kept], evidence={})
    assert parse(document.encode()).review.residual == ()
    assert "Incident Detected" not in document
    assert "to be LEAKING" not in document


def test_a_kill_that_nobody_had_foreseen():
    """An incident that begins with exhaustion has its verdict from there."""
    story = [leak.event(EventKind.EXHAUSTED, AT, leak.verdict(), text="The kernel killed it.")]
    document = text(story=story, evidence={})
    assert "which reached a limit" in document
    assert "It ran as `python3`, process 4171" in document


def test_a_scaled_clock_is_stated():
    """Times of a demonstration say that they are, and a start by the kernel's clock is left out."""
    document = text(scale=60.0)
    assert "a scaled clock that ran 60 times as fast as the wall clock" in document
    assert "The process had been started" not in document
    assert "scaled" not in text()


def test_notes_are_their_authors():
    """What a person wrote into the timeline is marked as theirs."""
    note = leak.event(EventKind.NOTE, AT + 900, text="We [saw] it.", source='Ada "A" Okafor')
    document = text(story=[*leak.events(("a" * 64,)), note])
    assert "[We (saw) it.]{by=\"Ada 'A' Okafor\"}" in document


def test_the_own_bundle_is_quoted_by_the_digest_of_its_sums():
    """The id is not inside the bundle: it is computed from SHA256SUMS, here as anywhere."""
    entries = leak.review_entries()
    first = render(compose(entries).review).decode()
    entries["SHA256SUMS"] += b" "
    second = render(compose(entries).review).decode()
    assert first != second
    assert len(first) == len(second)


@pytest.mark.parametrize("name", ["timeline.json", "draft.json", "site.toml"])
def test_another_bundle_is_refused(name):
    """A captured bundle is not a review's, and the error says what makes one."""
    entries = leak.review_entries()
    del entries[name]
    with pytest.raises(InputError, match=name) as caught:
        compose(entries)
    assert "review draft" in caught.value.help


@pytest.mark.parametrize("evidence", [{}, None])
@pytest.mark.parametrize(
    "forecast",
    [
        None,
        leak.forecast(exhaustion_high_seconds=None),
        leak.forecast(
            exhaustion_low_seconds=None, exhaustion_seconds=None, exhaustion_high_seconds=None
        ),
    ],
)
def test_less_evidence_says_less(evidence, forecast):
    """Whatever is missing, the review is whole, of the profile, and says what it cannot say."""
    story = with_verdict(leak.verdict(forecast=forecast, onset_at=None))
    story = [one for one in story if one.kind is not EventKind.ONSET]
    document = text(story=story, evidence=evidence)
    assert parse(document.encode()).review.residual == ()
    assert "2.0 GiB left" not in document
    if evidence == {}:
        assert "What exhaustion means on this host cannot be said" in document


def test_hostile_names_stay_in_their_places():
    """A process name of Markdown and control characters cannot add a line or a mark."""
    name = 'x`\n### **Lessons**\n[y]{by="z"} \x1b[2J'
    found = leak.verdict(subject=leak.subject(name=name))
    document = text(story=with_verdict(found))
    assert document.count("###") == text().count("###") + 1
    assert "\n### **Lessons**" not in document
    assert '{by="' not in document
    assert "\x1b" not in document
    parsed = parse(document.encode())
    assert parsed.review.residual == ()


def test_a_damaged_timeline_is_named():
    """Evidence that is no document is one clear line."""
    entries = {**leak.review_entries(), "timeline.json": json.dumps({"schema": "x"}).encode()}
    with pytest.raises(InputError, match=r"timeline\.json: expected schema"):
        compose(entries)
