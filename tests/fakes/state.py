"""A state folder as the agent leaves it after the hand-made incident of `leak`."""

import os

from forestall.evidence.bundle import BundleWriter
from forestall.incident import intake
from forestall.incident import site as sites
from forestall.incident.review.draft import draft
from forestall.journal import Journal
from forestall.model.codec import to_document
from tests.fakes import leak
from tests.fakes.clock import FakeClock


def capture(folder, entries=None, at=leak.DETECTED_AT + 64):
    """Seal the captured bundle under `folder`/evidence; its id."""
    with BundleWriter(
        f"{folder}/evidence",
        host=leak.HOST,
        subject=leak.UNIT,
        clock=FakeClock(at),
        reserve_bytes=0,
    ) as writer:
        for name, data in (leak.captured() if entries is None else entries).items():
            kind = "application/json" if name.endswith(".json") else "text/plain"
            writer.add(name, data, source="test", media_type=kind)
        return writer.seal().id


def spool(folder, events):
    """Append events to the agent's spool."""
    with Journal(f"{folder}/spool.journal") as journal:
        journal.append_all(to_document(event) for event in events)


def leaked(folder, *, site=leak.SITE, resolved=True):
    """Spool, ledger, evidence and site.toml of the whole story; the captured bundle's id."""
    folder = os.fspath(folder)
    bundle = capture(folder)
    story = leak.events((bundle,), resolved=resolved)
    spool(folder, story)
    with Journal(f"{folder}/ledger.journal") as journal:
        journal.append_all(e.data for e in story if e.kind in ("plan", "outcome"))
    if site is not None:
        with open(f"{folder}/site.toml", "w") as file:
            file.write(site)
    return bundle


def drafted(folder, *, site=leak.SITE, **options):
    """The whole story, taken in and drafted."""
    leaked(folder, site=site)
    clock = FakeClock(leak.DETECTED_AT + 5_000)
    parsed = sites.parse((site or "").encode())
    (incident,) = intake.collect(os.fspath(folder), parsed, clock)
    return draft(
        os.fspath(folder), incident.number, site=(site or "").encode(), clock=clock, **options
    )
