"""An Ansible play per host with what is safe to automate; written, and never run by us.

Safe are settings that nothing running depends on and that one command takes back (`SAFE`), and
drop-ins of systemd that wait for the next start of a unit. Everything else is shown as the step
that a person takes. Each change has its way back behind the tag `undo`.

Texts and names come from hosts: they are YAML strings in JSON's form, tagged `!unsafe` where
Ansible would read a template, and a host whose name could be a pattern is left out by name.
"""

import json
import re
from collections.abc import Iterator
from typing import TextIO

from forestall.audit.engines import POSTGRES
from forestall.audit.fleet import RANK, Fleet, HostAudit
from forestall.audit.report import About
from forestall.audit.report.words import moment, observed, printable
from forestall.model.facts import HolderFacts, HostFacts
from forestall.model.finding import Cost, Finding, FindingState

PLAIN_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
PLAIN_UNIT = re.compile(r"[A-Za-z0-9_.@-]{1,200}\.service")
SYSCTL = re.compile(r"sysctl -w (?P<name>[a-z0-9_]+(?:\.[a-z0-9_]+)+)=(?P<value>-?\d+)(?![^\s,;])")
SAFE = frozenset(
    (
        "kernel.panic",
        "kernel.panic_on_oops",
        "kernel.softlockup_panic",
        "kernel.hung_task_panic",
        "vm.oom_kill_allocating_task",
        "vm.panic_on_oom",
        "vm.swappiness",
        "vm.zone_reclaim_mode",
    )
)
"""Not among them: vm.nr_hugepages and vm.min_free_kbytes take memory away at once, and
vm.overcommit_memory makes programs fail that ran."""

RESTART = "Restart=always\nRestartSec=5\n"
PROTECTED = "OOMScoreAdjust=-900\n"
OWN_CHILDREN = "Environment=PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj PG_OOM_ADJUST_VALUE=0\n"
"""Without it PostgreSQL's sessions would be as protected as its main process."""


UNDO = ("undo", "never")
"""The tags of a way back: nothing runs it but `--tags undo`."""

GROUPS = frozenset(("all", "ungrouped", "localhost"))

HEAD = """\
# Written by forestall {version}, {at}. Read it before you run it; forestall never does.
#   ansible-playbook -i INVENTORY audit.yml --check --diff     what it would change
#   ansible-playbook -i INVENTORY audit.yml --limit HOST       one host first
#   ansible-playbook -i INVENTORY audit.yml --tags undo        take the changes back
# Steps that a play should not take are shown as messages (tag: manual). Ansible itself needs
# Python on the hosts; with --check it shows what files would change, and runs no command that does.
"""


class Ansible:
    """Writes one play per host that has findings."""

    def __init__(self, out: TextIO, about: About) -> None:
        self._out = out
        self._plays = 0
        out.write(HEAD.format(version=about.version, at=moment(about.at)) + "---\n")

    def host(self, audit: HostAudit) -> None:
        """One play, the gravest finding's task first."""
        if audit.posture is None:
            return
        found = sorted(audit.findings(FindingState.FAIL), key=lambda one: RANK[one.severity])
        if not found:
            return
        if not PLAIN_HOST.fullmatch(audit.name) or audit.name in GROUPS:
            self._out.write(f"# left out, its name could be a pattern: {printable(audit.name)}\n")
            return
        self._plays += 1
        self._out.write(
            f"- name: {_yaml(f'forestall audit: {audit.name}')}\n"
            f"  hosts: {_yaml(audit.name)}\n  become: true\n  gather_facts: false\n  tasks:\n"
        )
        for finding in found:
            self._out.writelines(f"{one}\n" for one in _tasks(audit, finding))

    def end(self, fleet: Fleet) -> None:
        """A list that is empty has to say so."""
        if not self._plays:
            self._out.write("[]\n")


def _tasks(audit: HostAudit, finding: Finding) -> Iterator[str]:
    yield f"    # {finding.rule}, {finding.severity.value}: {printable(finding.text)}"
    if finding.observed:
        yield f"    #   seen: {printable(observed(finding.observed))}"
    yield f"    #   undo: {printable(finding.undo)}"
    setting = SYSCTL.match(finding.remedy)
    if setting and setting["name"] in SAFE:
        yield from _sysctl(audit, finding, setting["name"], setting["value"])
        return
    settings = _settings(audit, finding)
    for unit, lines in settings.items():
        yield from _drop_in(finding, unit, lines)
    if len(settings) < len({_place(fact.pointer) for fact in finding.observed}) or not settings:
        yield from _manual(finding)


def _sysctl(audit: HostAudit, finding: Finding, name: str, value: str) -> Iterator[str]:
    """Set it now and keep it; `undo` puts back what was seen."""
    assert audit.posture is not None
    rule = finding.rule
    # After 99-sysctl.conf, the link to /etc/sysctl.conf, where the old value is likely to be.
    path = f"/etc/sysctl.d/99-z-forestall-{name}.conf"
    text = f"# forestall audit {rule}\n{name} = {value}\n"
    yield from _task(f"{rule}: keep {name}={value}", rule)
    yield from _does("copy", dest=path, content=text, mode="0644")
    yield from _sysctl_now(f"{rule}: {name}={value} now", name, value, rule)
    yield from _task(f"{rule}: undo, forget {name}", *UNDO)
    yield from _does("file", path=path, state="absent")
    before = audit.posture.facts.sysctls.get(name, "")
    if re.fullmatch(r"-?\d+", before):
        yield from _sysctl_now(f"{rule}: undo, {name}={before}", name, before, *UNDO)


def _sysctl_now(title: str, name: str, value: str, *tags: str) -> Iterator[str]:
    """Asked first, so that a second run says that it changed nothing."""
    yield from _task(f"{title}: is it?", *tags)
    yield from _does("command", argv=["sysctl", "-n", name])
    yield "      register: forestall_seen"
    yield "      changed_when: false"
    yield "      check_mode: false"
    yield from _task(title, *tags)
    yield from _does("command", argv=["sysctl", "-w", f"{name}={value}"])
    yield f"      when: forestall_seen.stdout != {_yaml(value)}"


def _drop_in(finding: Finding, unit: str, lines: str) -> Iterator[str]:
    """A file beside the unit; a running service goes on as it is until its next start."""
    rule = finding.rule
    folder = f"/etc/systemd/system/{unit}.d"
    path = f"{folder}/90-forestall-{rule.lower()}.conf"
    text = f"# forestall audit {rule}\n[Service]\n{lines}"
    yield from _task(f"{rule}: folder for {unit}", rule)
    yield from _does("file", path=folder, state="directory", mode="0755")
    later = "" if finding.cost is Cost.NONE else ", in force after its next start"
    yield from _task(f"{rule}: drop-in of {unit}{later}", rule)
    yield from _does("copy", dest=path, content=text, mode="0644")
    yield from _then(f"{rule}: tell systemd", ["systemctl", "daemon-reload"], rule)
    yield from _task(f"{rule}: undo, no drop-in of {unit}", *UNDO)
    yield from _does("file", path=path, state="absent")
    yield from _then(f"{rule}: undo, tell systemd", ["systemctl", "daemon-reload"], *UNDO)
    empty = ["rmdir", "--ignore-fail-on-non-empty", folder]
    yield from _task(f"{rule}: undo, no empty folder for {unit}", *UNDO)
    yield from _does("command", argv=empty)
    yield "      when: forestall_file is changed"


def _then(title: str, argv: list[str], *tags: str) -> Iterator[str]:
    """A command for when the file of the task before it was changed."""
    yield "      register: forestall_file"
    yield from _task(title, *tags)
    yield from _does("command", argv=argv)
    yield "      when: forestall_file is changed"


def _manual(finding: Finding) -> Iterator[str]:
    """What a person does; the play only shows it."""
    cost = "" if finding.cost is Cost.NONE else f" (costs a {finding.cost.value})"
    yield from _task(f"{finding.rule}: by hand{cost}", "manual")
    text = f"{finding.text} Do: {finding.remedy}. Undo: {finding.undo}"
    yield f"      ansible.builtin.debug:\n        msg: !unsafe {_yaml(text)}"


def _settings(audit: HostAudit, finding: Finding) -> dict[str, str]:
    """The lines for each unit that a finding is about, where a drop-in is all that it takes.

    A finding names three units at most, so the play ends with the same advice for the rest.
    """
    assert audit.posture is not None
    facts = audit.posture.facts
    found: dict[str, str] = {}
    for fact in finding.observed:
        one = _noun(facts, fact.pointer)
        if finding.rule == "SVC-001" and fact.pointer.endswith("/restart"):
            name, lines = getattr(one, "name", None), RESTART
        elif finding.rule == "OOM-001" and isinstance(one, HolderFacts):
            name = one.process.unit
            lines = PROTECTED + (OWN_CHILDREN if one.process.name in POSTGRES else "")
        else:
            continue
        if name is not None and PLAIN_UNIT.fullmatch(name):
            found[name] = lines
    return found


def _place(pointer: str) -> str:
    """`/units/3/restart` -> `/units/3`."""
    return "/".join(pointer.split("/")[:3])


def _noun(facts: HostFacts, pointer: str) -> object:
    """The service or process that a pointer leads into, None where it leads elsewhere."""
    parts = pointer.split("/")
    if len(parts) < 4 or not parts[2].isdigit():
        return None
    return (getattr(facts, parts[1], None) or ())[int(parts[2])]


def _task(title: str, *tags: str) -> Iterator[str]:
    yield f"    - name: {_yaml(title)}"
    yield f"      tags: {_yaml(list(tags))}"


def _does(module: str, **options: object) -> Iterator[str]:
    yield f"      ansible.builtin.{module}:"
    for name, value in options.items():
        yield f"        {name}: {_yaml(value)}"


def _yaml(value: object) -> str:
    """A value in JSON's form, which YAML reads as it is: surrogates and controls as escapes."""
    if isinstance(value, str):
        value = value.encode("utf-8", "backslashreplace").decode()
        return "".join(
            c if c.isprintable() else f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\U{ord(c):08x}"
            for c in json.dumps(value, ensure_ascii=False)
        )
    return json.dumps(value)
