"""Rules about the story: do the causes explain what happened, and the remedies the causes?"""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import combinations

from forestall.incident.review import lint_words
from forestall.incident.review.profile import SECTIONS
from forestall.incident.review.reading import COMPARED_MAX, LintFinding, Reading, Said, Severity
from forestall.units import format_duration

# From here on a redirect "at once" and the length of an outage no longer fit together.
LONG_OUTAGE = timedelta(minutes=30)

_PANIC = re.compile(r"\bkernel panic|\bpanic(?:k?ed|s)?\b", re.IGNORECASE)
_MEMORY_GONE = re.compile(
    r"\bmemory (?:exhaust|leak)|\bexhaust\w* (?:\w+ ){0,3}memory|\bout of memory",
    re.IGNORECASE,
)
_OOM_KILL = re.compile(r"\boom\b|panic_on_oom|out-of-memory kill|\boom[-_ ]?kill", re.IGNORECASE)
_LEAK = re.compile(r"\bmemory leak|\bleak(?:s|ed|ing)? memory|\bleak(?:s|ed|ing)?\b", re.IGNORECASE)
_LIMIT = re.compile(
    r"memorymax|memory (?:limit|cap|quota)|cgroup|\blimits?\b|\bcapped\b|\bquota\b|\bulimit\b",
    re.IGNORECASE,
)
_STANDBY = re.compile(
    r"\b(?:standby|secondary|replica|follower|failover|fail(?:ed|ing)? over|passive node)\b",
    re.IGNORECASE,
)
_REDIRECT = re.compile(
    r"\b(?:redirect|switch|mov|rout|rerout|shift|promot|fail)\w*\b", re.IGNORECASE
)
_FAILED = re.compile(
    r"\b(?:panic\w*|crash\w*|unavailable|outage|went down|failed|stopped answering)\b",
    re.IGNORECASE,
)
_SWAP_AGAINST_PANIC = (
    re.compile(r"\bswap\b", re.IGNORECASE),
    re.compile(r"\b(?:prevent|avoid|stop|avert)\w*", re.IGNORECASE),
    re.compile(r"\bpanic", re.IGNORECASE),
)
# 5 to 10 with a minor of one or two digits is how these distributions number their releases.
_RELEASE_AS_KERNEL = re.compile(
    r"\bkernel(?: version| release)? \(?((?:[5-9]|10)\.\d{1,2})\)?(?![\w.-])", re.IGNORECASE
)
_NUMBERED_BY_RELEASE = re.compile(
    r"\b(?:red ?hat|rhel|centos|rocky|alma(?:linux)?|oracle linux)\b", re.IGNORECASE
)
_ESSENTIAL = {
    "timeline": "when was it noticed, and when was it over?",
    "causes": "why did it happen?",
    "details": "what happened, and who felt it?",
    "follow_ups": "what will be done so that it does not happen again?",
}


def causes_are_different(reading: Reading) -> Iterator[LintFinding]:
    """Each cause is listed once, be it primary or contributing."""
    causes = [*reading.primary, *reading.contributing]
    for one, other in combinations(causes[:COMPARED_MAX], 2):
        if lint_words.is_repeat(one.text, other.text):
            yield reading.finding(
                "cause-twice",
                Severity.DOUBT,
                other.label,
                f"this cause seems to be that of line {reading.line(one.label)}: {other.text}",
                "is it one cause, or what is different about the second?",
            )


def panic_is_explained(reading: Reading) -> Iterator[LintFinding]:
    """Exhausted memory ends in the OOM killer; a panic needs a reason of its own."""
    text = reading.whole_text
    if not (_PANIC.search(text) and _MEMORY_GONE.search(text)) or _OOM_KILL.search(text):
        return
    told = _first(reading.sentences, _PANIC)
    yield reading.finding(
        "panic-without-oom",
        Severity.GAP,
        told.label if told else "metadata/name",
        "memory ran out and the kernel panicked, but normally the OOM killer ends one process",
        "why was it a panic: vm.panic_on_oom, nothing left to kill, or something else?",
    )


def leak_met_no_limit(reading: Reading) -> Iterator[LintFinding]:
    """One leaking service takes a whole server only where nothing limits it."""
    told = _first([*reading.primary, *reading.contributing], _LEAK)
    if told and not _LIMIT.search(reading.whole_text):
        yield reading.finding(
            "leak-without-limit",
            Severity.GAP,
            told.label,
            "a leak is named, and no word on a memory limit",
            "what let one service take the memory of the whole server, and who else runs there?",
        )


def redirect_fits_outage(reading: Reading) -> Iterator[LintFinding]:
    """Where a standby took over at once, the outage is short."""
    moved = next(
        (
            said
            for said in reading.immediate
            if _STANDBY.search(said.text) and _REDIRECT.search(said.text)
        ),
        None,
    )
    explained = _first([*reading.primary, *reading.contributing, *reading.description], _STANDBY)
    outage = reading.outage
    if moved and not explained and outage is not None and outage >= LONG_OUTAGE:
        yield reading.finding(
            "redirect-and-outage",
            Severity.CONTRADICTION,
            moved.label,
            "traffic went to a standby as an immediate action, yet the outage lasted "
            f"{format_duration(outage.total_seconds())}",
            "when was it redirected, why not at once, and why not by itself?",
        )


def detected_before_failure(reading: Reading) -> Iterator[LintFinding]:
    """What grows slowly can be seen before it fails."""
    detected = reading.milestones.get("detected")
    if detected is None or not _MEMORY_GONE.search(reading.whole_text):
        return
    for said in reading.description:
        times = [
            value["local"]
            for value in said.statement.values.values()
            if isinstance(value, dict) and "local" in value
        ]
        if f"{detected:%H:%M}" in times and _FAILED.search(said.text):
            yield reading.finding(
                "detected-by-outage",
                Severity.GAP,
                "timeline/detected",
                f"it was detected at {detected:%H:%M}, the minute it failed: by the outage itself",
                "since when did memory grow, and what would have shown it?",
            )
            return


def swap_is_no_remedy_for_panic(reading: Reading) -> Iterator[LintFinding]:
    """Swap delays exhaustion; whether the kernel panics then is another setting."""
    for said in reading.sentences:
        if _in_order(said.text, _SWAP_AGAINST_PANIC):
            yield reading.finding(
                "swap-against-panic",
                Severity.DOUBT,
                said.label,
                f"swap delays exhaustion, it does not prevent a panic: {said.text}",
                "what decides between a panic and an OOM kill here, and has that been changed?",
            )


def kernel_is_no_release(reading: Reading) -> Iterator[LintFinding]:
    """RHEL 7.6 is a release of the distribution; its kernel is 3.10.0-957."""
    for said in reading.sentences:
        match = _RELEASE_AS_KERNEL.search(said.text)
        if match and _NUMBERED_BY_RELEASE.search(said.text):
            yield reading.finding(
                "release-as-kernel",
                Severity.DOUBT,
                said.label,
                f"{match[1]} is a release of the distribution, not a version of its kernel",
                "which kernel was running (uname -r), and which flaw of it mattered?",
            )


def sections_say_something(reading: Reading) -> Iterator[LintFinding]:
    """No heading without content, no label without items, no team without people."""
    review = reading.review
    lists: tuple[tuple[str, object], ...] = (
        ("preventative", review.preventative),
        ("lessons", review.lessons),
        ("teams", review.teams),
        ("causes/primary", review.causes and review.causes.primary),
        ("causes/contributing", review.causes and review.causes.contributing),
        ("details/description", review.details and review.details.description),
        ("details/impact", review.details and review.details.impact),
        ("resolution/immediate", review.resolution and review.resolution.immediate),
        ("resolution/post_incident", review.resolution and review.resolution.post_incident),
        *((f"teams/{number}", team.members) for number, team in enumerate(review.teams or (), 1)),
    )
    for label, content in lists:
        if content == ():
            yield reading.finding(
                "empty",
                Severity.GAP,
                label,
                f"nothing stands under {_name(reading, label)}",
                "is there nothing to say, or is it still to be written?",
            )


def nothing_essential_is_missing(reading: Reading) -> Iterator[LintFinding]:
    """Times, causes, what happened, and what follows."""
    review = reading.review
    for section in SECTIONS:
        if section.key in _ESSENTIAL and not _says_anything(getattr(review, section.key)):
            yield reading.finding(
                "missing",
                Severity.GAP,
                section.key,
                f"no {section.headings[0].strip('#* ')} that could be read",
                _ESSENTIAL[section.key],
            )


def _says_anything(section: object) -> bool:
    if section is None:
        return False
    values = (getattr(section, name) for name in section.__slots__)  # type: ignore[attr-defined]
    return any(value is not None for value in values)


def _name(reading: Reading, label: str) -> str:
    head, _, rest = label.partition("/")
    if head == "teams" and rest:
        return (reading.review.teams or ())[int(rest) - 1].name
    section = next(section for section in SECTIONS if section.key == head)
    labels = {part.key: getattr(part, "label", "") for part in section.parts}
    return labels.get(rest) or section.headings[0].strip("#* ")


def _in_order(text: str, patterns: "Iterable[re.Pattern[str]]") -> bool:
    """Whether each pattern occurs, after the one before it. One pass, however long the text."""
    at = 0
    for pattern in patterns:
        match = pattern.search(text, at)
        if match is None:
            return False
        at = match.end()
    return True


def _first(sentences: "list[Said]", pattern: "re.Pattern[str]") -> Said | None:
    return next((said for said in sentences if pattern.search(said.text)), None)


RULES = (
    nothing_essential_is_missing,
    sections_say_something,
    causes_are_different,
    panic_is_explained,
    leak_met_no_limit,
    redirect_fits_outage,
    detected_before_failure,
    swap_is_no_remedy_for_panic,
    kernel_is_no_release,
)
