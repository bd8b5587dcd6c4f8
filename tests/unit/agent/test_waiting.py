import os
import signal
import threading
import time

from forestall.agent.waiting import Waiting


def test_a_signal_ends_the_wait_at_once():
    """SIGTERM during a wait of a minute ends it, and its name is kept."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    waiting = Waiting()
    try:
        waiting.stop_on(signal.SIGTERM, signal.SIGINT)
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        waiting.wait(60)
        timer.join()
        assert waiting.stopped
        assert waiting.stopped_by == "SIGTERM"
    finally:
        waiting.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def test_after_a_stop_it_does_not_wait_again():
    """A stop that came during a tick is not slept away."""
    waiting = Waiting()
    waiting.stop("done")
    started = time.monotonic()
    waiting.wait(60)
    waiting.close()
    assert time.monotonic() - started < 30
    assert waiting.stopped_by == "done"
