"""Whether a command's output in a sosreport is all that the command had to print.

sos ends a command at its time limit and keeps what came before; of an output over its size limit
it keeps the last part. Its logs tell of the one and, since 4.5, of the other. Where no log does,
the two ends of the text are all there is to go by.
"""

import re
from collections.abc import Mapping

from forestall.sense.host import decode
from forestall.sense.systemd import why_not_whole

LOGS = ("sos_logs/sos.log", "sos_logs/ui.log")
ENDS_FROM = 3
"""From so many records on, an end that no other record has is a cut rather than a unit's own."""

_COMMAND = re.compile(r"command '([^'\n]++)' timed out")
_PLUGIN = re.compile(r"Plugin ([\w-]++) timed out")
_SHORTENED = re.compile(r"\[plugin:([\w-]++)\] collected output of '([^'\n]++)' was truncated")


class Cuts:
    """What sos's own logs tell of commands that it ended or shortened, and what their texts do."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        log = "\n".join(decode(files.get(path, b"")) for path in LOGS)
        self._plugins = set(_PLUGIN.findall(log))
        self._ended = {_bare(command) for command in _COMMAND.findall(log)}
        self._shortened = set(_SHORTENED.findall(log))

    def why_plugin(self, name: str) -> str | None:
        """Why what this plug-in of sos collected is not whole; None where no log says so."""
        return f"sos ended its plug-in {name} at the time limit" if name in self._plugins else None

    def why(self, path: str, text: str) -> str | None:
        """Why the output at `sos_commands/PLUGIN/NAME` is not whole; None without a sign of it."""
        plugin, _, name = path.removeprefix("sos_commands/").partition("/")
        if _bare(name) in self._ended:
            return f"sos ended {path} at the time limit"
        if (plugin, name.partition("_")[0]) in self._shortened:
            return f"sos cut {path} at its size limit"
        if not text.endswith("\n"):
            return f"{path} ends in the middle of a line"
        return self.why_plugin(plugin)


def _bare(command: str) -> str:
    """What a command and the name of its file have in common: sos writes the rest as `_`."""
    return re.sub(r"^/(?:usr/)?s?bin/|[^A-Za-z0-9-]", "", command)


def why_units_cut(text: str) -> str | None:
    """Why `systemctl show` told less than all units: every record begins and ends as others do."""
    reason = why_not_whole(text.encode("utf-8", "surrogateescape"))
    if reason is not None:
        return reason
    records = [record.strip("\n").split("\n") for record in text.split("\n\n") if record.strip()]
    if len(records) >= ENDS_FROM:
        begins = [record[0].partition("=")[0] for record in records]
        ends = [record[-1].partition("=")[0] for record in records]
        if begins[0] not in begins[1:]:
            return "systemctl show was cut: its first record has no beginning"
        if ends[-1] not in ends[:-1]:
            return "systemctl show was cut: its last record has no end"
    return None


def why_list_cut(text: str) -> str | None:
    """Why `systemctl list-units` is not whole: its last lines count the units that it listed."""
    if re.search(r"^\d+ loaded units listed", text, re.MULTILINE):
        return None
    return "systemctl list-units was cut: its count of units is missing"
