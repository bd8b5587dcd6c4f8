"""What a process needs to act on a host without memory: its pages, its turn, its life."""

import os

MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4
"""Of <sys/mman.h>; the same on every architecture but alpha, powerpc and sparc."""

OOM_SCORE_ADJUST = -1000
NICE = -15


def lock(*, populate: bool) -> str | None:
    """Keep this process's pages in memory; the sentence that says why they are not, or None.

    `populate` reads in also what was never touched: nothing then comes from a disk any more.
    Without it, only what is touched is kept, now and later (Linux 4.4; earlier ones populate).
    Needs CAP_IPC_LOCK, or RLIMIT_MEMLOCK above all that is mapped.
    """
    # Imported here: the agent of the other modes does without its megabyte.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    calls = (
        # Everything now; later mappings as they are touched, or each thread's stack would count.
        ((MCL_CURRENT,), (MCL_FUTURE | MCL_ONFAULT, MCL_FUTURE))
        if populate
        else ((MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT, MCL_CURRENT | MCL_FUTURE),)
    )
    for choices in calls:
        for flags in choices:
            if libc.mlockall(flags) == 0:
                break
        else:
            number = ctypes.get_errno()
            # Half a lock would count against the limit for nothing.
            libc.munlockall()
            return f"its memory could not be locked: {os.strerror(number)}"
    return None


def shield(path: str = "/proc/self/oom_score_adj") -> str | None:
    """Have the OOM killer take others; the sentence that says why it may not, or None."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"%d" % OOM_SCORE_ADJUST)
        finally:
            os.close(descriptor)
    except OSError as error:
        return f"oom_score_adj could not be lowered: {error.strerror}"
    return None


def prefer() -> str | None:
    """Run before others where the processor is short; the sentence that says why not, or None.

    In a thrash everybody reclaims memory, so that the processor is as short as memory is.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except OSError as error:
        return f"its priority could not be raised: {error.strerror}"
    return None


def rename(name: str = "forestall", path: str = "/proc/self/comm") -> None:
    """Go by a name that guard never touches, and that a person recognises."""
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(name)
    except OSError:
        return  # Only its name: `python3` acts as well.


def footprint(path: str = "/proc/self/status") -> dict[str, int | None]:
    """Bytes that are resident and locked, as the kernel counts them."""
    found: dict[str, int | None] = {"VmRSS": None, "VmLck": None}
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if name in found:
                    found[name] = int(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return {"rss_bytes": found["VmRSS"], "locked_bytes": found["VmLck"]}
