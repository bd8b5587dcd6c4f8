"""At the rate at which memory grows here, it is gone before anybody can act.

What matters about swap and free memory is how long they last: 4 GiB are a day for one leak and
ten minutes for another. The rule divides what is left by what anonymous memory grew by, as the
host's history shows it, and compares the time with what the site needs from alert to repair (an
hour unless the site says otherwise). It needs such a history; one snapshot cannot tell, and a
window shorter than half an hour may be a program warming up. Free zram is room only as far as
pages compress, which the facts do not tell: where it decides, the answer is unknown.
"""

from forestall.audit.headroom import rooms
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes, format_duration

LEAST_WINDOW_SECONDS = 1800.0

IN_CONTAINER = not_applicable("The growth is the host's, not this container's.")
NO_HISTORY = not_applicable(
    "No history of this host's memory: forestall watch or a Prometheus would give one."
)
NOT_READ = unknown("How much memory is left could not be read.")


def judge(host: Posture) -> Judgement:
    """Available memory and free swap over anonymous growth; memory that shrinks lasts for ever."""
    facts = host.facts
    growth = facts.anonymous_growth_bytes_per_second
    if growth is None:
        return NO_HISTORY
    if facts.container:
        return IN_CONTAINER
    found = rooms(facts)
    if not found or facts.memory.swap_free_bytes is None:
        return NOT_READ
    needed = host.terms.time_to_act_seconds
    least = min(room.left_bytes for room in found)
    if least >= growth * needed:
        return PASS
    window = facts.growth_window_seconds
    if window is None or window < LEAST_WINDOW_SECONDS:
        seen = "an unknown time" if window is None else format_duration(window)
        return unknown(
            f"Memory grows, but it was watched for {seen} only; half an hour is the least.",
            "/anonymous_growth_bytes_per_second",
            "/growth_window_seconds",
        )
    left = max(room.left_bytes for room in found)
    if left >= growth * needed:
        return unknown(
            f"{format_bytes(least)} without zram last {format_duration(least / growth)} at "
            f"{format_bytes(growth * 3600)} an hour; how much more zram gives, or whether swap is "
            "zram, is unknown.",
            remedy="swapon --show, and zramctl (DATA against TOTAL is how well it compresses)",
        )
    return fail(
        f"{format_bytes(left)} of memory and swap last {format_duration(left / growth)} at "
        f"{format_bytes(growth * 3600)} an hour; from alert to repair it takes "
        f"{format_duration(needed)}.",
        expected=f"what is left lasts {format_duration(needed)}",
    )


RULE = Rule(
    id="SWP-003",
    title="memory ends before anybody can act",
    severity=Severity.HIGH,
    reads=(
        "/anonymous_growth_bytes_per_second",
        "/growth_window_seconds",
        "/memory/mem_available_bytes",
        "/memory/swap_free_bytes",
    ),
    expected="what is left lasts as long as the site needs from alert to repair",
    remedy="find who grows and stop that first (forestall watch); then give it a limit, then more "
    "swap: swap alone only moves the hour",
    undo="nothing to undo",
    cost=Cost.NONE,
    reference="our advice: time to exhaustion against the site's time from alert to repair",
    judge=judge,
)
