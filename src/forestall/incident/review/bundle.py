"""The bundle a review stands on: written when it is drafted, read again when it is verified."""

import os
from collections.abc import Iterator

from forestall.clock import Clock
from forestall.errors import EvidenceError, InputError
from forestall.evidence.bundle import BundleWriter
from forestall.evidence.layout import MANIFEST, SUMS
from forestall.evidence.verify import open_bundle, verify
from forestall.guard.ledger import LEDGER_NAME
from forestall.incident.review.case import CAPTURED, LEDGER, PARAMETERS, SITE, TIMELINE, Parameters
from forestall.journal import read
from forestall.model.bundle import Bundle
from forestall.model.codec import Json
from forestall.model.event import EventKind
from forestall.model.incident import Incident
from forestall.units import MIB

BUNDLE_BYTES_MAX = 64 * MIB
ENTRY_BYTES_MAX = 16 * MIB
CAPTURES_MAX = 8
LEDGER_RECORDS_MAX = 1_000


def write(
    folder: str,
    *,
    state_folder: str,
    incident: Incident,
    site: bytes,
    parameters: Parameters,
    clock: Clock,
) -> Bundle:
    """Seal a bundle of all that a review of `incident` may point at, under `folder`.

    What could not be kept is said in its manifest. Raises EvidenceError where none can be written.
    """
    with BundleWriter(
        folder,
        host=incident.host,
        subject=incident.service,
        clock=clock,
        max_bytes=BUNDLE_BYTES_MAX,
    ) as writer:
        writer.add_json(TIMELINE, incident, source=f"the timeline of {incident.number}")
        writer.add_json(PARAMETERS, parameters, source="the draft itself")
        writer.add(SITE, site, source="site.toml", media_type="application/toml")
        writer.add_json(LEDGER, _ledger(state_folder, incident), source=LEDGER_NAME)
        for bundle_id in incident.evidence[:CAPTURES_MAX]:
            _copy(writer, os.path.join(state_folder, "evidence", bundle_id), bundle_id)
        for bundle_id in incident.evidence[CAPTURES_MAX:]:
            writer.missing(f"the captured bundle {bundle_id}: more than {CAPTURES_MAX}")
        return writer.seal()


def _ledger(state_folder: str, incident: Incident) -> list[Json]:
    """Guard's own records of the plans in this timeline."""
    plans = {
        event.data.get("id") for event in incident.timeline if event.kind is EventKind.PLAN
    } - {None}
    path = os.path.join(state_folder, LEDGER_NAME)
    found = [
        record.data
        for record in read(path)
        if (record.data.get("plan_id") or record.data.get("id")) in plans
    ]
    return found[:LEDGER_RECORDS_MAX]


def _copy(writer: BundleWriter, path: str, bundle_id: str) -> None:
    """Copy a captured bundle whole, its own sums included; a damaged one is not evidence."""
    try:
        problems = verify(path)
        if problems:
            first = problems[0]
            writer.missing(f"the captured bundle {bundle_id}: {first.name}: {first.what}")
            return
        captured = open_bundle(path)
        media_types = {entry.name: entry.media_type for entry in captured.manifest.entries}
        for name in (*media_types, MANIFEST, SUMS):
            writer.add(
                f"{CAPTURED}/{bundle_id}/{name}",
                _read(path, name),
                source=f"evidence/{bundle_id}/{name}",
                media_type=media_types.get(name, "text/plain"),
            )
    except EvidenceError as error:
        writer.missing(f"the captured bundle {bundle_id}: {error.message}")


def entries(path: str) -> dict[str, bytes]:
    """The entries of a bundle that a review can point at, and its SHA256SUMS; not verified.

    Raises EvidenceError where there is no bundle, InputError where an entry is too large.
    """
    found = {}
    for name in _pointed_at(open_bundle(path)):
        found[name] = _read(path, name)
    return found


def _pointed_at(bundle: Bundle) -> Iterator[str]:
    yield SUMS
    for entry in bundle.manifest.entries:
        if entry.name.endswith((".json", ".toml", f"/{SUMS}")):
            yield entry.name


def _read(folder: str, name: str) -> bytes:
    path = os.path.join(folder, name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise EvidenceError(f"{path}: {error.strerror}") from None
    with open(descriptor, "rb") as file:
        data = file.read(ENTRY_BYTES_MAX + 1)
    if len(data) > ENTRY_BYTES_MAX:
        raise InputError(f"{path}: larger than {ENTRY_BYTES_MAX} bytes")
    return data


def damages(path: str) -> list[str]:
    """What is wrong with a review bundle and with the captured ones inside, a sentence each."""
    found = [f"{problem.name}: {problem.what}" for problem in verify(path)]
    folder = os.path.join(path, CAPTURED)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        inner = os.path.join(folder, name)
        found += [f"{CAPTURED}/{name}/{one.name}: {one.what}" for one in verify(inner)]
    return found
