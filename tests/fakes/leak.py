"""A hand-made incident: a service leaks, is caught, captured and restarted; and its evidence."""

import hashlib
import json
from dataclasses import replace

from forestall.incident.timeline import fold
from forestall.model.action import (
    Action,
    ActionKind,
    Mode,
    Outcome,
    OutcomeState,
    Plan,
)
from forestall.model.codec import encode, to_document
from forestall.model.event import EventKind, TimelineEvent
from forestall.model.incident import Opening
from forestall.model.sample import CgroupSample, HostSample, ProcessKey, ProcessSample, Sample
from forestall.model.verdict import (
    Forecast,
    Limit,
    LimitKind,
    Subject,
    Verdict,
    VerdictKind,
)
from tests.fakes import facts as fake_facts

MIB = 1024**2
GIB = 1024**3
DETECTED_AT = 1_773_480_330.0  # 2026-03-14 04:25:30 in Chicago, daylight saving time
ONSET_AT = DETECTED_AT - 7_500
HOST = "depot-db02"
UNIT = "feed-sync.service"
KEY = f"{HOST}/{UNIT}"
PROCESS = ProcessKey(boot_id=fake_facts.BOOT, pid=4171, start_ticks=90_000_000)
CGROUP = f"/system.slice/{UNIT}"

SITE = """\
zone = "America/Chicago"
applications = ["Order Desk"]

[location]
site = "Cold Aisle Four"
place = "Dallas, TX"

[reported_by]
role = "Night Watch"
via = "Pager Bridge"

[priority.limit_reached]
code = "P1"
label = "Critical"

[priority.limit_avoided]
code = "P3"
label = "Moderate"

[follow_up]
owner = "Platform Team"
deadline_days = 10

[penalties]
currency = "USD"
per_hour = 1200

[[services]]
name = "feed-sync"
applications = ["Order Desk", "Stock Feed"]
team = "Integrations Team"

[[teams]]
name = "Platform Team"
members = [{ name = "Ada Okafor", role = "Team Lead" }, { name = "Bo Lindqvist" }]

[[teams]]
name = "Integrations Team"
members = [{ name = "Cem Yildiz" }]

[[teams]]
name = "Uninvolved Team"
members = [{ name = "Dee Quist" }]
"""


def subject(**changes):
    """The leaking process."""
    known = {"host": HOST, "name": "python3", "process": PROCESS, "unit": UNIT, "cgroup": CGROUP}
    return Subject(**{**known, **changes})


def limit(kind=LimitKind.CGROUP, headroom=870 * MIB):
    """What it runs into."""
    source = f"{CGROUP} memory.max" if kind is LimitKind.CGROUP else "host"
    return Limit(kind=kind, limit_bytes=2 * GIB, headroom_bytes=headroom, source=source)


def forecast(**changes):
    """Between 41 minutes and 63."""
    known = {
        "limit": limit(),
        "rate_bytes_per_second": 290_000.0,
        "rate_low_bytes_per_second": 240_000.0,
        "rate_high_bytes_per_second": 370_000.0,
        "exhaustion_seconds": 3_145.0,
        "exhaustion_low_seconds": 2_465.0,
        "exhaustion_high_seconds": 3_801.0,
        "window_seconds": 7_200.0,
    }
    return Forecast(**{**known, **changes})


def verdict(at=DETECTED_AT, kind=VerdictKind.LEAKING, memory=1178 * MIB, **changes):
    """What the detector says."""
    known = {
        "subject": subject(),
        "kind": kind,
        "at": at,
        "memory_bytes": memory,
        "reasons": (
            "Its floor rose by about 590 MiB over the last 2 h.",
            "It does not flatten, and the process is 3 h 10 min old: warm-up does not explain it.",
        ),
        "forecast": forecast(),
        "onset_at": ONSET_AT,
    }
    return Verdict(**{**known, **changes})


def event(kind, at, data=None, *, id=None, key=KEY, evidence=(), text=None, source="agent"):
    """One event; its id follows from kind and time unless given."""
    return TimelineEvent(
        id=id or f"{kind}-{at:.0f}",
        at=at,
        kind=kind,
        key=key,
        source=source,
        text=text or f"{kind} happened.",
        data=to_document(data) if data is not None else {},
        evidence=evidence,
    )


def outcome(kind, at, took, detail, *, state=OutcomeState.DONE, evidence=None, plan="p1"):
    """What came of one action."""
    return Outcome(
        plan_id=plan,
        action_id=f"{plan}-{kind}",
        kind=kind,
        subject=subject(),
        state=state,
        at=at,
        took_seconds=took,
        detail=detail,
        evidence=evidence,
    )


def plan(at=DETECTED_AT + 61, mode=Mode.ACT, **changes):
    """Capture, then restart."""
    kinds = (ActionKind.CAPTURE, ActionKind.RESTART)
    actions = tuple(
        Action(id=f"p1-{kind}", kind=kind, subject=subject(), timeout_seconds=60.0)
        for kind in kinds
    )
    known = {
        "id": "p1",
        "at": at,
        "mode": mode,
        "verdict": verdict(
            at=at, memory=1195 * MIB, forecast=forecast(limit=limit(headroom=853 * MIB))
        ),
        "actions": actions,
        "because": ("It leaks, and its limit is near enough that a person may come too late.",),
    }
    return Plan(**{**known, **changes})


def events(evidence=(), *, resolved=True):
    """The whole story, as the agent spools it."""
    found = verdict()
    story = [
        event(EventKind.ONSET, ONSET_AT, found, text="Memory began to grow."),
        event(EventKind.DETECTED, DETECTED_AT, found, text="It is judged LEAKING."),
        event(EventKind.PLAN, DETECTED_AT + 61, plan(), id="plan-p1"),
        event(
            EventKind.OUTCOME,
            DETECTED_AT + 64,
            outcome(
                ActionKind.CAPTURE,
                DETECTED_AT + 64,
                2.4,
                "14 entries were kept.",
                evidence=evidence[0] if evidence else None,
            ),
            id="outcome-p1-capture",
            evidence=tuple(evidence),
        ),
        event(
            EventKind.OUTCOME,
            DETECTED_AT + 72,
            outcome(ActionKind.RESTART, DETECTED_AT + 72, 7.6, "systemd restarted the unit."),
            id="outcome-p1-restart",
        ),
    ]
    if resolved:
        text = "feed-sync.service runs again as process 5220 with 96 MiB."
        story.append(event(EventKind.RECOVERED, DETECTED_AT + 132, found, text=text))
    return story


def incident(story=None, number="INC-20260314-001", zone="America/Chicago"):
    """The fold of a story."""
    opening = Opening(number=number, key=KEY, zone=zone, opened_by="x", opened_at=DETECTED_AT)
    return fold(opening, events() if story is None else story)


def host_facts(**changes):
    """An old database host that panics and stays down."""
    return fake_facts.seed_like(
        **{"at": DETECTED_AT, "hostname": HOST, "booted_at": DETECTED_AT - 911_400.0, **changes}
    )


def sample():
    """The tick at which it was captured."""
    return Sample(
        at=DETECTED_AT,
        monotonic=911_400.0,
        boot_id=fake_facts.BOOT,
        host=HostSample(mem_total_bytes=32 * GIB, mem_available_bytes=3 * GIB),
        cgroups=(CgroupSample(path=CGROUP, current_bytes=1200 * MIB, max_bytes=2 * GIB),),
        processes=(
            ProcessSample(
                key=PROCESS,
                name="python3",
                rss_bytes=1185 * MIB,
                anon_bytes=1150 * MIB,
                swap_bytes=28 * MIB,
                cgroup=CGROUP,
                unit=UNIT,
            ),
        ),
    )


def series():
    """Its memory, every 300 seconds since before the onset."""
    times = [ONSET_AT - 600 + 300 * step for step in range(28)]
    values = [max(310 * MIB, (310 + 0.12 * (at - ONSET_AT)) * MIB) for at in times]
    return {
        "schema": "forestall/series/1",
        "subject": encode(subject()),
        "signal": "memory_bytes",
        "times": times,
        "values": values,
    }


def captured(**changes):
    """The entries of the bundle that was captured, by name."""
    documents = {
        "verdict.json": to_document(verdict()),
        "host-facts.json": to_document(host_facts()),
        "sample.json": to_document(sample()),
        "series.json": series(),
        **changes,
    }
    entries = {
        name: json.dumps(document).encode()
        for name, document in documents.items()
        if document is not None
    }
    return {**entries, "process/status": b"Name:\tpython3\nVmSwap:\t28672 kB\n"}


def sums(entries):
    """SHA256SUMS of some entries."""
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in entries.items()]
    return "".join(sorted(lines)).encode()


def review_entries(*, site=SITE, story=None, evidence=None, scale=None, **incident_changes):
    """The entries of a review bundle, with SHA256SUMS, without any file."""
    found = captured() if evidence is None else evidence
    found = {**found, "SHA256SUMS": sums(found)} if found else {}
    bundle_id = hashlib.sha256(found["SHA256SUMS"]).hexdigest() if found else "0" * 64
    one = incident(events((bundle_id,)) if story is None else story)
    one = replace(one, evidence=(bundle_id,), **incident_changes)
    parameters = {
        "schema": "forestall/draft/1",
        "drafted_at": DETECTED_AT + 5_000,
        "version": "0.1.0",
        "clock_scale": scale,
    }
    entries = {
        "timeline.json": json.dumps(to_document(one)).encode(),
        "ledger.json": b"[]",
        "draft.json": json.dumps(parameters).encode(),
        "site.toml": site.encode(),
        **{f"captured/{bundle_id}/{name}": data for name, data in found.items()},
    }
    return {**entries, "SHA256SUMS": sums(entries)}
