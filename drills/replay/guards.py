"""The guards that are compared: how each is started in the machine, and what it says it did."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

NAMES = ("none", "earlyoom", "nohang", "forestall", "patroni")
DEFAULT = ("none", "earlyoom", "nohang", "forestall")
CULPRIT = "stock-sync"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOHANG_CONFIG = Path("/etc/nohang/nohang.conf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A guard that is a program of the system, with the settings its package ships.

    `named` finds the line in which it says whom it ends; its group is the process's name.
    """

    name: str
    package: str
    command: tuple[str, ...]
    named: re.Pattern[str]
    defaults: str


RIVALS = {
    "earlyoom": Rival(
        name="earlyoom",
        package="earlyoom",
        # /etc/default/earlyoom of the package.
        command=("earlyoom", "-r", "3600"),
        named=re.compile(r'sending SIG\w+ to process \d+ uid \d+ "([^"]*)"'),
        defaults="SIGTERM below 10 % of memory available, SIGKILL below 5 %",
    ),
    "nohang": Rival(
        name="nohang",
        package="nohang",
        command=("nohang", "--monitor", "--config", str(NOHANG_CONFIG)),
        named=re.compile(r"Sending SIG\w+ to ([^:\s]+): \d"),
        defaults="SIGTERM below 5 % of memory available, SIGKILL below 2 %",
    ),
}


def describe(name: str) -> str:
    """One line about a guard, for the report."""
    if name == "none":
        return "nobody; no automatic failover, as in the seed"
    if name == "patroni":
        return "nobody on the host; Patroni fails over by itself (ttl 20 s)"
    if name == "forestall":
        return "the shipped agent in act mode, shipped rules and policy"
    rival = RIVALS[name]
    return f"Debian's package with its own settings ({rival.defaults})"


def missing(names: list[str]) -> str | None:
    """Which guards' programs this machine has not, and what to do; None when all are there."""
    absent = [
        RIVALS[name].package
        for name in names
        if name in RIVALS and shutil.which(RIVALS[name].command[0], path=PATH) is None
    ]
    if not absent:
        return None
    return (
        f"not installed: {', '.join(absent)} (as root: sh tools/packages.sh guards, "
        "or leave them out with --guard)"
    )


def named_in(rival: Rival, text: str) -> list[str]:
    """The processes that a guard says it ended, in the order of its log."""
    return rival.named.findall(text)
