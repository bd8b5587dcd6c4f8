"""What a decision must know of the host now, beside the verdict: all of it is data."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forestall.guard.ownership import Ownership, shared_limit
from forestall.guard.recipe import Recipe
from forestall.model.action import Mode
from forestall.model.verdict import Verdict

if TYPE_CHECKING:
    # Loaded when there is trouble: an agent on a quiet host stays smaller without them.
    from forestall.guard.containment import Containment
    from forestall.model.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """What `decide` must know of the host now, beside the verdict.

    troubled_since       when the subject's verdict became LEAKING or worse, without a break since
    own_pids             forestall's own pid, and those of what runs it
    protected            further names and units of the owner's, shell-style patterns
    recipe               how the subject's service is restarted; None = no known way
    evidence_free_bytes  room for evidence; None = not known
    ownership            how much of the growth is the subject's; None = not looked at
    containment          how it would be contained; None = `no_containment` says why not
    database             the cluster, where one is configured; None = none is
    via                  how its clients are held meanwhile: pgbouncer, haproxy, or patroni alone
    fleet                whether others share a lease with this host
    any_oom_panics       vm.panic_on_oom=2: the host goes down with whoever runs out, and not only
                         when it runs out itself
    """

    at: float
    mode: Mode
    troubled_since: float
    own_pids: frozenset[int]
    protected: tuple[str, ...] = ()
    recipe: Recipe | None = None
    evidence_free_bytes: int | None = None
    ownership: Ownership | None = None
    containment: "Containment | None" = None
    no_containment: str | None = None
    database: "Database | None" = None
    via: str = "patroni"
    fleet: bool = False
    any_oom_panics: bool = False


def runs_out_alone(verdict: Verdict, state: HostState) -> bool:
    """Whether nobody else is harmed when the judged service runs out."""
    return not state.any_oom_panics and not shared_limit(verdict, state.ownership)
