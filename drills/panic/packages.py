"""Debian packages the guest is made of: downloaded once by apt, read, never installed here."""

import io
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from forestall.errors import ForestallError

DOWNLOAD_SECONDS = 900
QUERY_SECONDS = 60
META_PACKAGE = "linux-image-cloud-amd64"
FILE_BYTES_MAX = 2 * 1024**3

Say = Callable[[str], None]


def cache_folder() -> str:
    """Where downloads are kept: the user's cache, as the XDG specification has it."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.cache")
    return os.path.join(base, "forestall", "drill")


def require(*tools: tuple[str, str]) -> None:
    """Raise ForestallError that names the packages of all `(program, package)` that are missing."""
    missing = [package for program, package in tools if find(program) is None]
    if missing:
        words = " ".join(dict.fromkeys(missing))
        raise ForestallError(
            f"this drill needs programs that are not here; their packages: {words}",
            help=f"as root:  sh tools/packages.sh panic    or:  apt-get install {words}",
        )


def find(program: str) -> str | None:
    """The path of a program; system folders count, which are in few users' PATH."""
    found = shutil.which(program)
    return found or shutil.which(program, path="/usr/local/sbin:/usr/sbin:/sbin")


class Packages:
    """Packages in the folder `cache`; `say` is told of what takes a while."""

    def __init__(self, cache: str, say: Say) -> None:
        self.cache = cache
        self._say = say

    def kernel(self) -> str:
        """The path of a cloud kernel's package: one that is cached, else today's."""
        cached = self._cached(r"linux-image-\d.*-cloud-amd64")
        if cached is not None:
            return cached
        name = self._kernel_name()
        return self.fetch(name)

    def fetch(self, name: str) -> str:
        """The path of package `name`, downloaded where it is not cached."""
        cached = self._cached(re.escape(name))
        if cached is not None:
            return cached
        os.makedirs(self.cache, mode=0o700, exist_ok=True)
        self._say(f"downloading the package {name}")
        for attempt in range(2):
            ran = self._apt("apt-get", "download", name)
            if ran.returncode == 0:
                break
            if attempt == 0 and os.geteuid() == 0:
                # A fresh machine has no list of packages yet.
                self._apt("apt-get", "update", "-qq")
                continue
            raise _no_package(name, ran.stderr)
        cached = self._cached(re.escape(name))
        if cached is None:
            raise ForestallError(f"apt said it downloaded {name}, but it is not in {self.cache}")
        return cached

    def program(self, name: str, package: str) -> str:
        """The path of program `name`: this host's own where there is one, else from its package.

        A program of another library than the guest's, or that is linked to it in a way `ldd`
        does not tell, would not run there; so a `-static` package's is taken only if it is.
        """
        own = find(name)
        if own is not None and (not package.endswith("-static") or _is_static(own)):
            return os.path.realpath(own)
        path = os.path.join(self.cache, f"program-{name}")
        if not os.path.exists(path):
            archive = self.fetch(package)
            if not copy_file(archive, lambda found: found.endswith(f"bin/{name}"), path):
                raise ForestallError(f"{archive} holds no program {name}")
            os.chmod(path, 0o700)
        return path

    def cached(self, name: str) -> str | None:
        """The path of package `name` where it is cached."""
        return self._cached(re.escape(name))

    def _cached(self, pattern: str) -> str | None:
        try:
            names = os.listdir(self.cache)
        except FileNotFoundError:
            return None
        whole = re.compile(pattern + r"_[^_]+_(amd64|all)\.deb")
        found = [name for name in names if whole.fullmatch(name)]
        newest = max(found, key=lambda n: os.path.getmtime(self._path(n)), default=None)
        return None if newest is None else self._path(newest)

    def _path(self, name: str) -> str:
        return os.path.join(self.cache, name)

    def _kernel_name(self) -> str:
        ran = self._apt("apt-cache", "depends", "--important", META_PACKAGE)
        found = re.search(r"linux-image-\d\S*-cloud-amd64", ran.stdout)
        if found is None and os.geteuid() == 0:
            self._apt("apt-get", "update", "-qq")
            ran = self._apt("apt-cache", "depends", "--important", META_PACKAGE)
            found = re.search(r"linux-image-\d\S*-cloud-amd64", ran.stdout)
        if found is None:
            raise _no_package(META_PACKAGE, ran.stderr)
        return found.group()

    def _apt(self, *words: str) -> subprocess.CompletedProcess[str]:
        require((words[0], "apt"))
        os.makedirs(self.cache, mode=0o700, exist_ok=True)
        limit = QUERY_SECONDS if words[0] == "apt-cache" else DOWNLOAD_SECONDS
        try:
            return subprocess.run(
                words,
                cwd=self.cache,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ForestallError(
                f"`{' '.join(words)}` took longer than {limit} s", help="is the network there?"
            ) from None


def _no_package(name: str, said: str) -> ForestallError:
    last = said.strip().splitlines()[-1:] or ["apt does not know it"]
    return ForestallError(
        f"the package {name} cannot be had: {last[0]}",
        help="a Debian with network is needed once; as root: apt-get update",
    )


def _is_static(program: str) -> bool:
    """Whether an ELF program names no loader, and so needs no library."""
    with open(program, "rb") as file:
        return b"/ld-linux" not in file.read(4096)


@contextmanager
def _members(package: str) -> Iterator[tarfile.TarFile]:
    """The files of a package as a stream, in the order they lie there."""
    require(("dpkg-deb", "dpkg"))
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", package],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        assert child.stdout is not None
        try:
            with tarfile.open(fileobj=child.stdout, mode="r|") as tar:
                yield tar
        except tarfile.TarError as error:
            raise ForestallError(
                f"{package}: no package of Debian: {error}", help="remove it, to download it again"
            ) from None
        finally:
            child.kill()


def read_files(package: str, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The content of each plain file in `package` whose path (without `./`) is `wanted`."""
    found: dict[str, bytes] = {}
    with _members(package) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if member.isfile() and member.size <= FILE_BYTES_MAX and wanted(name):
                content = tar.extractfile(member)
                assert content is not None, "a plain file has content"
                found[name] = content.read()
    return found


def copy_file(package: str, wanted: Callable[[str], bool], target: str) -> bool:
    """Copy the first plain file in `package` that is `wanted` to `target`; False if none is."""
    with _members(package) as tar:
        for member in tar:
            if member.isfile() and wanted(member.name.removeprefix("./")):
                content = tar.extractfile(member)
                assert content is not None, "a plain file has content"
                _write(content, target)
                return True
    return False


def _write(content: IO[bytes], target: str) -> None:
    partial = f"{target}.partial"
    with open(partial, "wb") as file:
        shutil.copyfileobj(content, file, io.DEFAULT_BUFFER_SIZE * 64)
    os.replace(partial, target)
