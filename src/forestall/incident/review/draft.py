"""Draft a review: keep its evidence in a bundle, compose it from there, write it beside."""

import contextlib
import os
import stat
from dataclasses import dataclass

from forestall import __version__
from forestall.clock import Clock
from forestall.errors import ForestallError, InputError, UsageError
from forestall.incident import timeline
from forestall.incident.review import bundle as bundles
from forestall.incident.review.case import PARAMETERS, Parameters
from forestall.incident.review.claims import Claim
from forestall.incident.review.compose import compose
from forestall.incident.review.render import render
from forestall.incident.review.verify import REVIEW_BYTES_MAX
from forestall.journal import replace_file
from forestall.model import codec
from forestall.model.bundle import Bundle
from forestall.model.review import Review
from forestall.units import KIB

_PARAMETERS_BYTES_MAX = 64 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """A review on disk (`path`, `text` are its bytes) and the bundle that backs it."""

    number: str
    path: str
    text: bytes
    review: Review
    claims: tuple[Claim, ...]
    bundle: Bundle


def draft(
    state_folder: str,
    number: str,
    *,
    site: bytes,
    clock: Clock,
    clock_scale: float | None = None,
    output: str | None = None,
    replace: bool = False,
) -> Drafted:
    """Draft the review of incident `number`, as its timeline stands now.

    `site` are the bytes of site.toml, empty for none. `clock_scale` is stated in the review; where
    it is not given, that of an earlier draft of the same incident is.
    The bundle goes to `incidents/NUMBER/evidence`, the review to `output` or to
    `incidents/NUMBER/review.md`. A draft nobody touched is replaced; any other file only with
    `replace`, and what is no regular file never: UsageError. InputError for an unknown number.
    """
    folder = os.path.join(state_folder, "incidents")
    loaded = timeline.load(folder, number)
    if loaded is None:
        raise timeline.unknown(folder, number)
    _, incident = loaded
    home = os.path.join(folder, number)
    path = os.path.join(home, "review.md") if output is None else output
    _refuse_to_lose(path, os.path.join(home, "evidence"), replace=replace)
    bundle = bundles.write(
        os.path.join(home, "evidence"),
        state_folder=state_folder,
        incident=incident,
        site=site,
        parameters=Parameters(
            drafted_at=clock.now(),
            version=__version__,
            clock_scale=clock_scale or _scale_of_earlier(os.path.join(home, "evidence")),
        ),
        clock=clock,
    )
    composed = compose(bundles.entries(bundle.path))
    text = render(composed.review)
    _write(path, text)
    return Drafted(
        number=number,
        path=path,
        text=text,
        review=composed.review,
        claims=composed.claims,
        bundle=bundle,
    )


def _scale_of_earlier(folder: str) -> float | None:
    """The clock scale in the drafts that are there: the incident's times do not change it."""
    for bundle_id in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        try:
            with open(os.path.join(folder, bundle_id, PARAMETERS), "rb") as file:
                parameters = codec.loads(Parameters, file.read(_PARAMETERS_BYTES_MAX))
        except (OSError, InputError):
            continue
        if parameters.clock_scale is not None:
            return parameters.clock_scale
    return None


def _refuse_to_lose(path: str, evidence: str, *, replace: bool) -> None:
    """Raises UsageError where writing `path` would take away what a person wrote, or a device."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise UsageError(f"{path} is no regular file", help="name a new file with -o")
        if replace or _is_untouched_draft(path, evidence):
            return
    except OSError:
        return  # Nothing is there; or it cannot be written either, which is said then.
    raise UsageError(
        f"{path} exists, and is no draft that nobody has touched",
        help="write elsewhere with -o FILE, or replace it with --force",
    )


def _is_untouched_draft(path: str, evidence: str) -> bool:
    with open(path, "rb") as file:
        text = file.read(REVIEW_BYTES_MAX)
    for bundle_id in os.listdir(evidence) if os.path.isdir(evidence) else []:
        if bundle_id.encode() in text:
            with contextlib.suppress(ForestallError):
                bundle = os.path.join(evidence, bundle_id)
                return render(compose(bundles.entries(bundle)).review) == text
    return False


def _write(path: str, text: bytes) -> None:
    """Replace a file whole, durably: a review is never half a review."""
    try:
        replace_file(path, text)
    except OSError as error:
        raise InputError(
            f"{path}: the review was not written: {error.strerror}",
            help="-o FILE writes it elsewhere",
        ) from None
