"""From a run to what is reported of it: who was to blame by whom, and which evidence is there."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field

from drills.panic import culprit
from drills.panic.culprit import Named
from drills.panic.packages import Packages
from drills.panic.replay import Run, at_of
from forestall.errors import ForestallError
from forestall.evidence.retention import stored
from forestall.evidence.verify import open_bundle
from forestall.guard.ledger import LEDGER_NAME, Ledger
from forestall.model.codec import Json

VERIFY_SECONDS = 120
LOG_BYTES_MAX = 4 * 1024 * 1024
SERVICE = "inventory-sync"

_EARLYOOM = re.compile(r'sending SIG\w+ to process (\d+) uid \d+ "([^"]*)"')


@dataclass(slots=True, kw_only=True)
class Finding:
    """What is known of one guard after its run. Seconds by the guest's own clock."""

    run: Run
    culprit: str | None = None
    culprit_by: str | None = None
    evidence: str | None = None
    verified: str | None = None
    named: Named | None = None
    unnamed: str | None = None
    not_kept: tuple[str, ...] = ()
    acts: list[str] = field(default_factory=list)

    @property
    def guard(self) -> str:
        return self.run.guard

    @property
    def outcome(self) -> str:
        """panicked, recovered (recycled, and well for a while), or what else ended the run."""
        if self.run.panicked:
            return "panicked"
        return "recovered" if self.run.ended == "healthy" else self.run.ended or "ended early"

    @property
    def as_promised(self) -> bool:
        """Unguarded it panics; with forestall it recovers and evidence comes out whole."""
        if self.guard == "none":
            return self.run.panicked
        if self.guard == "forestall":
            return self.outcome == "recovered" and self.evidence is not None and self.whole
        return True

    @property
    def whole(self) -> bool:
        return self.verified is not None and self.verified.startswith("whole")

    def to_json(self) -> dict[str, Json]:
        run = self.run
        panic = run.panic
        host = {name: round(at, 2) for name, at in run.host_seconds.items()}
        began = host.get("serving")
        ended = host.get("panic" if run.panicked else "ended")
        recovered = at_of(run.first("started", name=SERVICE, starts=2))
        return {
            "guard": self.guard,
            "panicked": run.panicked,
            "seconds": run.seconds,
            "evidence": self.evidence,
            "culprit": self.culprit,
            "outcome": self.outcome,
            "culprit_by": self.culprit_by,
            "evidence_verified": self.verified,
            "seconds_by_the_host": None if began is None or ended is None else ended - began,
            "boot_seconds": host.get("up"),
            "run_seconds": host.get("end"),
            "service_back_at_seconds": None
            if recovered is None or run.leak_at is None
            else round(recovered - run.leak_at, 2),
            "longest_database_gap_seconds": run.longest_gap_seconds,
            "log_opens_with": panic.invoked_by if panic else None,
            "log_table_says": panic.largest.name if panic and panic.largest else None,
            "drgn_says": self.named.name if self.named else None,
            "vmcore": run.vmcore,
            "folder": run.folder,
        }


def find(run: Run, packages: Packages, release: str) -> Finding:
    """Everything about a run that its files can tell."""
    finding = Finding(run=run)
    kept = os.path.join(run.folder, "kept")
    if run.panic is not None:
        _name_from_panic(finding, packages, release)
    if run.guard == "earlyoom":
        _read_earlyoom(finding, os.path.join(kept, "guard.log"))
    elif run.guard == "forestall":
        _read_forestall(finding, os.path.join(kept, "forestall"))
    return finding


def _name_from_panic(finding: Finding, packages: Packages, release: str) -> None:
    run = finding.run
    assert run.panic is not None
    if run.panic.largest is not None:
        finding.culprit, finding.culprit_by = run.panic.largest.name, "the log's task table"
    finding.unnamed = culprit.missing(packages, release)
    if finding.unnamed is None and run.vmcore is not None:
        try:
            finding.named = culprit.ask(run.vmcore, culprit.symbols_path(packages, release))
            finding.culprit, finding.culprit_by = finding.named.name, "drgn on the vmcore"
        except ForestallError as error:
            finding.unnamed = f"{error.message}."


def _read_earlyoom(finding: Finding, log: str) -> None:
    for number, name in _EARLYOOM.findall(_text(log)):
        finding.acts.append(f"earlyoom ended process {number}, {name}.")
        if finding.culprit is None:
            finding.culprit, finding.culprit_by = name, "earlyoom's log"


def _read_forestall(finding: Finding, state: str) -> None:
    bundles = stored(os.path.join(state, "evidence"))
    if bundles:
        path = bundles[0].path
        finding.evidence, finding.verified = path, verify(path)
        if finding.whole:
            manifest = open_bundle(path).manifest
            finding.not_kept = manifest.missing
            if finding.named is None:
                finding.culprit, finding.culprit_by = manifest.subject, "the evidence bundle"
    ledger = os.path.join(state, LEDGER_NAME)
    if os.path.exists(ledger):
        opened = Ledger(ledger)
        try:
            for past in opened.history.past:
                finding.acts += past.plan.because
                finding.acts += [
                    f"{one.kind.value}: {one.state.value}. {one.detail}" for one in past.outcomes
                ]
        finally:
            opened.close()


def verify(bundle: str) -> str:
    """`whole`, or what `forestall evidence verify` says is wrong with a bundle."""
    ran = subprocess.run(
        [sys.executable, "-m", "forestall", "evidence", "verify", bundle],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=VERIFY_SECONDS,
        check=False,
    )
    return "whole" if ran.returncode == 0 else " ".join((ran.stdout + ran.stderr).split())[:300]


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            return log.read(LOG_BYTES_MAX)
    except OSError:
        return ""
