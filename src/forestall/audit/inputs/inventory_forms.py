"""The three forms of a static inventory, each read into `inventory.Contents`."""

import re
import string
from collections.abc import Iterator, Mapping
from typing import Any

from forestall.audit.inputs.inventory import HOST_LIMIT, Contents, is_address, kept
from forestall.errors import ForestallError, InputError
from forestall.model.codec import parse_json
from forestall.units import MIB, format_bytes

YAML_LIMIT_BYTES = 16 * MIB
MERGE_LIMIT = 200_000
DEPTH_LIMIT = 100

_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_CHILD = re.compile(r"([^#:\]\s]+)\s*(?:#.*)?")
_LAST_PORT = re.compile(r"([^:]*):(\d+)")


def read_ini(text: str, contents: Contents) -> None:
    """Sections of hosts, of children and of variables. Raises InputError with the line."""
    group, kind = "ungrouped", "hosts"
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        try:
            if line.startswith("[") and (section := _SECTION.fullmatch(line)):
                group, kind = section[1], section[2] or "hosts"
                if kind not in ("hosts", "children", "vars"):
                    raise InputError(f"not a kind of section: {kind}")
                contents.group(group)
            elif kind == "hosts":
                _ini_host(line, group, contents)
            elif kind == "children":
                _ini_child(line, group, contents)
            else:
                name, equals, value = line.partition("=")
                if not equals:
                    raise InputError(f"no NAME=VALUE in {line[:80]!r}")
                contents.groups[group].update(kept({name.strip(): _unquoted(value.strip())}))
        except InputError as error:
            raise InputError(f"line {number}: {error.message}", help=error.help) from None


def _ini_host(line: str, group: str, contents: Contents) -> None:
    import shlex

    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise InputError(f"{error} in {line[:80]!r}") from None
    if not words:
        return
    variables = {}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"no NAME=VALUE after the host: {word[:80]!r}")
        variables[name] = _unquoted(value)
    pattern, port = _without_port(words[0])
    for name in expanded(pattern):
        contents.host(name, group, variables, port)


def _ini_child(line: str, group: str, contents: Contents) -> None:
    match = _CHILD.fullmatch(line)
    if match is None:
        raise InputError(f"not the name of a group: {line[:80]!r}")
    contents.child(group, match[1])


def _unquoted(value: str) -> str:
    """Ansible reads a value as a Python literal if it is one; of text that only takes quotes."""
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _without_port(pattern: str) -> tuple[str, str | None]:
    """`db[01:03].example:2222` -> the pattern and the port; a bare IPv6 address has none."""
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::(\d+))?", pattern)
    if bracketed and is_address(bracketed[1]):
        return bracketed[1], bracketed[2]
    if is_address(pattern):
        return pattern, None
    closing = pattern.rfind("]") + 1
    match = _LAST_PORT.fullmatch(pattern[closing:])
    return (pattern[:closing] + match[1], match[2]) if match else (pattern, None)


def expanded(pattern: str) -> Iterator[str]:
    """`db[01:03]` -> db01, db02, db03; `[a:c]`, a third number as the step, several in a name."""
    opening = pattern.find("[")
    closing = pattern.find("]", opening)
    if opening < 0 or closing < 0 or ":" not in pattern[opening:closing] or is_address(pattern):
        yield pattern
        return
    head, tail = pattern[:opening], pattern[closing + 1 :]
    for middle in _range(pattern[opening + 1 : closing]):
        for rest in expanded(tail):
            yield head + middle + rest


def _range(text: str) -> list[str]:
    parts = text.split(":")
    if len(parts) not in (2, 3) or not parts[1]:
        raise InputError(f"not a range: [{text}]", help="write [01:50] or [a:f], or [1:50:2]")
    first, last = parts[0] or "0", parts[1]
    step_text = parts[2] if len(parts) == 3 else "1"
    if not (step_text.isascii() and step_text.isdigit() and 0 < int(step_text) <= HOST_LIMIT):
        raise InputError(f"not a step in a range: [{text}]")
    step = int(step_text)
    if first.isascii() and first.isdigit() and last.isascii() and last.isdigit():
        if len(first) > 12 or len(last) > 12 or int(last) - int(first) > HOST_LIMIT * step:
            raise InputError(f"a range of more than {HOST_LIMIT} hosts: [{text}]")
        width = len(first) if first[0] == "0" and len(first) > 1 else 0
        if width and width != len(last):
            raise InputError(f"both ends of a range with zeros are of one length: [{text}]")
        found = [str(number).zfill(width) for number in range(int(first), int(last) + 1, step)]
    elif first in string.ascii_letters and last in string.ascii_letters:
        letters = string.ascii_letters
        found = list(letters[letters.index(first) : letters.index(last) + 1 : step])
    else:
        raise InputError(f"not a range: [{text}]", help="write [01:50] or [a:f], or [1:50:2]")
    if not found:
        raise InputError(f"a range that ends before it begins: [{text}]")
    return found


def read_json(text: str, contents: Contents) -> None:
    """What `ansible-inventory --list`, or an inventory's own program, printed."""
    document = parse_json(text)
    meta = document.get("_meta")
    hostvars = meta.get("hostvars") if isinstance(meta, dict) else None
    variables = hostvars if isinstance(hostvars, dict) else {}
    for group, about in document.items():
        if group == "_meta":
            continue
        contents.group(group)
        if isinstance(about, list):
            # An old program's short form: a list of hosts.
            about = {"hosts": about}
        if not isinstance(about, dict):
            raise InputError(f"the group {group} is no object")
        for name in _names(about.get("hosts"), f"the hosts of {group}"):
            own = variables.get(name)
            contents.host(name, group, own if isinstance(own, dict) else {})
        for child in _names(about.get("children"), f"the children of {group}"):
            contents.child(group, child)
        if isinstance(about.get("vars"), dict):
            contents.groups[group].update(kept(about["vars"]))


def _names(value: Any, what: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError(f"{what} are no list of names")
    return value


def read_yaml(text: str, contents: Contents) -> None:
    """Groups with `hosts`, `children` and `vars`, of the extra `audit` (PyYAML)."""
    document = _load_yaml(text)
    if document is None:
        return
    if not isinstance(document, dict):
        raise InputError("no groups at the top of it")
    for name, about in document.items():
        _yaml_group(str(name), about, contents, 0)


def _load_yaml(text: str) -> Any:
    if len(text) > YAML_LIMIT_BYTES:
        raise InputError(f"YAML larger than {format_bytes(YAML_LIMIT_BYTES)}")
    try:
        import yaml
    except ImportError:
        raise ForestallError(
            "an inventory in YAML needs PyYAML, which is not installed",
            help="pip install 'forestall[audit]', or give `ansible-inventory --list` as JSON",
        ) from None

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """The safe one, with an end to merges of merges (`<<`)."""

        merged = 0

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            self.merged += len(node.value)
            if self.merged > MERGE_LIMIT:
                raise InputError("the YAML merges more than any inventory does")

    # What only Ansible can read, such as !vault, is a value that is not known here.
    Loader.add_multi_constructor("!", lambda _loader, _tag, _node: None)
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506 (a subclass of the safe loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        if isinstance(error, yaml.constructor.ConstructorError):
            raise InputError(f"{where}a tag or key that no inventory has") from None
        reason = getattr(error, "problem", None) or "no YAML"
        raise InputError(f"{where}{reason}") from None
    except RecursionError:
        raise InputError("no YAML: nested too deeply") from None
    except (ValueError, TypeError, OverflowError):
        # Such as a day that is none, or a number of thousands of digits.
        raise InputError(
            "no YAML: it holds a value that is none of its kind",
            help="ansible-inventory -i INVENTORY --list > hosts.json, and give that file",
        ) from None


def _yaml_group(name: str, about: Any, contents: Contents, depth: int) -> None:
    contents.group(name)
    if depth > DEPTH_LIMIT:
        raise InputError("groups inside groups without end")
    if about is None:
        return
    if not isinstance(about, dict):
        raise InputError(f"the group {name} is no mapping")
    for pattern, variables in _yaml_table(about.get("hosts"), f"the hosts of {name}").items():
        own = variables if isinstance(variables, dict) else {}
        bare, port = _without_port(str(pattern))
        for host in expanded(bare):
            contents.host(host, name, own, port)
    for child, below in _yaml_table(about.get("children"), f"the children of {name}").items():
        contents.child(name, str(child))
        _yaml_group(str(child), below, contents, depth + 1)
    contents.groups[name].update(kept(_yaml_table(about.get("vars"), f"the vars of {name}")))


def _yaml_table(value: Any, what: str) -> Mapping[Any, Any]:
    if value is None:
        return {}
    if isinstance(value, str):
        # `hosts: web1` is taken for one host.
        return {value: None}
    if not isinstance(value, dict):
        raise InputError(f"{what} are no mapping")
    return value
