"""Services as systemd shows them."""

import pytest
from tests.fakes.host import GIB, FakeHost

from forestall.sense.host import CommandResult
from forestall.sense.systemd import (
    PROPERTIES,
    UNIT_LIMIT,
    parse_show,
    parse_span,
    read_units,
    unit_facts,
)

SHOW = """Restart=on-failure
MainPID=4711
MemoryMax=1073741824
MemoryHigh=infinity
MemoryLimit=infinity
MemoryCurrent=[not set]
OOMScoreAdjust=-500
OOMPolicy=stop
ControlGroup=/system.slice/feed-sync.service
Id=feed-sync.service
ActiveState=active
FragmentPath=/etc/systemd/system/feed-sync.service

MainPID=0
MemoryMax=infinity
Id=idle.service
ActiveState=inactive
"""


def _booted(tmp_path):
    fake = FakeHost(tmp_path)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return fake.command("systemctl --version", "systemd 252 (252.30)\n+PAM\n")


def test_a_service_with_its_limit_and_restart_policy(tmp_path):
    """Each property lands in its field; `infinity` and `[not set]` are None."""
    units = read_units(_booted(tmp_path).command("systemctl show", SHOW).host())
    assert (units.version, units.problem) == (252, None)
    feed, idle = units.units
    assert feed.name == "feed-sync.service"
    assert (feed.active, feed.main_pid, feed.restart) == (True, 4711, "on-failure")
    assert (feed.memory_max_bytes, feed.memory_high_bytes) == (GIB, None)
    assert feed.memory_current_bytes is None
    assert (feed.oom_score_adjust, feed.oom_policy) == (-500, "stop")
    assert feed.cgroup == "/system.slice/feed-sync.service"
    assert (idle.active, idle.main_pid, idle.limit_known) == (False, None, True)


def test_systemd_219_has_one_limit_and_no_infinity():
    """The old property counts where the new ones are missing; 2**64-1 is no limit."""
    limited = unit_facts({"Id": "a.service", "MemoryLimit": "1073741824"})
    assert (limited.memory_max_bytes, limited.limit_known) == (GIB, True)
    free = unit_facts({"Id": "a.service", "MemoryLimit": str(2**64 - 1)})
    assert (free.memory_max_bytes, free.limit_known) == (None, True)
    assert free.active is None


def test_a_limit_on_a_v1_host_is_seen_under_its_old_name():
    """A later systemd lists both, and only the one that was set holds a number."""
    block = {"Id": "a.service", "MemoryMax": "infinity", "MemoryLimit": "1073741824"}
    assert unit_facts(block).memory_max_bytes == GIB


def test_a_job_that_ends_is_told_from_a_service():
    """Type=oneshot is running while its job runs, and is not meant to be started again."""
    job = unit_facts({"Id": "backup.service", "Type": "oneshot", "ActiveState": "activating"})
    assert (job.service_type, job.active) == ("oneshot", True)
    assert unit_facts({"Id": "a.service"}).service_type is None


def test_a_unit_that_was_not_told_its_limit_is_not_unlimited():
    """No property at all is not `no limit`."""
    assert not unit_facts({"Id": "a.service"}).limit_known


def test_all_services_are_asked_for_in_one_question(tmp_path):
    """One call, with a list of properties, whatever the number of services."""
    fake = _booted(tmp_path).command("systemctl show", SHOW)
    read_units(fake.host())
    shows = [words for words in fake.asked if words[1] == "show"]
    assert len(shows) == 1
    assert f"--property={','.join(PROPERTIES)}" in shows[0]
    assert shows[0][-2:] == ["*.service", "*.slice"]


def test_without_systemd_nothing_is_asked(tmp_path):
    """A host that was not booted with systemd may have systemctl all the same."""
    fake = FakeHost(tmp_path).command("systemctl show", SHOW)
    units = read_units(fake.host())
    assert (units.units, units.slices, units.version) == (None, None, None)
    assert units.problem == "systemd does not run here"
    assert fake.asked == []


def test_a_systemctl_that_fails_is_a_reason(tmp_path):
    """No answer is None with words, never an empty list of services."""
    failed = read_units(_booted(tmp_path).command("systemctl show", "", exit_code=1).host())
    assert (failed.units, failed.version) == (None, 252)
    assert failed.problem == "systemctl show ended with exit code 1"


def test_a_systemctl_that_is_missing_or_silent_is_a_reason(tmp_path):
    """The runner's own words are passed on, and an empty answer is not an idle host."""
    fake = _booted(tmp_path)
    assert read_units(fake.host()).problem == "systemctl: not there"
    fake.commands["systemctl show"] = CommandResult(None, b"", "systemctl did not answer in time")
    assert read_units(fake.host()).problem == "systemctl did not answer in time"
    fake.command("systemctl show", "\n\n")
    assert read_units(fake.host()).problem == "systemctl show named no service"


def test_no_more_units_than_the_limit_are_kept(tmp_path):
    """A host with very many units does not make the facts large without bound."""
    many = "\n".join(f"Id=u{number}.service\n" for number in range(UNIT_LIMIT + 10))
    units = read_units(_booted(tmp_path).command("systemctl show", many).host())
    assert len(units.units) == UNIT_LIMIT
    assert f"more than {UNIT_LIMIT}" in units.problem


def test_a_value_may_hold_an_equals_sign_and_hostile_bytes():
    """Only the first `=` divides, and text is valid whatever it was."""
    (block,) = parse_show(b"Id=a.service\nFragmentPath=/x=\xff\nnonsense\n")
    assert block["FragmentPath"] == "/x=\\xff"
    assert list(parse_show(b"MainPID=7\n")) == []


def test_what_came_in_time_is_used_and_said_to_be_a_part(tmp_path):
    """An answer cut by its time or size keeps its whole blocks, and the half one is dropped."""
    fake = _booted(tmp_path)
    cut = SHOW.encode() + b"\nId=half.serv"
    fake.commands["systemctl show"] = CommandResult(None, cut, "systemctl did not answer in time")
    units = read_units(fake.host())
    assert [unit.name for unit in units.units] == ["feed-sync.service", "idle.service"]
    assert units.problem == "systemctl did not answer in time; only 2 services came before"


@pytest.mark.parametrize(
    ("cut", "problem"),
    [("\nId=half.serv", "middle of a line"), ("\nType=simple\nRestart=no\n", "no Id")],
)
def test_a_copied_answer_that_was_cut_is_said_to_be_a_part(tmp_path, cut, problem):
    """A copy has no exit code of its own; its end tells, and half a record is no service."""
    units = read_units(_booted(tmp_path).command("systemctl show", SHOW + cut).host())
    assert [unit.name for unit in units.units] == ["feed-sync.service", "idle.service"]
    assert problem in units.problem


def test_slices_are_told_apart_from_services(tmp_path):
    """A slice has limits and no restart policy."""
    show = SHOW + "\nId=db.slice\nMemoryMax=1073741824\nMemorySwapMax=0\nTasksCurrent=7\n"
    units = read_units(_booted(tmp_path).command("systemctl show", show).host())
    (found,) = units.slices
    assert (found.name, found.memory_max_bytes, found.swap_max_bytes) == ("db.slice", GIB, 0)
    assert (found.task_count, found.restart, found.cores_allowed) == (7, None, None)
    assert len(units.units) == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("100ms", 0.1),
        ("10s", 10.0),
        ("1min 30s", 90.0),
        ("1h 1min 1s 5ms", 3661.005),
        ("1d", 86_400.0),
        ("10000000", 10.0),
        ("0", 0.0),
        ("infinity", None),
        ("18446744073709551615", None),
        ("soon", None),
        ("10 parsecs", None),
        ("", None),
        (None, None),
    ],
)
def test_spans_as_each_systemd_writes_them(text, seconds):
    """219 gives bare microseconds, later ones words; without end is None."""
    found = parse_span(text)
    assert found is None if seconds is None else found == pytest.approx(seconds)


def test_the_start_limit_under_each_of_its_names():
    """The interval was renamed twice; the newest name wins where there are two."""
    for name, value in [
        ("StartLimitInterval", "10000000"),
        ("StartLimitIntervalSec", "10s"),
        ("StartLimitIntervalUSec", "10s"),
    ]:
        unit = unit_facts({"Id": "a.service", name: value, "StartLimitBurst": "5"})
        assert (unit.start_limit_interval_seconds, unit.start_limit_burst) == (10.0, 5)
    unit = unit_facts({"Id": "a.service", "RestartUSec": "100ms", "NRestarts": "3"})
    assert (unit.restart_seconds, unit.restart_count) == (0.1, 3)
    assert unit.start_limit_burst is None


@pytest.mark.parametrize(
    ("block", "allowed"),
    [
        ({"LimitCORE": "infinity", "LimitCORESoft": "0"}, False),
        ({"LimitCORE": "infinity", "LimitCORESoft": "infinity"}, True),
        ({"LimitCORE": "0"}, False),
        ({"LimitCORE": "18446744073709551615"}, True),
        ({}, None),
    ],
)
def test_cores_are_allowed_unless_the_soft_limit_is_nought(block, allowed):
    """systemd-coredump keeps to the soft limit; 219 shows one only."""
    assert unit_facts({"Id": "a.service"} | block).cores_allowed is allowed


@pytest.mark.parametrize(
    ("environment", "adjust"),
    [
        ("PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj PG_OOM_ADJUST_VALUE=0", 0),
        ("PGDATA=/d PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj PG_OOM_ADJUST_VALUE=200", 200),
        ("PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj", 0),
        ("PG_OOM_ADJUST_VALUE=0", None),
        ("MY_PG_OOM_ADJUST_FILE=/x", None),
        ("", None),
    ],
)
def test_what_postgresql_gives_its_sessions(environment, adjust):
    """Only with the file named does it write anything, and then 0 unless told."""
    unit = unit_facts({"Id": "postgresql.service", "Environment": environment})
    assert unit.oom_adjust_children == adjust


def test_nothing_else_of_an_environment_is_kept(tmp_path):
    """Services get secrets in their environment; PGDATA and the two words above are taken."""
    show = 'Id=a.service\nEnvironment="TOKEN=hunter2 x" PGDATA=/var/lib/pgsql/data PASS=hunter2\n'
    units = read_units(_booted(tmp_path).command("systemctl show", show).host())
    assert units.data_directories == {"a.service": "/var/lib/pgsql/data"}
    assert "hunter2" not in repr(units)


def test_four_thousand_services_are_read_whole(tmp_path):
    """As many as a large host has, with all their properties, well within the size of an answer."""
    block = SHOW.split("\n\n")[0] + "\nSlice=system.slice\nTasksCurrent=12\nRestartUSec=100ms"
    show = "\n\n".join(f"{block}\nId=s{number}.service" for number in range(4000))
    units = read_units(_booted(tmp_path).command("systemctl show", show + "\n").host())
    assert len({unit.name for unit in units.units}) == 4000
    assert units.problem is None
