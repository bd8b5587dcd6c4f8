"""The script that a host is asked with: the shell's part, and the list of what the facts need.

The list is made from `sense.sources`, so the script takes every place that is read, and no other.
"""

import re
from collections.abc import Iterator, Sequence
from importlib import resources

from forestall.sense import sources
from forestall.sense.postgres import SETTINGS
from forestall.sense.sources import CONTENT, LINK, Source
from forestall.sense.storage import LOCAL_KINDS
from forestall.sense.systemd import SHOW_UNITS

SHELL_PART = "collector.sh"

COMMAND_SECONDS = 15
COMMAND_LIMIT_BYTES = 8 * 1024 * 1024

CGROUP_LINES = "^[0-9]+:(.*,)?(memory|name=systemd)[,:]|^0::"
"""Of proc/PID/cgroup: version 2, the memory controller, and systemd's own hierarchy."""

GUARD_WORDS = ("-m", "watch", "--once", "run", "start", "server", "kubelet")
"""Words beside the programs' own names that tell what a process of such a name does."""


def script(mark: str) -> bytes:
    """The whole script, to be read by `sh -s`; `mark` begins the lines that part its answer."""
    assert re.fullmatch("[0-9A-Za-z]{8,64}", mark), mark
    shell = resources.files(__package__).joinpath(SHELL_PART).read_text()
    return "\n".join((shell, f"mark={mark}", *_values(), *_places(), *_commands(), _LAST)).encode()


# One line, so that nothing runs until all of it is there; children do not read the script.
_LAST = "forestall </dev/null\n"


def _values() -> Iterator[str]:
    process = [source.lines for source in sources.PROCESS if source.lines]
    names = [_glob_expression(name) for name in sources.COMMAND_LINES]
    yield f"process_lines={quoted('|'.join((*process, CGROUP_LINES)))}"
    yield f"command_names={quoted('|'.join(names))}"
    yield f"command_words={quoted('|'.join((*names, *GUARD_WORDS)))}"
    yield f"server_words={quoted(_server_words())}"
    yield f"home_names={quoted('|'.join(sources.WORKING_DIRECTORIES))}"
    yield f"postgres_lines={quoted(sources.POSTGRES_LINES)}"
    yield f"local_kinds={quoted('|'.join(sorted(LOCAL_KINDS)))}"
    cgroup_files = "\n".join((*sources.CGROUP_FILES, "cgroup.controllers"))
    yield f"cgroup_files={quoted(cgroup_files)}"


def _places() -> Iterator[str]:
    """The places in an order in which files read by one pattern stand together."""
    yield "places() {"
    for source in sorted(sources.SOURCES, key=_order):
        yield f"    {_taken(source)}"
    yield "}"


def _order(source: Source) -> tuple[str, str]:
    return (source.what, source.lines or "")


def _taken(source: Source) -> str:
    path = quoted("/" + source.path)
    if source.what == LINK:
        return f"links {path}"
    if source.what != CONTENT:
        return f"names {path}"
    if source.path.endswith("/environ"):
        assert source.lines is not None
        return f"environment {quoted(source.lines)} {path}"
    if source.lines is None and source.path.partition("/")[0] not in ("proc", "sys"):
        return f"content {source.limit_bytes} {path}"
    # Of the kernel's own files the kernel limits the size.
    return f"lines {quoted(source.lines or '')} {path}"


def _commands() -> Iterator[str]:
    yield "commands() {"
    for words in sources.COMMANDS:
        # What stands in a unit's environment stays on the host.
        part = "without_secrets" if words == SHOW_UNITS else "cat"
        asked = f"question {COMMAND_SECONDS} {COMMAND_LIMIT_BYTES} {part} {_line(words)}"
        if words[0] == "systemctl":
            asked = f"[ ! -d /run/systemd/system ] || {asked}"
        yield f"    {asked}"
    kernels = [
        "/" + source.path
        for source in sources.KERNEL
        if source.path.startswith(("boot/", "lib/modules/"))
    ]
    yield f"    packages {_line(kernels)}"
    yield "    file_systems"
    yield "}"


def _line(words: Sequence[str]) -> str:
    return " ".join(quoted(word) for word in words)


def quoted(text: str) -> str:
    """One word of a POSIX shell, whatever it holds."""
    return "'" + text.replace("'", "'\\''") + "'"


def _server_words() -> str:
    """The words of a PostgreSQL's command line that its facts are made from."""
    settings = "|".join((*SETTINGS, "config_file", "data_directory")).replace("_", "[-_]")
    return f"^(-[cDBNS]|-D/[^=]*|-[BNS] ?[0-9]+([kMGT]?B)?|(-c ?|--)?({settings}) ?=.*)$"


def _glob_expression(name: str) -> str:
    """A name with stars as an extended regular expression."""
    return ".*".join(re.escape(part) for part in name.split("*")).replace("\\-", "-")
