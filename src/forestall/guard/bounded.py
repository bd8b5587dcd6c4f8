"""Work that may hang in the kernel or in the network, with a bound on how long it is waited for."""

import threading
from collections.abc import Callable
from typing import TypeVar

from forestall.errors import ForestallError

Result = TypeVar("Result")


class OverdueError(ForestallError):
    """The work did not end in time; its thread is left to itself and ends with the process."""


def within(seconds: float, what: str, work: Callable[[], Result]) -> Result:
    """The result of `work`, or what it raises. Raises OverdueError after `seconds`.

    A read of /proc that waits for a lock of a thrashing process cannot be called back, and
    neither can a name that does not resolve; a thread of its own is what can be left behind.
    """
    results: list[Result] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001
            # Nothing is swallowed: it is raised again in the thread that waits.
            faults.append(error)

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if faults:
        raise faults[0]
    if not results:
        raise OverdueError(f"{what} did not end within {seconds:.1f} s")
    return results[0]
