"""The agent's folder on disk: one agent at a time."""

import errno
import fcntl
import os

from forestall.errors import ForestallError
from forestall.journal import make_folder

LOCK_FILE = "agent.lock"


class StateFolder:
    """Creates the folder and keeps it for this agent until `close`.

    Raises ForestallError where it cannot be made, or where another agent has it. A disk that is
    full is no error here: the agent watches on and tells what it cannot keep.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = None
        try:
            make_folder(path)
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self._descriptor = os.open(
                os.path.join(path, LOCK_FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ForestallError(
                f"{path}: another agent keeps its state there",
                help="stop that one, or give this one a folder of its own with --state",
            ) from None
        except OSError as error:
            self.close()
            if error.errno in (errno.ENOSPC, errno.EDQUOT) and os.path.isdir(path):
                return
            raise ForestallError(
                f"{path}: no state can be kept there: {error.strerror}",
                help="name a folder you may write to with --state; `forestall watch --once` "
                "needs none",
            ) from None

    def close(self) -> None:
        """Let go of the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "StateFolder":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
