"""The Ansible play of `forestall audit --ansible`, run for real on a Debian guest, and taken back.

    python bench/audit_play.py                  half an hour or less; ansible-core must be here
    python bench/audit_play.py --rule PAN-001   of the play of that rule alone (repeat)
    python bench/audit_play.py --keep DIR       keep the image, the plays and what was said there

Needs what bench/audit_guest.py needs, and may share its DIR. The guest is audited as a plain user
with sudo; the play is tried with --check, run twice, and the guest audited again; then it is run
twice with `--tags undo`. It ends with 1 where --check changed something, a second run did, a
finding that the play says it remedies stands, or the way back leads anywhere but to what was.
"""

import argparse
import json
import os
import re
import sys
import time

import yaml

import guest
import guest_host
from guest import NAME, run, say

INVENTORY = f"{NAME} ansible_user=audit ansible_ssh_common_args='-F {{config}}'\n"
PLAYBOOK = "ansible-playbook"
PLAY_SECONDS = 1200
EXPECTED = ("PAN-001", "PAN-002", "PAN-004", "SWA-001", "SVC-001", "OOM-001")
START_AGAIN = "systemctl restart database.service leaky.service"
"""What waits for the next start of a unit is in force after this."""

STATE = """\
cd /etc && find . -type f -exec sha256sum {} + | sort -k 2
find . ! -type f -printf '%y %m %p %l\\n' | sort
sysctl -a 2>/dev/null | grep -E '^(vm|kernel)[.](panic|oom|swappiness|hung_task|softlockup)'
systemctl show -p Id -p Restart -p OOMScoreAdjust -p DropInPaths -p NeedDaemonReload '*.service'
"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--rule", action="append", default=[], metavar="ID")
    args = parser.parse_args()
    # The one of this Python's environment is before others.
    os.environ["PATH"] = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))
    problem = guest.why_not(PLAYBOOK)
    if problem:
        print(problem)
        return 0
    with (
        guest.folder_for(args.keep) as folder,
        guest.Guest(folder, guest_host) as machine,
    ):
        wrong = played(folder, machine, args.rule)
    print("\n".join(wrong) or "the play did what it says, and took it back")
    return 1 if wrong else 0


def played(folder, machine, rules):
    """What did not come as the play says, one line each."""
    (folder / "hosts").write_text(INVENTORY.format(config=machine.config))
    play = folder / "audit.yml"
    machine.settle()
    first, state = audited(machine, play, rules), machine.ask(STATE)
    automated, by_hand = rules_of(play)
    say(f"automated: {' '.join(sorted(automated))}; by hand: {' '.join(sorted(by_hand))}")
    wrong = []
    if not set(rules or EXPECTED) <= automated:
        wrong.append(f"the play automates {automated}")
    if ran(folder, "--check", "--diff") == 0:
        wrong.append("--check would change nothing")
    wrong += differences("--check", state, machine.ask(STATE))
    if ran(folder) == 0:
        wrong.append("the first run changed nothing")
    if ran(folder) != 0:
        wrong.append("the second run changed something")
    machine.ask(START_AGAIN)
    after = audited(machine, folder / "audit-after.yml", rules)
    closed = {rule for rule in first if first[rule] == "fail" != after[rule]}
    say(f"closed: {' '.join(sorted(closed))}")
    wrong += [f"{rule} stands after the play" for rule in automated - by_hand - closed]
    wrong += [
        f"{rule} is {after[rule]} since the play"
        for rule in after
        if after[rule] != first[rule] and rule not in automated
    ]
    if ran(folder, "--tags", "undo") == 0:
        wrong.append("undo changed nothing")
    if ran(folder, "--tags", "undo") != 0:
        wrong.append("the second undo changed something")
    machine.ask(START_AGAIN)
    wrong += differences("undo", state, machine.ask(STATE))
    again = audited(machine, folder / "audit-undone.yml", rules)
    wrong += [
        f"{rule} was {first[rule]}, and is {again[rule]} after the undo"
        for rule in first
        if first[rule] != again[rule]
    ]
    return wrong


def audited(machine, play, rules):
    """The state of each rule, as `forestall audit` says it; the play is written beside."""
    words = ["-m", "forestall", "audit", "ssh", f"audit@{NAME}", "--ssh-config", machine.config]
    words += ["--sudo", "--host-timeout", "200s", "--role", f"db={NAME}", "--json"]
    words += [word for rule in rules for word in ("--rule", rule)]
    done = run(sys.executable, *map(str, words), "--ansible", str(play), fine=(0, 1, 3))
    found = [json.loads(line) for line in done.splitlines()]
    return {one["rule"]: one["state"] for one in found}


def rules_of(play):
    """The rules whose remedy the play takes, and those it leaves to a person."""
    (host,) = yaml.load(play.read_text(), Loader=Loader)
    tasks = [(task["tags"], task["name"].partition(":")[0]) for task in host["tasks"]]
    automated = {rule for tags, rule in tasks if tags == [rule]}
    return automated, {rule for tags, rule in tasks if tags == ["manual"]}


class Loader(yaml.SafeLoader):
    """Reads Ansible's `!unsafe` as the text it is."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def ran(folder, *options):
    """How many changes the play says that it made."""
    began = time.monotonic()
    words = [PLAYBOOK, "-i", str(folder / "hosts"), str(folder / "audit.yml"), *options]
    environment = {**os.environ, "HOME": str(folder), "ANSIBLE_PIPELINING": "1"}
    said = run(*words, env=environment, timeout=PLAY_SECONDS)
    (folder / f"play{'-'.join(options) or '-run'}.log").write_text(said)
    recap = re.search(rf"^{NAME} +: (ok=.*)$", said, re.MULTILINE)
    if recap is None:
        sys.exit(f"the play was not for this host:\n{said[-2000:]}")
    counts = dict(word.split("=") for word in recap[1].split())
    took = time.monotonic() - began
    say(f"{PLAYBOOK} {' '.join(options)}: {counts['changed']} changed, {took:.0f} s")
    return int(counts["changed"])


def differences(what, before, after):
    """The lines of the guest's state that are not as they were."""
    old, new = set(before.splitlines()), set(after.splitlines())
    return [f"{what}: {line}" for line in sorted(old ^ new)][:20]


if __name__ == "__main__":
    sys.exit(main())
