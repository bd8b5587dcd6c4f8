"""Option `--inventory FILE|DIR`: Ansible's static inventories, read for hosts and groups alone.

INI, YAML, and the JSON of `ansible-inventory --list`. Nothing is run, and no template, vault or
`group_vars` file is read; `ansible-inventory --list` knows those, and its answer is read here too.
"""

import ipaddress
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from forestall.audit.inputs.files import read_named
from forestall.errors import InputError, UsageError
from forestall.units import MIB

FILE_LIMIT_BYTES = 64 * MIB
HOST_LIMIT = 1_000_000
GROUP_LIMIT = 100_000
STEP_LIMIT = 5_000_000
ADDRESS_NAMES = ("ansible_host", "ansible_ssh_host")
PORT_NAMES = ("ansible_port", "ansible_ssh_port")
USER_NAMES = ("ansible_user", "ansible_ssh_user")
_KEPT = frozenset((*ADDRESS_NAMES, *PORT_NAMES, *USER_NAMES, "ansible_connection"))

_PASSED_OVER = (".pyc", ".pyo", ".retry", ".swp", ".orig", ".bak", "~", ".cfg", ".md", ".txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryHost:
    """One host: its name in the inventory, how it is reached, and every group that it is in.

    `groups` are sorted, those above its own among them, without `all`; None = not said. `problem`
    = why it cannot be reached.
    """

    name: str
    address: str | None = None
    port: int | None = None
    user: str | None = None
    groups: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def destination(self) -> str:
        """`user@address:port`, as `audit ssh` takes it."""
        address = self.address or self.name
        if self.port is not None:
            address = f"[{address}]" if ":" in address else address
            address = f"{address}:{self.port}"
        return f"{self.user}@{address}" if self.user else address


@dataclass(slots=True)
class Contents:
    """An inventory in the making: names, variables that matter, and what lies in what."""

    hosts: dict[str, dict[str, str]] = field(default_factory=dict)
    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    members: dict[str, dict[str, None]] = field(default_factory=dict)
    children: dict[str, dict[str, None]] = field(default_factory=dict)
    steps: int = 0

    def step(self) -> None:
        """Counts work, which aliases of YAML multiply. Raises InputError at the limit."""
        self.steps += 1
        if self.steps > STEP_LIMIT:
            raise InputError("the inventory repeats itself without end (aliases inside aliases)")

    def group(self, name: str) -> str:
        self.step()
        if name not in self.groups and len(self.groups) >= GROUP_LIMIT:
            raise InputError(f"more than {GROUP_LIMIT} groups")
        self.groups.setdefault(name, {})
        return name

    def host(
        self, name: str, group: str, variables: Mapping[str, Any], port: str | None = None
    ) -> None:
        """One mention of a host; a `port` behind its name counts at the first alone (Ansible)."""
        self.step()
        if name not in self.hosts:
            if len(self.hosts) >= HOST_LIMIT:
                raise InputError(f"more than {HOST_LIMIT} hosts")
            self.hosts[name] = {} if port is None else {"ansible_port": port}
        self.hosts[name].update(kept(variables))
        self.members.setdefault(self.group(group), {})[name] = None

    def child(self, group: str, name: str) -> None:
        self.children.setdefault(self.group(group), {})[self.group(name)] = None


def kept(variables: Mapping[str, Any]) -> dict[str, str]:
    """The variables that say how a host is reached; a template is not one that we can use."""
    found = {}
    for name, value in variables.items():
        if name in _KEPT and isinstance(value, str | int) and not isinstance(value, bool):
            text = str(value)
            if "{{" not in text:
                found[name] = text
    return found


def read_inventory(path: str) -> tuple[InventoryHost, ...]:
    """Every host, in the order of the file. Raises ForestallError for what is no inventory."""
    contents = Contents()
    for file in _files(path):
        try:
            _read(file, contents)
        except (InputError, UsageError) as error:
            raise InputError(f"{file}: {error.message}", help=error.help) from None
    found = tuple(_resolved(contents))
    if not found:
        raise InputError(f"no host in {path}", help="give an inventory of Ansible: INI or YAML")
    return found


def _files(path: str) -> Iterator[str]:
    try:
        mode = os.stat(path).st_mode
        names = sorted(os.listdir(path)) if stat.S_ISDIR(mode) else None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path!r} cannot be read: {reason}") from None
    if names is None:
        yield path
        return
    for name in names:
        file = os.path.join(path, name)
        if not name.startswith(".") and not name.endswith(_PASSED_OVER) and os.path.isfile(file):
            yield file


def _read(path: str, contents: Contents) -> None:
    data = read_named(path, FILE_LIMIT_BYTES)
    if data.startswith(b"#!"):
        raise InputError(
            "a program, and inventories are not run here",
            help="ansible-inventory -i INVENTORY --list > hosts.json, and give that file",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"no text in UTF-8 (byte {error.start})") from None
    _reader(path, text)(text, contents)


def _reader(path: str, text: str) -> Callable[[str, Contents], None]:
    from forestall.audit.inputs import inventory_forms

    if text.lstrip().startswith("{"):
        return inventory_forms.read_json
    if path.endswith((".yml", ".yaml")) or text.startswith("---"):
        return inventory_forms.read_yaml
    return inventory_forms.read_ini


def _resolved(contents: Contents) -> Iterator[InventoryHost]:
    """Each host with the groups above it, and what they say where it says nothing itself."""
    parents: dict[str, list[str]] = {}
    for group, inside in contents.children.items():
        for child in inside:
            parents.setdefault(child, []).append(group)
    depths = _depths(contents, parents)
    direct: dict[str, list[str]] = {}
    for group, names in contents.members.items():
        for name in names:
            direct.setdefault(name, []).append(group)
    above: dict[str, frozenset[str]] = {}
    for name, own in contents.hosts.items():
        groups: set[str] = set()
        for group in direct.get(name, ()):
            if group not in above:
                above[group] = frozenset(_above(contents, group, parents))
            groups |= above[group]
        said: dict[str, str] = dict(contents.groups.get("all", {}))
        for group in sorted(groups - {"all"}, key=lambda group: (depths.get(group, 1), group)):
            said.update(contents.groups.get(group, {}))
        said.update(own)
        yield _host(name, said, tuple(sorted(groups - {"all"})))


def _depths(contents: Contents, parents: Mapping[str, list[str]]) -> dict[str, int]:
    """How far each group lies below `all`, by the longest way: the nearest to a host wins."""
    depths: dict[str, int] = {}
    pending = [(group, 1) for group in contents.groups if group not in parents]
    while pending:
        contents.step()
        group, depth = pending.pop()
        if depth > len(contents.groups) + 1:
            raise InputError(f"the group {group} is its own child")
        if depths.get(group, 0) < depth:
            depths[group] = depth
            pending.extend((child, depth + 1) for child in contents.children.get(group, ()))
    return depths


def _above(contents: Contents, group: str, parents: Mapping[str, list[str]]) -> set[str]:
    found = {group}
    pending = [group]
    while pending:
        for parent in parents.get(pending.pop(), ()):
            contents.step()
            if parent not in found:
                found.add(parent)
                pending.append(parent)
    return found


def _host(name: str, said: Mapping[str, str], groups: tuple[str, ...]) -> InventoryHost:
    def first(names: tuple[str, ...]) -> str | None:
        return next((said[one] for one in names if said.get(one)), None)

    said_port = first(PORT_NAMES)
    port = said_port if said_port and re.fullmatch(r"0*[1-9]\d{0,4}", said_port, re.ASCII) else None
    problem = None
    if said_port is not None and (port is None or int(port) > 65535):
        port, problem = None, f"not a port, which is a number up to 65535: {said_port[:80]!r}"
    return InventoryHost(
        name=name,
        address=first(ADDRESS_NAMES),
        port=None if port is None else int(port),
        user=first(USER_NAMES),
        groups=groups,
        problem=problem,
    )


def is_address(text: str) -> bool:
    """Whether this is an IP address rather than a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
