"""Ending a process: the order of signals, and who gets them."""

import os
import signal

import pytest
from tests.fakes.guard import Stage

from forestall.errors import ForestallError
from forestall.guard.actions.ending import Target, wait_until


def test_waiting_looks_once_more_at_the_end_and_no_longer():
    """Bounded by its seconds, on the given clock."""
    clock = Stage().clock
    assert not wait_until(lambda: False, 1.0, clock)
    assert clock.monotonic() == pytest.approx(1.0)
    assert wait_until(lambda: clock.monotonic() >= 1.5, 1.0, clock)
    assert wait_until(lambda: True, 0.0, clock)


def test_a_process_that_is_not_as_judged_is_not_even_held():
    """The comparison comes after the pidfd, and before any signal."""
    stage = Stage()
    subject = stage.service()
    stage.processes.start(4711, "feed-sync")
    held = []

    def pidfd_open(pid):
        held.append(os.open("/dev/null", os.O_RDONLY))
        return held[0]

    with pytest.raises(ForestallError, match="not there any more"):
        Target(subject.process, stage.processes, pidfd_open)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(held[0])


def test_without_a_pidfd_the_process_is_compared_right_before_each_signal():
    """A pid given away between two signals gets none of them."""
    stage = Stage()
    subject = stage.service(pid=os.getpid())
    target = Target(subject.process, stage.processes, None)
    got = []
    before = signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
    try:
        target.send(signal.SIGUSR1)
        assert len(got) == 1
        stage.processes.start(os.getpid(), "feed-sync")
        target.send(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(got) == 1
    assert not target.alive()
