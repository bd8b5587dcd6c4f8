"""Every sentence a drafted review can hold. `{name}` is a slot that only a fact can fill.

The fixed words hold no number, no time, no version and no name of anything at this site, so that
whatever a reader could act on comes from a fact. A test holds this.
"""

from collections.abc import Iterator, Mapping

NOT_STATED = "not stated in site.toml"

_FIXED: Mapping[str, str] = {
    "name reached": "Memory leak in {service} on {host}, which reached a limit",
    "name avoided": "Memory leak in {service} on {host}, caught before a limit was reached",
    # What happened.
    "detected": "At {detected}, forestall judged the service `{service}` on the server `{host}` to "
    "be {kind}.",
    "subject": "It ran as `{name}`, process {pid}, and held {memory} of memory at that time.",
    "growth": "Its memory had been growing since {onset}, for {span}, from {memory_first} to "
    "{memory_last}, at {rate} (between {rate_low} and {rate_high}).",
    "growth without onset": "Its memory was growing at {rate} (between {rate_low} and "
    "{rate_high}).",
    # What would have happened next.
    "forecast": "Without action, the {headroom} left below {limit_kind} "
    "({limit}, {limit_source}) would have been used up between {soonest} and {latest}.",
    "forecast soonest": "Without action, the {headroom} left below {limit_kind} "
    "({limit}, {limit_source}) would have been used up at {soonest} at the soonest; how late at "
    "the latest could not be told.",
    "forecast out of sight": "When the {headroom} left below {limit_kind} "
    "({limit}, {limit_source}) would have been used up was not within sight.",
    "no forecast": "Nothing was known of a limit, so no time of exhaustion was forecast.",
    "limit given": "This limit was given to forestall; no kernel enforces it.",
    "exhaustion": "{sentence}",
    "no host facts": "What exhaustion means on this host cannot be said: no facts of the host were "
    "saved with this incident.",
    # What was done.
    "planned": "Guard's reason to act: {because}",
    "planned too": "{because}",
    "refusal": "Guard held back: {refusal}",
    "headroom at action": "When guard decided, at {at}, {headroom} of the limit of {limit} were "
    "left.",
    "nothing done": "Nothing was done about it by guard: its mode was {mode}.",
    "no decision": "No decision of guard is recorded.",
    "still open": "The incident was still open when this review was drafted.",
    "restart is no repair": "The restart freed the memory and repaired nothing: if the service "
    "grows as before, it fills its limit again within {soonest} to {latest} of its start.",
    "resolved": "At {resolved}, forestall found the service recovered: {text}",
    "scaled clock": "All times are those of a scaled clock that ran {scale} times as fast as the "
    "wall clock.",
    "provenance": "Drafted by forestall {version} at {drafted} from the evidence bundle {bundle}; "
    "each sentence follows from values in it.",
    "missing": "Missing here because it is not stated in site.toml: {keys}.",
    "no evidence": "No evidence bundle of this incident was captured, or none that can still be "
    "read; all that is said here rests on the timeline.",
    "evidence": "The evidence captured at the time is the bundle {bundle}.",
    # Why.
    "primary": "The memory of `{service}` (process {pid}) grew and did not come back: "
    "{memory_first} at {onset}, {memory_last} at {detected}.",
    "primary without onset": "The memory of `{service}` (process {pid}) grew and did not come "
    "back; it had reached {memory} at {detected}.",
    "verdict reason": "What the detector saw: {reason}",
    "anonymous": "Of the {rss} resident, {anonymous} ({share}) were anonymous memory of this "
    "process: allocations of the program, not files that the kernel could drop.",
    "anonymous and swap": "Of the {rss} resident, {anonymous} ({share}) were anonymous memory of "
    "this process, and {swapped} more were in swap: allocations of the program, not files that the "
    "kernel could drop.",
    "started": "The process had been started at {started}, {before} before it was detected.",
    "unknowable": "Which object or which line of code holds the memory cannot be seen from outside "
    "the process; an analysis of its heap is not part of this review.",
    "no factors": "No setting of the host or the service was found that made it worse.",
    # Impact.
    "limit not reached": "The limit was not reached: {headroom} of {limit} were left when guard "
    "decided.",
    "limit not reached, unmeasured": "No event says that the limit was reached.",
    "limit reached": "The limit was reached at {exhausted}: {text}",
    "outage": "The service `{service}` was away for at most {gap}, the time its restart took: from "
    "{since} to {until}.",
    "outage until": "The service `{service}` was away for at most {gap}: from {since}, until it "
    "was seen again at {until}.",
    "stopped for good": "The service `{service}` was stopped at {since}; no event says that it was "
    "started again.",
    "no outage": "Nothing measured says that the service `{service}` was away.",
    "downtime": "Total Downtime is {minutes}: this measured time in whole minutes, not the time "
    "from detection to resolution.",
    "downtime unknown": "How long the service `{service}` was away was not measured, so no Total "
    "Downtime is stated.",
    "applications": "Depending on it, as stated in site.toml: {applications}; what they lost was "
    "not measured.",
    "applications measured": "Depending on it, as stated in site.toml: {applications}.",
    "measured orders": "Measured by {by}: {acknowledged} orders were acknowledged, {failed} failed "
    "and {lost} were lost; the longest time without an acknowledged write was {gap}.",
    "measured penalties": "Measured by {by}: penalties of {amount} {currency} for late orders.",
    "penalties": "Penalties of {per_hour} {currency} per hour, as stated in site.toml, give "
    "{amount} for this time.",
    # Resolution.
    "capture done": "{at}: evidence of the running process was saved in {took}: {detail}",
    "stop done": "{at}: the service was stopped in {took}: {detail}",
    "restart done": "{at}: the service was restarted in {took}: {detail}",
    "notify done": "{at}: people were notified: {detail}",
    "contain done": "{at}: the service was given a limit of its own in {took}: {detail}",
    "switchover done": "{at}: the traffic of the database was moved to another node in {took}: "
    "{detail}",
    "undone": "{at}: the action {action} was taken back: {detail}",
    "failed": "{at}: the action {action} was tried and failed: {detail}",
    "refused": "{at}: the action {action} was refused: {detail}",
    "skipped": "{at}: the action {action} was skipped: {detail}",
    "would": "{at}: the action {action} was not taken, because of the mode: {detail}",
    "no action": "No action is recorded.",
    "none afterwards": "None recorded yet.",
    "note": '[{text}]{{by="{by}"}}',
    # The leak itself, in every review.
    "leak measure": "Test `{service}` for memory that does not come back before each release.",
    "leak lesson": "The growth of `{service}` was seen {lead} before the soonest time of "
    "exhaustion.",
    "leak lesson without forecast": "A leak shows as growth that does not come back, long before "
    "a limit is reached.",
    "leak follow-up": "Find what `{service}` keeps in memory, repair it, and test its memory "
    "before each release.",
    # What else was about to break: a factor, then what to do about it.
    "finding": "{finding}",
    "no limit factor": "No memory limit of the kernel held `{service}`: the nearest bound was "
    "{limit_kind}, {limit}.",
    "no limit measure": "Give each service a memory limit, so that a leak ends inside it.",
    "no limit lesson": "A service without a limit can take the memory of everything beside it.",
    "no limit follow-up": "Set a memory limit for `{service}` on `{host}`, from what it needs at "
    "its busiest.",
    "database factor": "The database `{database}` (process {pid}) ran on the same host as "
    "`{service}`.",
    "database measure": "Keep services that may leak away from the hosts of databases, or behind a "
    "memory limit.",
    "database lesson": "What leaks beside a database puts the database at risk.",
    "database follow-up": "Decide whether `{service}` may stay on the host of the database "
    "`{database}`, and behind which memory limit.",
    "guard factor": "No userspace OOM guard ran on this host to act before the kernel has to.",
    "guard measure": "Run a userspace OOM guard on hosts that matter.",
    "guard lesson": "The kernel acts only when nothing is left; a userspace guard acts earlier.",
    "guard follow-up": "Install a userspace OOM guard on `{host}`.",
    "mode factor": "Guard was not allowed to act: its mode was {mode}.",
    "mode measure": "Let guard act for the services where its ledger shows it was right.",
    "mode lesson": "Only a guard that may act can keep a leak from its limit while people sleep.",
    "mode follow-up": "Read the ledger of guard for `{service}`, and decide whether it may act.",
}

CLOSED = "It is done when `{closing}` answers true."
"""A follow-up from a finding can be asked of the host itself, by whoever wants to close it."""

_FINDINGS: Mapping[str, tuple[str, str, str]] = {
    "COR": (
        "Keep the core of a service that may leak, as large as the service.",
        "Without a core, what a service held in memory is gone when it ends.",
        "Have services on `{host}` leave a whole core",
    ),
    "HUG": (
        "Reserve huge pages for the database, and no more than it uses.",
        "Memory that is reserved and not used is no use to anybody.",
        "Bring the huge pages of `{host}` in line with what the database uses",
    ),
    "JRN": (
        "Bound what the journal of a host may keep in memory.",
        "What is kept in memory by the host itself is not there for its services.",
        "Bound the journal of `{host}`",
    ),
    "KDP": (
        "Arm kdump, so that a panic can be explained.",
        "Without a dump, nobody can say afterwards what held the memory.",
        "Arm kdump on `{host}`, so that a panic can be explained",
    ),
    "KRN": (
        "Keep the hosts on a release and a kernel that still get fixes.",
        "A kernel that gets no fixes keeps the faults it has.",
        "Bring `{host}` to a release and a kernel that still get fixes",
    ),
    "LIM": (
        "Set a memory limit on each service that shares a host with a database.",
        "A service without a memory limit can take what its database needs.",
        "Set a memory limit for what runs beside the database of `{host}`",
    ),
    "LIM-002": (
        "Promise the services and the database of a host no more memory than it has.",
        "Limits that do not fit the host together are each kept while the host runs out.",
        "Bring what is promised on `{host}` within its memory",
    ),
    "LIM-004": (
        "Give the database a memory limit above what its settings let it take, or none.",
        "A limit below what its settings ask for kills a database on an ordinary day.",
        "Bring the memory limit of the database of `{host}` in line with its settings",
    ),
    "MEM": (
        "Watch how much memory is left, and who holds it, on each host that matters.",
        "A host that is nearly full has no time left for anyone to act.",
        "Find who holds the memory of `{host}`, and how much is left",
    ),
    "MIN": (
        "Reserve as much memory for the kernel as it needs, and no more.",
        "Where the kernel's own reserve is wrong, memory ends too soon or too suddenly.",
        "Set the kernel's reserve of memory on `{host}`",
    ),
    "NUM": (
        "Let the database use the memory of every node of its host.",
        "Memory can run out on one node while there is enough on another.",
        "Let the database of `{host}` use the memory of every node",
    ),
    "OBS": (
        "Take samples of each host, alert on its memory, and test its services for leaks.",
        "A leak takes hours, and is seen in time only where somebody looks.",
        "Watch the memory of `{host}`, and test its services for leaks",
    ),
    "OOM": (
        "Protect the database, and nothing else, from the OOM killer.",
        "The OOM killer takes what is large, and a database is large.",
        "Protect the database of `{host}` from the OOM killer",
    ),
    "OOM-002": (
        "Let what may leak be killed before the database.",
        "Of processes with the same score the largest is killed, whichever leaks.",
        "Have what runs beside the database of `{host}` killed before it",
    ),
    "OVC": (
        "Keep what programs may ask for within the memory that the host has.",
        "How the kernel promises memory decides who notices first when it runs out.",
        "Keep what programs may ask for on `{host}` within its memory",
    ),
    "PAN": (
        "Let a host that panicked come back by itself, and settings be such that it seldom panics.",
        "How the kernel is set decides who is hit when memory runs out, and how long.",
        "Set what `{host}` does when it panicked, or would",
    ),
    "PAN-001": (
        "Have memory exhaustion end one process, not the whole host.",
        "The settings of the kernel decide whether a leak ends one process or the whole host.",
        "Have memory exhaustion on `{host}` end one process",
    ),
    "SVC": (
        "Have systemd start a service again after a kill, with a pause and a limit.",
        "A killed service that is not started again is away for as long as nobody looks.",
        "Have the services of `{host}` started again after a kill",
    ),
    "SWA": (
        "Set how readily a database host swaps as its database's maker advises.",
        "A database that is swapped out is slow long before memory is gone.",
        "Set how readily `{host}` swaps",
    ),
    "SWP": (
        "Give hosts enough swap, or a userspace OOM guard, for people to have time to act.",
        "Swap does not keep memory from running out; it gives time to act before that.",
        "Give people time to act on `{host}`, with swap or a userspace OOM guard",
    ),
    "THP": (
        "Set transparent huge pages as the database's maker advises.",
        "Huge pages that nobody asked for make memory look used up sooner.",
        "Set transparent huge pages on `{host}`",
    ),
    "TMP": (
        "Bound what file systems in memory may take.",
        "A file system in memory can fill it as a leak does.",
        "Bound the file systems in memory of `{host}`",
    ),
    "CGR": (
        "Set limits that the cgroup version of the host knows.",
        "A limit that is written down and ignored protects nobody.",
        "Set limits on `{host}` that its cgroup version knows",
    ),
    "LMT": (
        "Give the database's logins the limits that the database needs.",
        "What is started from a login has other limits than what systemd starts.",
        "Bring the login limits of `{host}` in line with what its database needs",
    ),
}
"""Measure, lesson and follow-up by the rule of a finding, or by its family."""


def _of_findings() -> Iterator[tuple[str, str]]:
    for name, (measure, lesson, follow_up) in _FINDINGS.items():
        yield f"{name} measure", measure
        yield f"{name} lesson", lesson
        yield f"{name} follow-up", f"{follow_up}: {{remedy}} {CLOSED}"


TEMPLATES: Mapping[str, str] = {**_FIXED, **dict(_of_findings())}
"""Every sentence by its name."""
