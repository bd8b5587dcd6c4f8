"""The sentences of a review, section by section: Case -> list of Said. All pure."""

from forestall.audit.exhaustion import cgroup_exhaustion, host_exhaustion
from forestall.evidence.layout import SUMS
from forestall.incident.review.case import PARAMETERS, SITE, TIMELINE, Case, Placed
from forestall.incident.review.claims import Said, say
from forestall.incident.review.facts import Fact, Source
from forestall.model.action import ActionKind, OutcomeState
from forestall.model.event import EventKind
from forestall.model.verdict import LimitKind

OUTCOMES_MAX = 40
REASONS_MAX = 20

_DONE = {
    ActionKind.CAPTURE: "capture done",
    ActionKind.STOP: "stop done",
    ActionKind.RESTART: "restart done",
    ActionKind.NOTIFY: "notify done",
    ActionKind.CONTAIN: "contain done",
    ActionKind.SWITCHOVER: "switchover done",
}


def service(case: Case) -> Fact:
    """The service, as the incident's key names it."""
    return case.fact("service", "service of the key", timeline("/key"))


def host(case: Case) -> Fact:
    """The host, as the incident's key names it."""
    return case.fact("host", "host of the key", timeline("/key"))


def timeline(pointer: str) -> Source:
    """A place in the incident's document."""
    return Source(entry=TIMELINE, pointer=pointer)


def which_clock(case: Case) -> list[Said]:
    """A scaled clock is said first: no time after it means what it seems to."""
    if case.parameters.clock_scale is None:
        return []
    scale = case.fact("scale", "factor", Source(entry=PARAMETERS, pointer="/clock_scale"))
    return [say("scaled clock", scale=scale)]


def what_happened(case: Case) -> list[Said]:
    """Who was judged, how, and since when it had been growing."""
    verdict = case.verdict
    if verdict is None or case.incident.detected_at is None:
        return []
    at = case.verdict_at
    said = [
        say(
            "detected",
            detected=case.time("detected", case.detected),
            service=service(case),
            host=host(case),
            kind=case.fact("kind", "as it is", at("/kind")),
        )
    ]
    if verdict.subject.process is not None:
        said.append(
            say(
                "subject",
                name=case.fact("name", "as it is", at("/subject/name")),
                pid=case.fact("pid", "as it is", at("/subject/process/pid")),
                memory=case.fact("memory", "size", at("/memory_bytes")),
            )
        )
    if verdict.forecast is not None:
        said.append(_growth(case))
    return said


def _growth(case: Case) -> Said:
    at = case.verdict_at
    assert case.verdict is not None
    rates = {
        name: case.fact(name, "rate", at(f"/forecast/{name}_bytes_per_second"))
        for name in ("rate", "rate_low", "rate_high")
    }
    first = memory_at_onset(case)
    if first is None:
        return say("growth without onset", **rates)
    return say(
        "growth",
        onset=case.time("onset", timeline("/onset_at")),
        span=case.fact("span", "time between", timeline("/onset_at"), case.detected),
        memory_first=first,
        memory_last=case.fact("memory_last", "size", at("/memory_bytes")),
        **rates,
    )


def memory_at_onset(case: Case) -> Fact | None:
    """What the subject held when its growth began, from the captured series that reaches there."""
    series, onset = case.captured("series.json"), case.incident.onset_at
    times = case.book.value(case.captured("series.json", "/times"))
    if onset is None or not isinstance(times, list) or not times or times[0] > onset:
        return None
    return case.fact("memory_first", "size in the series near", series, timeline("/onset_at"))


def what_would_have_happened(case: Case) -> list[Said]:
    """The forecast, and what exhaustion means on this host."""
    return [*_forecast(case), *_exhaustion(case)]


def _forecast(case: Case) -> list[Said]:
    verdict = case.verdict
    if verdict is None:
        return []
    forecast = verdict.forecast
    if forecast is None:
        return [say("no forecast")]
    at = case.verdict_at
    limit = {
        "headroom": case.fact("headroom", "size", at("/forecast/limit/headroom_bytes")),
        "limit_kind": case.fact("limit_kind", "kind of limit in words", at("/forecast/limit/kind")),
        "limit": case.fact("limit", "size", at("/forecast/limit/limit_bytes")),
        "limit_source": case.fact("limit_source", "as it is", at("/forecast/limit/source")),
    }

    def moment(name: str, field: str) -> Fact:
        return case.fact(
            name,
            "forecast time",
            at("/at"),
            at(f"/forecast/{field}"),
            case.detected,
            parameter=case.zone,
        )

    if forecast.exhaustion_low_seconds is None:
        said = [say("forecast out of sight", **limit)]
    else:
        soonest = moment("soonest", "exhaustion_low_seconds")
        if forecast.exhaustion_high_seconds is None:
            said = [say("forecast soonest", soonest=soonest, **limit)]
        else:
            latest = moment("latest", "exhaustion_high_seconds")
            said = [say("forecast", soonest=soonest, latest=latest, **limit)]
    if forecast.limit.kind is LimitKind.GIVEN:
        said.append(say("limit given"))
    return said


def _exhaustion(case: Case) -> list[Said]:
    """What audit says of this host, in its own sentences."""
    facts = case.host_facts
    if facts is None:
        return [say("no host facts")]
    document = case.captured("host-facts.json")
    index = case.cgroup_index()
    if index is not None and case.sample is not None and _is_cgroup_limit(case):
        cgroup = case.captured("sample.json", f"/cgroups/{index}")
        sources: tuple[Source, ...] = (document, cgroup)
        kind, answer = "cgroup", cgroup_exhaustion(facts, case.sample.cgroups[index])
        first = 1  # The limit itself, which the forecast has just named.
    else:
        sources, kind, answer, first = (document,), "host", host_exhaustion(facts), 0
    headline = case.fact("sentence", f"exhaustion of the {kind}", *sources)
    said = [say("exhaustion", sentence=headline)]
    for number in range(first, len(answer.because)):
        sentence = case.fact(
            "sentence", f"sentence on the exhaustion of the {kind}", *sources, parameter=number
        )
        said.append(say("exhaustion", sentence=sentence))
    return said


def _is_cgroup_limit(case: Case) -> bool:
    forecast = case.verdict.forecast if case.verdict else None
    return forecast is not None and forecast.limit.kind is LimitKind.CGROUP


def what_was_decided(case: Case) -> list[Said]:
    """Guard's reasons, and what was left when it decided."""
    plans = case.events(EventKind.PLAN)
    if not plans:
        return [say("no decision")]
    acting = [plan for plan in plans if plan.event.data.get("actions")]
    plan = acting[0] if acting else plans[-1]
    said = []
    for index, _ in enumerate(plan.event.data.get("because", [])[:REASONS_MAX]):
        place = timeline(f"{plan.pointer}/data/because/{index}")
        because = case.fact("because", "as a sentence", place)
        said.append(say("planned too" if index else "planned", because=because))
    for index, _ in enumerate(plan.event.data.get("refusals", [])[:REASONS_MAX]):
        place = timeline(f"{plan.pointer}/data/refusals/{index}")
        said.append(say("refusal", refusal=case.fact("refusal", "as a sentence", place)))
    headroom = headroom_at_decision(case)
    if headroom is not None:
        at = case.second("at", timeline(f"{plan.pointer}/at"))
        said.append(say("headroom at action", at=at, **headroom))
    if not any(is_done(placed) for placed in case.events(EventKind.OUTCOME)):
        mode = case.fact("mode", "as it is", timeline(f"{plan.pointer}/data/mode"))
        said.append(say("nothing done", mode=mode))
    return said


def headroom_at_decision(case: Case) -> dict[str, Fact] | None:
    """What was left of the limit when guard first planned to act."""
    for plan in case.events(EventKind.PLAN):
        limit = timeline(f"{plan.pointer}/data/verdict/forecast/limit")
        if plan.event.data.get("actions") and case.book.value(limit):
            return {
                name: case.fact(name, "size", timeline(f"{limit.pointer}/{name}_bytes"))
                for name in ("headroom", "limit")
            }
    return None


def is_done(placed: Placed) -> bool:
    """Whether an outcome says that something was really done."""
    return placed.event.data.get("state") == OutcomeState.DONE


def how_it_ended(case: Case) -> list[Said]:
    """Recovered, or still open."""
    if case.incident.resolved_at is None:
        return [say("still open")]
    ends = case.events(EventKind.RECOVERED, EventKind.RESOLVED)
    last = next(one for one in reversed(ends) if one.event.at == case.incident.resolved_at)
    return [
        say(
            "resolved",
            resolved=case.time("resolved", timeline("/resolved_at")),
            text=case.fact("text", "as a sentence", timeline(f"{last.pointer}/text")),
        ),
        *_restart_is_no_repair(case),
    ]


def _restart_is_no_repair(case: Case) -> list[Said]:
    """How long a restart has bought, where guard restarted and the rates are known."""
    forecast = case.verdict.forecast if case.verdict else None
    restarted = any(
        is_done(one) and one.event.data.get("kind") == ActionKind.RESTART
        for one in case.events(EventKind.OUTCOME)
    )
    if not restarted or forecast is None or forecast.rate_low_bytes_per_second <= 0:
        return []
    held = case.verdict_at("/memory_bytes")
    left = case.verdict_at("/forecast/limit/headroom_bytes")

    def fills(name: str, rate: str) -> Fact:
        place = case.verdict_at(f"/forecast/{rate}_bytes_per_second")
        return case.fact(name, "time to fill", held, left, place)

    soonest, latest = fills("soonest", "rate_high"), fills("latest", "rate_low")
    return [say("restart is no repair", soonest=soonest, latest=latest)]


def about_this_review(case: Case, bundle: Fact) -> list[Said]:
    """From which evidence, by which version, and what is missing."""
    said = []
    if case.book.entries.get(f"{case.folder}/{SUMS}") is None:
        said.append(say("no evidence"))
    else:
        # The id of a bundle is the digest of its sums, so it is computed, not quoted.
        captured = case.fact("bundle", "sha256 of the bytes", case.captured(SUMS))
        said.append(say("evidence", bundle=captured))
    site = Source(entry=SITE, pointer="")
    missing = case.fact("keys", "missing keys", site)
    if missing.text != "nothing":
        said.append(say("missing", keys=missing))
    drafted = Source(entry=PARAMETERS, pointer="/drafted_at")
    said.append(
        say(
            "provenance",
            version=case.fact("version", "as it is", Source(entry=PARAMETERS, pointer="/version")),
            drafted=case.time("drafted", drafted),
            bundle=bundle,
        )
    )
    return said


def primary_cause(case: Case) -> list[Said]:
    """Whose memory it was, what kind, why that is a leak, and what cannot be known."""
    verdict = case.verdict
    if verdict is None:
        return [say("unknowable")]
    at = case.verdict_at
    said = []
    if verdict.subject.process is not None and case.incident.detected_at is not None:
        who = {
            "service": service(case),
            "pid": case.fact("pid", "as it is", at("/subject/process/pid")),
            "detected": case.time("detected", case.detected),
        }
        first = memory_at_onset(case)
        last = case.fact("memory", "size", at("/memory_bytes"))
        if first is None:
            said.append(say("primary without onset", memory=last, **who))
        else:
            onset = case.time("onset", timeline("/onset_at"))
            said.append(say("primary", memory_first=first, memory_last=last, onset=onset, **who))
    said += _anonymous(case)
    said += _started(case)
    for index, _ in enumerate(verdict.reasons[:REASONS_MAX]):
        reason = case.fact("reason", "as a sentence", at(f"/reasons/{index}"))
        said.append(say("verdict reason", reason=reason))
    said.append(say("unknowable"))
    return said


def _anonymous(case: Case) -> list[Said]:
    found = case.process()
    if found is None or found[1].anon_bytes is None or not found[1].rss_bytes:
        return []
    index, process = found

    def place(field: str) -> Source:
        return case.captured("sample.json", f"/processes/{index}/{field}")

    slots = {
        "rss": case.fact("rss", "size", place("rss_bytes")),
        "anonymous": case.fact("anonymous", "size", place("anon_bytes")),
        "share": case.fact("share", "percent of", place("anon_bytes"), place("rss_bytes")),
    }
    if not process.swap_bytes:
        return [say("anonymous", **slots)]
    swapped = case.fact("swapped", "size", place("swap_bytes"))
    return [say("anonymous and swap", swapped=swapped, **slots)]


def _started(case: Case) -> list[Said]:
    """When the process began; left out on a scaled clock, which is not the kernel's."""
    facts, verdict = case.host_facts, case.verdict
    if facts is None or facts.booted_at is None or case.parameters.clock_scale is not None:
        return []
    if verdict is None or verdict.subject.process is None:
        return []
    ticks = case.verdict_at("/subject/process/start_ticks")
    booted = case.captured("host-facts.json", "/booted_at")
    return [
        say(
            "started",
            started=case.fact(
                "started", "ticks after boot", ticks, booted, case.detected, parameter=case.zone
            ),
            before=case.fact("before", "time since ticks after boot", ticks, booted, case.detected),
        )
    ]


def actions_taken(case: Case) -> list[Said]:
    """Each outcome, with its time."""
    said = [_action(case, one) for one in case.events(EventKind.OUTCOME)[:OUTCOMES_MAX]]
    return said or [say("no action")]


def _action(case: Case, placed: Placed) -> Said:
    data = placed.event.data
    at = case.second("at", timeline(f"{placed.pointer}/at"))
    detail = case.fact("detail", "as a sentence", timeline(f"{placed.pointer}/data/detail"))
    kind, state = ActionKind(data["kind"]), OutcomeState(data["state"])
    if state is OutcomeState.DONE and kind is ActionKind.NOTIFY:
        return say(_DONE[kind], at=at, detail=detail)
    if state is OutcomeState.DONE:
        took = case.fact("took", "duration", timeline(f"{placed.pointer}/data/took_seconds"))
        return say(_DONE[kind], at=at, took=took, detail=detail)
    action = case.fact("action", "as it is", timeline(f"{placed.pointer}/data/kind"))
    return say(state.value, at=at, action=action, detail=detail)
