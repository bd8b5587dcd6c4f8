"""Keeps the demo's services running, as systemd with Restart=always would."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from forestall.demo.limit import Cage
from forestall.errors import ForestallError

RESTART_AFTER_SECONDS = 0.2


class Service:
    """One supervised service: started again whenever it ends, until `stop`."""

    def __init__(
        self,
        name: str,
        requests_per_second: float,
        *,
        fixed: bool,
        cage: Cage,
        part: str | None = None,
    ) -> None:
        self.name = name
        self._part = part
        self.starts = 0
        self._command = [sys.executable, "-m", "forestall.demo.feed_sync", name]
        self._command += [str(requests_per_second), "fixed" if fixed else "leaky"]
        self._command.append(str(os.getpid()))
        self._cage = cage
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)

    @property
    def pid(self) -> int | None:
        """The process that serves now, or None between two."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the process and keep it running. Raises ForestallError where it cannot be."""
        try:
            self._spawn()
        except OSError as error:
            raise ForestallError(
                f"the demo's service could not be started: {error}",
                help="run it where processes may be started, outside a strict sandbox",
            ) from None
        self._thread.start()

    def stop(self) -> None:
        """End the service for good; returns when its process is gone."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()
        self._thread.join()

    def _spawn(self) -> None:
        # The folder the demo is run from must not shadow modules of the service.
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment,
            # Ctrl-C is for the demo, which ends its services itself.
            start_new_session=True,
        )
        try:
            self._cage.admit(process.pid, self._part)
        except OSError:
            process.kill()
            process.wait()
            raise
        self._process = process
        self.starts += 1

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            assert self._process is not None
            self._process.wait()
            if not self._stopping.wait(RESTART_AFTER_SECONDS):
                # What cannot be started now is tried again, until the demo gives up.
                with suppress(OSError):
                    self._spawn()
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@contextmanager
def running(*services: Service) -> Iterator[None]:
    """Start the services, and end them whatever happens in between."""
    started = []
    try:
        for service in services:
            service.start()
            started.append(service)
        yield
    finally:
        for service in started:
            service.stop()
