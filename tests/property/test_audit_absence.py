"""Missing evidence is never PASS: whatever is taken from an input, only UNKNOWN is new.

Taken away are files, folders, links, commands, the ends of what commands printed, the end of an
archive and fields of a document: one at a time, every one, and many at once.
"""

import json
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import pytest
from bench.audit_hosts import host
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.archives import packed
from tests.fakes.recorder import collect
from tests.fakes.seed import remedied, repaired, seed_host
from tests.property.test_audit_rules_host import broken

from forestall.audit.findings import judge
from forestall.audit.inputs import gather, sos_layout, sosreport
from forestall.audit.inputs.facts import read_facts_files
from forestall.audit.inputs.gather import Gathered
from forestall.audit.posture import Posture
from forestall.audit.rules import RULES
from forestall.audit.terms import Terms
from forestall.clock import SystemClock
from forestall.errors import ForestallError
from forestall.model.codec import to_document
from forestall.model.facts import HostFacts
from forestall.model.finding import FindingState
from forestall.sense.facts import read_facts
from forestall.sense.recording import CopiedHost, RecordedHost, copied_host

DATA = Path(__file__).parents[1] / "data"
REPORTS = ("rhel7-db", "rhel9-app")
TREES = ("rhel7-db", "laptop-zram", "container-v2", "vm-hybrid")
NOW = 1_734_000_000.0

ALLOWED = {
    # A setting of 0 is fine; so are one memory node and no database, each of which is seen as well.
    ("NUM-001", FindingState.PASS, FindingState.NOT_APPLICABLE),
    # The rule is about hosts that have a history, and most have none.
    ("SWP-003", FindingState.PASS, FindingState.NOT_APPLICABLE),
    ("SWP-003", FindingState.FAIL, FindingState.NOT_APPLICABLE),
    ("SWP-003", FindingState.UNKNOWN, FindingState.NOT_APPLICABLE),
    # Only of broken hosts that contradict themselves: memory that is set aside is what was asked.
    ("KDP-002", FindingState.FAIL, FindingState.PASS),
}
"""What one source decides as well as another."""


def states(facts):
    """Rule id to state, as of one moment."""
    posture = Posture(facts, Terms(at=NOW))
    return {rule.id: said.state for rule, said in judge(posture, RULES)}


def new_verdicts(before, after):
    """The verdicts that less evidence led to; UNKNOWN is none."""
    return {
        (rule, said, after[rule])
        for rule, said in before.items()
        if after[rule] not in (said, FindingState.UNKNOWN)
    } - ALLOWED


def places(paths):
    """Every path, and every folder above one."""
    return sorted(
        {
            "/".join(path.split("/")[: depth + 1])
            for path in paths
            for depth in range(path.count("/") + 1)
        }
    )


def is_gone(path, taken):
    """Whether `path` is one of `taken`, or lies in one of them."""
    return any(path == one or path.startswith(one + "/") for one in taken)


def some_of(names):
    return st.sets(st.sampled_from(names), min_size=2, max_size=max(2, len(names) // 3))


# A sosreport


@cache
def report(name):
    """What is taken of an unpacked report."""
    tree = DATA / "sosreports" / name
    return gather.walk(str(tree), sos_layout.limit_of, sos_layout.wants_folder)


def judged_report(files, links):
    """The states of a report with these files; None where nothing of a report is left."""
    found = Gathered(files=dict(files), links=dict(links), times_of_host=False)
    facts = sosreport._seen("r", found, SystemClock(), None, NOW).facts
    return None if facts is None else states(facts)


def new_in_report(name, taken=(), cut=()):
    """What is new in a report without `taken`, and with the files in `cut` cut after n lines."""
    whole = report(name)
    files = {path: data for path, data in whole.files.items() if not is_gone(path, taken)}
    for path, lines in cut:
        if path in files:
            files[path] = b"".join(files[path].splitlines(keepends=True)[:lines])
    links = {path: target for path, target in whole.links.items() if not is_gone(path, taken)}
    after = judged_report(files, links)
    return set() if after is None else new_verdicts(judged_report(whole.files, whole.links), after)


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_without_any_one_place(name):
    """A command, a file, a plug-in's folder, all of /etc or /proc."""
    whole = report(name)
    bad = {
        place: new
        for place in places([*whole.files, *whole.links])
        if (new := new_in_report(name, {place}))
    }
    assert not bad


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_whose_commands_were_cut_short(name):
    """sos ends a command that takes too long, and keeps what it had printed: after any line."""
    bad = {
        (path, lines): new
        for path, data in report(name).files.items()
        if sos_layout.command_of(path)
        for lines in range(data.count(b"\n"))
        if (new := new_in_report(name, cut=[(path, lines)]))
    }
    assert not bad


@pytest.mark.parametrize("name", REPORTS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_report_without_many_places(name, data):
    """Half a copy of a report."""
    whole = report(name)
    taken = data.draw(some_of(places([*whole.files, *whole.links])))
    assert not new_in_report(name, taken)


@pytest.mark.parametrize("name", REPORTS)
def test_an_archive_cut_anywhere(name, tmp_path):
    """After each block of the archive."""
    archive = packed(DATA / "sosreports" / name, mode="w", modified_at=of_report(name).at)
    whole = judged_archive(tmp_path / "whole.tar", archive)
    for end in range(512, len(archive), 512 * 3):
        after = judged_archive(tmp_path / "cut.tar", archive[:end])
        assert after is None or not new_verdicts(whole, after), end


def judged_archive(path, data):
    path.write_bytes(data)
    try:
        (seen,) = sosreport.read_sosreports([str(path)], SystemClock())
    except ForestallError:
        return None
    return None if seen.facts is None else states(seen.facts)


# Trees, and what a collector took


class HalfCopy(CopiedHost):
    """A copied tree of which some places were left out."""

    taken: frozenset[str] = frozenset()

    def open(self, relative):
        return None if is_gone(relative, self.taken) else super().open(relative)

    def exists(self, relative):
        return not is_gone(relative, self.taken) and super().exists(relative)

    def is_folder(self, relative):
        return not is_gone(relative, self.taken) and super().is_folder(relative)

    def link(self, relative):
        return None if is_gone(relative, self.taken) else super().link(relative)

    def names(self, relative, *limit):
        if is_gone(relative, self.taken):
            return None
        found = super().names(relative, *limit)
        return found and [one for one in found if not is_gone(f"{relative}/{one}", self.taken)]


def half_copy(name, taken):
    """The facts of a tree without the places in `taken`; a command's answer is one."""
    tree = DATA / "hosts" / name
    whole = copied_host(str(tree))

    def answer(words, timeout_seconds):
        said = whole.run_command(words, timeout_seconds)
        if is_gone("commands/" + "-".join(word.lstrip("-") for word in words[:2]), taken):
            return replace_answer(said)
        return said

    half = HalfCopy.from_tree(str(tree), run_command=answer)
    half.taken = frozenset(taken)
    return read_facts(half, SystemClock())


def replace_answer(said):
    return said._replace(exit_code=None, stdout=b"", problem="it was not recorded")


@cache
def tree_places(name):
    tree = DATA / "hosts" / name
    found = [path.relative_to(tree).as_posix() for path in tree.rglob("*")]
    return tuple(sorted(one for one in found if one != "PROVENANCE"))


@pytest.mark.parametrize("name", TREES)
def test_a_copied_tree_without_any_one_place(name):
    """A folder of /proc, a setting, what systemctl answered."""
    whole = states(half_copy(name, ()))
    bad = {
        place: new
        for place in tree_places(name)
        if (new := new_verdicts(whole, states(half_copy(name, {place}))))
    }
    assert not bad


@pytest.mark.parametrize("name", TREES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_copied_tree_without_many_places(name, data):
    """Half a copy of a host."""
    taken = data.draw(some_of(tree_places(name)))
    assert not new_verdicts(states(half_copy(name, ())), states(half_copy(name, taken)))


@pytest.mark.parametrize("name", TREES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_a_collector_took_without_many_places(name, data):
    """A recording of which a part was lost is complete no longer, nor lists what it lacks."""
    whole = replace(collect(copied_host(str(DATA / "hosts" / name))), complete=True)
    names = places([*whole.files, *whole.links, *(f"commands/{one}" for one in whole.commands)])
    taken = data.draw(some_of(names) | st.sets(st.sampled_from(names), min_size=1, max_size=1))
    half = replace(
        whole,
        files={path: one for path, one in whole.files.items() if not is_gone(path, taken)},
        links={path: one for path, one in whole.links.items() if not is_gone(path, taken)},
        commands={
            name: one
            for name, one in whole.commands.items()
            if not is_gone(f"commands/{name}", taken)
        },
        complete=False,
        listed=frozenset(),
    )
    before, after = (states(read_facts(RecordedHost(one), SystemClock())) for one in (whole, half))
    assert not new_verdicts(before, after)


# Documents


def of_report(name):
    found = Gathered(files=dict(report(name).files), links=dict(report(name).links))
    return sosreport._seen("r", found, SystemClock(), None, NOW).facts


HOSTS = {
    **{f"compliant {seed}": (lambda seed=seed: host(seed)) for seed in range(12)},
    **{f"broken {seed}": (lambda seed=seed: broken(seed)) for seed in range(12)},
    "seed": seed_host,
    "remedied": lambda: remedied(seed_host()),
    "repaired": lambda: repaired(remedied(seed_host())),
    **{f"report {name}": (lambda name=name: of_report(name)) for name in REPORTS},
    **{f"tree {name}": (lambda name=name: half_copy(name, ())) for name in TREES},
}
NEEDED = ("at", "hostname", "schema")
OPTIONAL = tuple(field.name for field in fields(HostFacts) if field.name not in NEEDED)


def without_fields(folder, facts, names):
    """The states of a document of `facts` without some of its fields."""
    document = {key: one for key, one in to_document(facts).items() if key not in names}
    path = folder / "host.json"
    path.write_text(json.dumps(document))
    (seen,) = read_facts_files([str(path)], SystemClock())
    return states(seen.facts)


@pytest.mark.parametrize("name", HOSTS)
def test_a_document_without_any_one_field(name, tmp_path):
    """What a document does not say is not that there is none."""
    facts = HOSTS[name]()
    whole = without_fields(tmp_path, facts, ())
    bad = {
        field: new
        for field in OPTIONAL
        if (new := new_verdicts(whole, without_fields(tmp_path, facts, {field})))
    }
    assert not bad


@pytest.mark.parametrize("name", HOSTS)
@settings(max_examples=60, deadline=None)
@given(taken=some_of(OPTIONAL))
def test_a_document_without_many_fields(name, tmp_path_factory, taken):
    """Several at once, so that nothing else tells."""
    folder, facts = tmp_path_factory.mktemp("facts"), HOSTS[name]()
    whole = without_fields(folder, facts, ())
    assert not new_verdicts(whole, without_fields(folder, facts, taken))
