"""Answers kept in a folder, one file a host, so that an interrupted run goes on where it was.

A file is the host's uncompressed answer in gzip: `zcat` shows it. It is written beside, made safe
on disk, and renamed, so a file with its final name is whole. It goes by what is asked, not by what
an inventory calls it: one name may stand in two inventories, and one address for several hosts.
"""

import gzip
import hashlib
import io
import os
import stat
import zlib
from urllib.parse import quote

from forestall.audit.collect.stream import STREAM_LIMIT_BYTES
from forestall.errors import ForestallError, UsageError
from forestall.journal import replace_file

SUFFIX = ".answer.gz"
NAME_LIMIT, NAME_CUT = 200, 100
CLOCK_SLACK_SECONDS = 300.0


class Kept:
    """The folder; made with mode 0700 where it is not there.

    `way` is what besides its name decides which host answers, such as a jump host: an answer that
    came by another way is another host's.
    """

    def __init__(self, folder: str, max_age_seconds: float, way: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.max_age_seconds = max_age_seconds
        self._way = way
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            state = os.stat(folder)
        except OSError as error:
            raise UsageError(
                f"cannot keep answers in {folder}: {error.strerror}",
                help="give a folder that this user can write to",
            ) from None
        if not stat.S_ISDIR(state.st_mode) or state.st_mode & 0o022:
            raise UsageError(
                f"{folder} is not a folder that only its owner can write to",
                help=f"answers tell much of a host: chmod 700 {folder}",
            )

    def path(self, name: str) -> str:
        """Where the answer of this host (`user@host:port`) is kept: always in the folder.

        What a file system cannot tell apart, or not hold, is in a digest behind a `+`.
        """
        safe = quote(name.lower(), safe="@:[].")
        if self._way or name != name.lower() or len(safe) > NAME_LIMIT:
            whole = "\0".join((name, *self._way)).encode("utf-8", "surrogateescape")
            cut = NAME_CUT if len(safe) > NAME_LIMIT else NAME_LIMIT
            safe = f"{safe[:cut]}+{hashlib.sha256(whole).hexdigest()[:16]}"
        return os.path.join(self.folder, safe + SUFFIX)

    def load(self, name: str, now: float) -> bytes | None:
        """The uncompressed answer, if it is young enough and undamaged."""
        try:
            descriptor = os.open(self.path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        with open(descriptor, "rb") as file:
            age = now - os.fstat(descriptor).st_mtime
            if not -CLOCK_SLACK_SECONDS <= age <= self.max_age_seconds:
                return None
            try:
                with gzip.GzipFile(fileobj=file) as packed:
                    answer = packed.read(STREAM_LIMIT_BYTES + 1)
            except (OSError, EOFError, zlib.error):
                return None
        return answer if len(answer) <= STREAM_LIMIT_BYTES else None

    def save(self, name: str, answer: bytes) -> None:
        """Keep it with mode 0600. Raises ForestallError where the disk does not take it."""
        path = self.path(name)
        packed = io.BytesIO()
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0) as file:
            file.write(answer)
        try:
            replace_file(path, packed.getvalue())
        except OSError as error:
            raise ForestallError(
                f"cannot keep the answer of {name} in {self.folder}: {error.strerror}",
                help="make room there, or give another folder with --keep DIR",
            ) from None
