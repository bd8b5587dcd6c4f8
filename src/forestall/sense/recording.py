"""A host as it was recorded: files, links and commands' answers by name, read like a live one.

The collector over SSH, a sosreport and a copied tree all become a `Recording`, so that one set of
readers (`sense.facts`) makes the facts of every host. Nothing of it is ever written to a disk by
the names that it contains.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from forestall.sense.host import (
    COMMAND_OUTPUT_LIMIT_BYTES,
    FILE_LIMIT_BYTES,
    LIST_LIMIT,
    CommandResult,
    Host,
    decode,
)

PROC_ROOT_INODE = 1
"""PROC_ROOT_INO of the kernel's include/linux/proc_fs.h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What was taken from one host; every path is relative to its root (`proc/meminfo`).

    A name whose content does not matter is a file without bytes; a path that ends in `/` is a
    folder that may be empty (`run/systemd/system/`). `commands` holds standard output by
    `command_name`; `denied` the paths that lacked rights; `problems` why a command has no answer,
    by its name. `origin` and `collected_at` (epoch seconds of the host's own clock) go into the
    facts. `complete` = every place of `sense.sources` was looked for, so that what is absent here
    is absent on the host; a sosreport or a few copied files are not. `listed` are the folders that
    something in half a recording lists whole all the same (ps: `proc`).
    """

    files: Mapping[str, bytes]
    links: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, bytes] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()
    hostname: str | None = None
    machine: str | None = None
    effective_uid: int | None = None
    page_bytes: int | None = None
    collected_at: float | None = None
    origin: str = "facts"
    complete: bool = False
    listed: frozenset[str] = frozenset()


def command_name(words: Sequence[str]) -> str:
    """The name a command's answer is kept under: `systemctl show ...` is `systemctl-show`."""
    return "-".join(word.lstrip("-") for word in words[:2])


class RecordedHost(Host):
    """The door to a `Recording`: the same questions as to a live host, answered from memory."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(
            *(f"/recorded/{part}" for part in ("proc", "sys", "etc", "run")),
            root="/recorded",
            run_command=self._answer,
            hostname=recording.hostname,
            machine=recording.machine,
            effective_uid=recording.effective_uid,
            page_bytes=recording.page_bytes,
        )
        self.origin = recording.origin
        self.collected_at = recording.collected_at
        self.complete = recording.complete
        self.recording = recording
        self._folders = _folders(recording)

    def read_bytes(self, relative: str, limit: int = FILE_LIMIT_BYTES) -> bytes | None:
        """At most the first `limit` bytes; None where it was not recorded."""
        data = self.recording.files.get(relative)
        return None if data is None else data[:limit]

    def read_record(self, relative: str, limit: int = 4096) -> bytes | None:
        """`read_bytes`: a recording has no second moment."""
        return self.read_bytes(relative, limit)

    def open(self, relative: str) -> int | None:
        """The file as a descriptor of memory, which the caller closes."""
        data = self.recording.files.get(relative)
        if data is None:
            return None
        descriptor = os.memfd_create("recorded")
        os.write(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    def exists(self, relative: str) -> bool:
        """Whether it was recorded, or something below it was, or it refused the reader."""
        found = self.recording
        return (
            relative in found.files
            or relative in found.links
            or relative in self._folders
            or relative in found.denied
        )

    def is_folder(self, relative: str) -> bool:
        """Whether anything below it was recorded."""
        return relative in self._folders

    def link(self, relative: str) -> str | None:
        """What the symbolic link said."""
        return self.recording.links.get(relative)

    def names(self, relative: str, limit: int = LIST_LIMIT) -> list[str] | None:
        """The recorded names in a folder, sorted."""
        found = self._folders.get(relative)
        return None if found is None else sorted(found)[:limit]

    def lists(self, relative: str) -> bool:
        """Whether the recording is whole, or something in it lists this folder whole."""
        return super().lists(relative) or relative in self.recording.listed

    def was_denied(self, relative: str) -> bool:
        """Whether the collector lacked the right to read it."""
        return relative in self.recording.denied

    def _answer(self, words: Sequence[str], _timeout_seconds: float) -> CommandResult:
        name = command_name(words)
        output = self.recording.commands.get(name)
        if output is None:
            problem = self.recording.problems.get(name, f"{' '.join(words[:2])} was not recorded")
            return CommandResult(None, b"", problem)
        return CommandResult(0, output)


class CopiedHost(Host):
    """Files that somebody copied from a host: what is not among them may have been left out.

    Its processes are all there where commands/ls-proc lists them (`cd /proc; ls -d [0-9]*`), or
    where its proc is no copy (a container that has its host mounted).
    """

    complete = False
    origin = "facts"

    def lists(self, relative: str) -> bool:
        """Whether the folder was listed, and everything that was on the list is here."""
        if self.complete or (relative.startswith("proc") and self._has_the_kernels_proc()):
            return not self.was_denied(relative)
        answer = self.run_command(("ls", relative), 0.0)
        names = decode(answer.stdout).split()
        return answer.exit_code == 0 and all(self.exists(f"{relative}/{name}") for name in names)

    def _has_the_kernels_proc(self) -> bool:
        """Whether the tree's proc is the kernel's: a mount, and its root is inode 1 there."""
        proc = self.path("proc")
        try:
            return os.path.ismount(proc) and os.stat(proc).st_ino == PROC_ROOT_INODE
        except OSError:
            return False


def copied_host(tree: str) -> CopiedHost:
    """The host whose files lie below the folder `tree`, and what its commands answered there too.

    `systemctl show ...` is the file commands/systemctl-show, by `command_name`.
    """

    def answer(words: Sequence[str], _timeout_seconds: float) -> CommandResult:
        try:
            with open(os.path.join(tree, "commands", command_name(words)), "rb") as file:
                return CommandResult(0, file.read(COMMAND_OUTPUT_LIMIT_BYTES))
        except OSError:
            return CommandResult(None, b"", f"{' '.join(words[:2])} was not recorded")

    return CopiedHost.from_tree(tree, run_command=answer)


def _folders(recording: Recording) -> dict[str, set[str]]:
    """The names in each folder that something was recorded in."""
    found: dict[str, set[str]] = {}
    for path in (*recording.files, *recording.links, *recording.denied):
        parent, _, name = path.rpartition("/")
        while parent:
            known = found.setdefault(parent, set())
            if name in known:
                break
            # No name is left behind the `/` of a folder that is recorded for itself.
            if name:
                known.add(name)
            parent, _, name = parent.rpartition("/")
    if "systemctl-show" in recording.commands:
        # Its answer shows that systemd runs there, whatever else was taken.
        found.setdefault("run/systemd/system", set())
    return found
