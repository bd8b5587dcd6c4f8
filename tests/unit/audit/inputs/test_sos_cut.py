"""Outputs that sos cut: what is lost of a list is no sign that it was never there."""

from pathlib import Path

import pytest
from tests.fakes.archives import of_members

from forestall.audit.findings import judge
from forestall.audit.inputs.sos_cut import Cuts, why_list_cut, why_units_cut
from forestall.audit.inputs.sosreport import read_sosreports
from forestall.audit.posture import Posture
from forestall.audit.rules import RULES
from forestall.audit.terms import Terms
from forestall.clock import SystemClock
from forestall.model.finding import FindingState

RHEL9 = Path(__file__).parents[3] / "data" / "sosreports" / "rhel9-app"
SHOW = "sos_commands/systemd/systemctl_show_service_--all"
LOG = "2025-11-03 12:00:00,000 WARNING: "
BLOCK = "Type=simple\nRestart=no\nId={}.service\nActiveState=active\nMemoryMax=infinity\nLast=no\n"
SHOWN = "\n".join(BLOCK.format(name) for name in ("a", "b", "c", "d"))


def report(tmp_path, **changes):
    """The facts of the RHEL 9 report with other files in it, by path; None takes one away."""
    files = {
        path.relative_to(RHEL9).as_posix(): path.read_bytes()
        for path in RHEL9.rglob("*")
        if path.is_file()
    }
    files.update(changes.pop("files"))
    path = tmp_path / "sosreport-x.tar"
    path.write_bytes(
        of_members(*((f"r/{name}", data) for name, data in files.items() if data is not None))
    )
    (seen,) = read_sosreports([str(path)], SystemClock())
    return seen.facts


def state_of(facts, rule_id):
    return next(
        said.state for rule, said in judge(Posture(facts, Terms()), RULES) if rule.id == rule_id
    )


@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        (SHOWN, None),
        (SHOWN[:-4], "middle of a line"),
        (SHOWN[: SHOWN.rindex("Id=")], "no Id"),
        (SHOWN[: SHOWN.rindex("Last=")], "no end"),
        (SHOWN[SHOWN.index("Restart=") :], "no beginning"),
        (SHOWN[SHOWN.index("ActiveState=") :], "no Id"),
    ],
)
def test_a_cut_shows_at_the_ends_of_the_answer(cut, reason):
    """Every record of systemctl show has an Id, and begins and ends as the others do."""
    told = why_units_cut(cut)
    assert told is None if reason is None else reason in told


def test_a_list_of_units_without_its_count_was_cut():
    """systemctl prints the count after the last unit."""
    listed = "UNIT LOAD ACTIVE SUB\na.service loaded active running A\n"
    assert why_list_cut(listed + "\n1 loaded units listed.\n") is None
    assert "count" in why_list_cut(listed)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[plugin:systemd] command 'systemctl show *service --all' timed out after 300s", SHOW),
        ("[plugin:systemd] command '/bin/systemctl show *service --all' timed out", SHOW),
        ("[plugin:systemd] collected output of 'systemctl' was truncated", "size limit"),
        ("Plugin systemd timed out", "plug-in systemd"),
        ("[plugin:systemd] command 'systemctl list-jobs' timed out after 300s", None),
        ("[plugin:process] collected output of 'systemctl' was truncated", None),
        ("Plugin process timed out", None),
    ],
)
def test_soss_own_log_tells_what_it_ended(line, reason):
    """Of the command and of its plug-in; others are as whole as ever."""
    told = Cuts({"sos_logs/sos.log": (LOG + line + "\n").encode()}).why(SHOW, SHOWN)
    assert told is None if reason is None else reason in told


def test_a_cut_answer_accuses_and_does_not_acquit(tmp_path):
    """A service that may be lost is no PASS, and what is left of its record is no service."""
    whole = (RHEL9 / SHOW).read_bytes()
    seen = report(tmp_path, files={})
    assert ("units" in seen.unseen, state_of(seen, "SVC-001")) == (False, FindingState.PASS)
    for files in (
        {SHOW: whole[:-20]},
        {SHOW: whole + b"\nType=simple\nRestart=no\n"},
        {"sos_logs/sos.log": (LOG + "Plugin systemd timed out\n").encode()},
    ):
        facts = report(tmp_path, files=files)
        assert "units" in facts.unseen
        assert state_of(facts, "SVC-001") is FindingState.UNKNOWN
    last = seen.units[-1].name
    assert last not in [unit.name for unit in report(tmp_path, files={SHOW: whole[:-20]}).units]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("sos_commands/block/lsblk_-O_-P", "block_devices"),
        ("sos_commands/kernel/sysctl_-a", "sysctls"),
        ("sos_commands/process/ps_auxwwwm", "holders"),
    ],
)
def test_other_lists_that_end_in_the_middle_of_a_line_say_so(tmp_path, path, field):
    """Each list in the field that is read from it."""
    facts = report(tmp_path, files={path: (RHEL9 / path).read_bytes()[:-3]})
    assert f"{path} ends in the middle of a line" in facts.unseen[field]
    assert "ends in" not in report(tmp_path, files={}).unseen.get(field, "")


def test_processes_of_a_cut_list_are_not_all(tmp_path):
    """ps was ended after it had printed itself: whether another process runs is not known."""
    log = LOG + "[plugin:process] command 'ps auxwwwm' timed out after 300s\n"
    assert report(tmp_path, files={}).databases == ()
    linked = (RHEL9 / "sos_commands/process/ps_auxwwwm").read_bytes()
    facts = report(tmp_path, files={"sos_logs/sos.log": log.encode(), "ps": linked})
    assert facts.databases is None


def test_slices_of_a_plug_in_that_was_ended_are_not_all(tmp_path):
    """sos copies the cgroups one file after the other."""
    log = (LOG + "Plugin cgroups timed out\n").encode()
    assert "cgroups" in report(tmp_path, files={"sos_logs/ui.log": log}).unseen["slices"]


def test_slices_have_their_limits_and_their_parents(tmp_path):
    """Swap too; a parent of which no file was copied is there, and its limit is not known."""
    place = "sys/fs/cgroup/work.slice/work-inner.slice"
    files = {
        f"{place}/memory.max": b"max\n",
        f"{place}/memory.high": b"314572800\n",
        f"{place}/memory.swap.max": b"0\n",
    }
    facts = report(tmp_path, files=files)
    found = {one.name: one for one in facts.slices}
    assert list(found)[:2] == ["-.slice", "system.slice"]
    inner, work, root = (found[name] for name in ("work-inner.slice", "work.slice", "-.slice"))
    assert (inner.memory_max_bytes, inner.memory_high_bytes) == (None, 314572800)
    assert (inner.swap_max_bytes, inner.slice) == (0, "work.slice")
    assert (work.limit_known, work.slice, work.cgroup) == (False, "-.slice", "/work.slice")
    assert (root.limit_known, root.memory_max_bytes, root.slice) == (True, None, None)
    assert "/memory.swap.max" in facts.unseen["slices"]


def test_the_version_of_cgroups_is_told_by_their_limits(tmp_path):
    """sos may be ended before it copies the root's list; without any file there is a reason."""
    listed = "sys/fs/cgroup/cgroup.controllers"
    facts = report(tmp_path, files={listed: None})
    assert (facts.cgroup_version, facts.cgroup_hybrid) == (2, False)
    no_cgroups = {
        path.relative_to(RHEL9).as_posix(): None
        for path in (RHEL9 / "sys/fs/cgroup").rglob("*")
        if path.is_file()
    }
    facts = report(tmp_path, files=no_cgroups)
    assert facts.cgroup_version is None
    assert {"cgroup_version", "cgroup_hybrid"} <= set(facts.unseen)


def test_a_process_has_the_cgroup_and_the_time_that_ps_printed(tmp_path):
    """Also where sos did not copy that cgroup; processor time to the second."""
    facts = report(tmp_path, files={})
    feed = next(one.process for one in facts.holders if one.process.name == "feed-sync")
    assert feed.cgroup == "/system.slice/feed-sync.service"
    assert feed.cpu_seconds is not None
    shown = (RHEL9 / "sos_commands/process/ps_auxwwwm").read_text()
    line = next(line for line in shown.splitlines() if f" {feed.key.pid} " in line)
    minutes, _, seconds = line.split()[9].partition(":")
    assert feed.cpu_seconds == int(minutes) * 60 + int(seconds)


def test_what_root_did_not_find_does_not_need_root(tmp_path):
    """The reports are made by root: a file that is not in one was not taken."""
    path = "sos_commands/process/ps_axo_pid_ppid_user_group_lwp_nlwp_start_time_comm_cgroup"
    row = b"   1700       1 postgres postgres    1700    1 Nov01 postgres        -\n"
    ps = "sos_commands/process/ps_auxwwwm"
    line = b"postgres 1700 0.0 0.1 172000 17000 ? - Nov01 0:10 /usr/bin/postgres\n"
    denied = b"sysctl: permission denied on key 'vm.stat_refresh'\n"
    denied += b"sysctl: permission denied on key 'vm.panic_on_oom'\n"
    files = {
        path: (RHEL9 / path).read_bytes() + row,
        ps: (RHEL9 / ps).read_bytes() + line,
        "sos_commands/kernel/sysctl_-a": denied,
    }
    facts = report(tmp_path, files=files)
    assert facts.unseen["postgres"] == "process 1700 does not say where its data lies"
    assert facts.unseen["sysctls"] == "permission denied (vm.panic_on_oom)"
    files[ps] += b"postgres 1700 0.0 0.1 172000 17000 ? - Nov01 0:10 /usr/bin/postgres -D /data\n"
    files[ps] = files[ps].replace(line, b"")
    facts = report(tmp_path, files=files)
    assert facts.unseen["postgres"] == "/data/postgresql.conf was not recorded"
