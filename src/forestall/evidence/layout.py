"""Where the bytes of a bundle lie, and which names they may have."""

import fcntl
import os
import re

from forestall.errors import EvidenceError
from forestall.journal import sync_folder
from forestall.units import MIB

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"

PARTIAL_PREFIX = ".partial-"
"""Begins the name of a folder that is no bundle yet, or no longer."""

RESERVE_BYTES = 256 * MIB
"""Free space that evidence never takes: the services on this file system need it more."""

MAX_NAME_CHARS = 200
MAX_ENTRIES = 1000

ID = re.compile(r"[0-9a-f]{64}")
# Plain words only: nothing that leaves the folder, that sha256sum would write with a backslash,
# or that a shell, a terminal or an option parser would take for something else.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@=-]*(/[A-Za-z0-9][A-Za-z0-9._+@=-]*){0,7}")


def check_name(name: str) -> None:
    """Raise EvidenceError unless `name` may be the name of an entry."""
    if len(name) > MAX_NAME_CHARS or _NAME.fullmatch(name) is None or name in (MANIFEST, SUMS):
        raise EvidenceError(
            f"no name for an entry: {name[:MAX_NAME_CHARS]!r}",
            help="use letters, digits and ._+@=- in at most 8 parts, for example process/status",
        )


def free_bytes(folder: str) -> int:
    """What an unprivileged process may still write on a folder's file system."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def remove_tree(path: str) -> None:
    """Remove a folder and all in it; links are removed, never followed. Raises OSError."""
    for folder, subfolders, files in os.walk(path, topdown=False):
        for name in files:
            os.unlink(os.path.join(folder, name))
        for name in subfolders:
            child = os.path.join(folder, name)
            if os.path.islink(child):
                os.unlink(child)
            else:
                os.rmdir(child)
    os.rmdir(path)


def remove_leftovers(folder: str) -> None:
    """Remove what crashed writers left in an evidence folder. Raises OSError."""
    for name in os.listdir(folder):
        if not name.startswith(PARTIAL_PREFIX):
            continue
        path = os.path.join(folder, name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # Gone meanwhile, or no folder of ours.
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(path)
        except BlockingIOError:
            pass  # Its writer is at work.
        finally:
            os.close(descriptor)


def begin(folder: str) -> tuple[str, int]:
    """A new hidden folder and the descriptor that locks it. Raises OSError."""
    for _ in range(5):
        path = os.path.join(folder, f"{PARTIAL_PREFIX}{os.getpid()}-{os.urandom(4).hex()}")
        os.mkdir(path, 0o700)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between mkdir and flock another writer may have taken it for a leftover.
            if os.fstat(descriptor).st_nlink > 0:
                return path, descriptor
        except BlockingIOError:
            pass
        os.close(descriptor)
    raise EvidenceError(f"{folder}: new folders vanish at once", help="see who else cleans it")


def write_file(folder: str, name: str, data: bytes) -> None:
    """Create a read-only file durably; nothing of it stays when that fails. Raises OSError."""
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def sync_up_to(folder: str, top: str) -> None:
    """Make a folder's names durable, and those of its parents up to `top`. Raises OSError."""
    while folder != os.path.dirname(top):
        sync_folder(folder)
        folder = os.path.dirname(folder)


def failed(folder: str, what: str, error: OSError) -> EvidenceError:
    """The error a person is shown for what the disk or the rights there refused."""
    return EvidenceError(
        f"{folder}: {what}: {error.strerror or error}",
        help="check rights and free space there, or keep evidence elsewhere with --state",
    )
