"""The bytes of a source: one file, a folder or zip archive of many, or an https address.

Everything is bounded: the size of a file, how many are read, how much in all, and how long a
server may take. Only names of the expected form are opened.
"""

import http.client
import lzma
import os
import re
import stat
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from forestall.audit.inputs.files import read_named
from forestall.errors import ForestallError, InputError

MOST_BYTES = 64 * 1024 * 1024
MOST_BYTES_EACH = 2 * 1024 * 1024
MOST_FILES = 50_000
MOST_BYTES_TOGETHER = 512 * 1024 * 1024
PATIENCE_SECONDS = 30.0
PATIENCE_TOGETHER_SECONDS = 300.0
CHUNK_BYTES = 256 * 1024

_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(NotImplementedError, RuntimeError, EOFError, OSError),
)

WANTED = re.compile(
    r"(?:.*/)?(?:advisories/almalinux\d+/ALSA-[\d:-]+\.json|products/[a-z0-9-]+\.md)"
)
"""What is read of a folder or an archive: advisories of AlmaLinux, products of endoflife.date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a source; `at` is when it was last changed, or else `fetched`."""

    name: str
    data: bytes
    at: float
    fetched: bool = False


def read(source: str, now: float) -> Iterator[File]:
    """The files of a source, in no order. Raises InputError or ForestallError with what to do."""
    if source.startswith(("https://", "http://")):
        yield _download(source, now)
    elif os.path.isdir(source):
        yield from _folder(source)
    elif os.path.isfile(source) and zipfile.is_zipfile(source):
        yield from _archive(source)
    else:
        yield _one(source, now)


def _one(path: str, now: float) -> File:
    """A file is of the day on which it was last changed, a pipe of this one."""
    try:
        data = read_named(path, MOST_BYTES)
        if os.path.isfile(path):
            return File(name=path, data=data, at=os.stat(path).st_mtime)
        return File(name=path, data=data, at=now, fetched=True)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", help=error.help) from None


def _bounded(file: IO[bytes], name: str, most: int) -> bytes:
    data = file.read(most + 1)
    if len(data) > most:
        raise InputError(f"{name} is larger than {most // 1024**2} MiB")
    return data


class _Budget:
    """How much may still be read of a source of many files."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.files = 0
        self.size_bytes = 0

    def spend(self, data: bytes) -> None:
        self.files += 1
        self.size_bytes += len(data)
        if self.files > MOST_FILES or self.size_bytes > MOST_BYTES_TOGETHER:
            raise InputError(
                f"{self.source} holds more than {MOST_FILES} files or "
                f"{MOST_BYTES_TOGETHER // 1024**2} MiB that would be read"
            )


def _folder(source: str) -> Iterator[File]:
    budget = _Budget(source)
    for folder, folders, names in os.walk(source):
        folders[:] = [one for one in folders if not one.startswith(".")]
        for name in names:
            path = os.path.join(folder, name)
            if WANTED.fullmatch(path.replace(os.sep, "/")):
                # A link is not followed out of the folder.
                found = os.lstat(path)
                if stat.S_ISREG(found.st_mode):
                    with open(path, "rb") as file:
                        data = _bounded(file, path, MOST_BYTES_EACH)
                    budget.spend(data)
                    yield File(name=path, data=data, at=found.st_mtime)


def _archive(source: str) -> Iterator[File]:
    budget = _Budget(source)
    at = os.stat(source).st_mtime
    try:
        with zipfile.ZipFile(source) as archive:
            for entry in archive.infolist():
                if WANTED.fullmatch(entry.filename) and not entry.is_dir():
                    # The size that the entry claims is not believed; reading stops at the limit.
                    with archive.open(entry) as file:
                        data = _bounded(file, entry.filename, MOST_BYTES_EACH)
                    budget.spend(data)
                    yield File(name=entry.filename, data=data, at=at)
    except _DAMAGED as error:
        raise InputError(f"{source} is a damaged zip archive: {error}") from None


class _Careful(urllib.request.HTTPRedirectHandler):
    """Follows no redirect to where this program would not have gone itself."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(address: str) -> None:
    parts = urllib.parse.urlsplit(address)
    local = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise InputError(
            f"{address}: only https is fetched (http from this machine alone)",
            help="what judges a fleet must come from whom it says; or fetch it to a file",
        )


def _download(url: str, now: float) -> File:
    try:
        _check_address(url)
        opener = urllib.request.build_opener(_Careful)
        with opener.open(url, timeout=PATIENCE_SECONDS) as answer:
            data = _before_deadline(answer, url)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise ForestallError(
            f"{url} cannot be fetched: {reason}",
            help="fetch it where the network allows it, and give the file: "
            "forestall audit refresh FILE",
        ) from None
    except ValueError as error:
        raise InputError(f"{url} is no address: {error}") from None
    return File(name=urllib.parse.urlsplit(url).path, data=data, at=now, fetched=True)


def _before_deadline(answer: http.client.HTTPResponse, url: str) -> bytes:
    """All of an answer; a server that sends a byte now and then is not waited for."""
    deadline = time.monotonic() + PATIENCE_TOGETHER_SECONDS
    data = bytearray()
    while chunk := answer.read1(CHUNK_BYTES):
        data += chunk
        if len(data) > MOST_BYTES:
            raise InputError(f"{url} is larger than {MOST_BYTES // 1024**2} MiB")
        if time.monotonic() > deadline:
            raise TimeoutError(f"no end after {PATIENCE_TOGETHER_SECONDS:.0f} seconds")
    return bytes(data)
