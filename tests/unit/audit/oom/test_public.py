"""Reports that people posted: cut, filtered, wrapped and of every age; verdicts by hand."""

from pathlib import Path

import pytest
from tests.fakes import oom_logs

from forestall.audit.oom.account import Account, Ending
from forestall.audit.oom.shortage import Shortage

DATA = Path(__file__).parents[3] / "data" / "oom" / "public"
HOST, CGROUP, ZONE = Shortage.HOST, Shortage.CGROUP, Shortage.ZONE
NOTHING, UNKNOWN = Shortage.NOTHING, Shortage.UNKNOWN
KILLED, PANICKED, OPEN = Ending.KILLED, Ending.PANICKED, Ending.UNKNOWN
DOCKER = "/docker/555fa75e9e7d3e552337365e093719a6ec9379ef98907fca8d6f3328054cdb42"

# Of each event: what ran out, who held most, who was killed, how it ended, the cgroup's beginning.
VERDICTS = {
    "android-32": [(HOST, None, None, PANICKED, None)],
    "dd-6.17-elided": [(CGROUP, "dd", 151507, KILLED, None)],
    "docker-v1-noprefix": [(CGROUP, "stress", 3897, KILLED, DOCKER)],
    "ecs-celery": [(CGROUP, None, None, OPEN, "/ecs/f209da7f")],
    "el6-mysqld-uid": [(UNKNOWN, None, 9682, KILLED, None), (UNKNOWN, None, None, OPEN, None)],
    "fedora-grepped": [(UNKNOWN, None, 1043271, KILLED, None), (UNKNOWN, None, None, OPEN, None)],
    "grep-kill-lxc": [(CGROUP, None, 215701, KILLED, "/LXC011175068174")],
    "k2630-desktop": [(HOST, "processes not in the table", None, OPEN, None)],
    "kata-v1-multiline": [(CGROUP, "processes not in the table", None, OPEN, "/kubepods/pod200f")],
    "kubedirector-dirty-wrapped": [(CGROUP, "page cache", 62769, KILLED, "/kubepods/pod951f")],
    "memcg-constraint-none-5.0rc": [
        (CGROUP, None, 9750, KILLED, "/test1"),
        (UNKNOWN, None, None, Ending.NOBODY_KILLED, None),
    ],
    "mixed-azurit": [(UNKNOWN, None, 2188, KILLED, None), (CGROUP, None, None, OPEN, "/1037")],
    "overlake-5.4-movable": [
        (UNKNOWN, None, 541, KILLED, None),
        (ZONE, "unreclaimable slab", None, PANICKED, None),
    ],
    "rocketmq-el7": [(HOST, "java", 5424, KILLED, None)],
    "rpi-cma": [(ZONE, None, 220, KILLED, None)],
    "sonic-sysrq": [(NOTHING, None, None, PANICKED, None)],
    "sparc64": [(HOST, "memory that no counter names", 4711, KILLED, None)],
    "v1-apache-3.2": [(CGROUP, None, 1046, OPEN, "/1066")],
    "vmware-guest": [(CGROUP, None, 19388, OPEN, "/kubepods/burstable/podfe3f7a38")],
    "xfsdb-3.2-panic": [(UNKNOWN, None, None, PANICKED, None)],
    "zh-dmesg-T": [(HOST, None, 4167877, KILLED, None), (HOST, None, 4166554, KILLED, None)],
}


def accounts(name: str) -> tuple[Account, ...]:
    return oom_logs.explain((DATA / f"{name}.log").read_bytes()).accounts


def test_every_report_has_its_verdict():
    """A file without one would not be looked at."""
    assert {path.stem for path in DATA.iterdir()} == set(VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_what_a_posted_report_comes_to(name):
    """Each event by itself, and nobody named where the lines do not say."""
    found = [
        (
            one.ran_out.shortage,
            one.culprits[0].name if one.culprits else None,
            one.victims[0].pid if one.victims else None,
            one.ending,
        )
        for one in accounts(name)
    ]
    assert found == [verdict[:4] for verdict in VERDICTS[name]]
    for one, verdict in zip(accounts(name), VERDICTS[name], strict=True):
        assert (one.cgroup or "").startswith(verdict[4] or "")
        assert (one.cgroup is None) == (verdict[4] is None)


@pytest.mark.parametrize("name", VERDICTS)
def test_the_headline_does_not_say_more_than_the_answer(name):
    """That memory ran out in the host is said where the answer is that, and nowhere else."""
    for one in accounts(name):
        if one.ran_out.shortage is not HOST:
            assert "ran out in the host;" not in one.headline
        assert "rest of the host had memory" not in " ".join(one.ran_out.because)


def test_a_wrapped_line_does_not_shorten_the_name_of_the_cgroup():
    """A terminal broke it in `Task in`; a later line has it whole."""
    (one,) = accounts("kubedirector-dirty-wrapped")
    assert one.cgroup is not None
    assert one.cgroup.endswith("/024952d653ef1cd852f875a61bd27cf45cb1fd6cab3659ca7e5f12f037d99aa9")


def test_two_processes_of_one_name_are_told_apart_where_one_held_it():
    """Two java had nothing to do with each other: one held 6.1 of 7.6 GiB."""
    (one,) = accounts("rocketmq-el7")
    assert [(holder.name, holder.pid, holder.count) for holder in one.holders[:2]] == [
        ("java", 5424, 1),
        ("java", 13675, 1),
    ]
    assert one.headline.startswith("java (pid 5424) held 6.1 GiB of the host's 7.6 GiB")


def test_pages_of_8_kib_are_seen():
    """sparc64: with pages of 4 KiB three quarters of the memory would be nowhere."""
    (one,) = accounts("sparc64")
    assert one.page_bytes == 8192
    slab = sum(part.bytes for part in one.parts if part.name.startswith("slab"))
    assert slab == (466670 + 534590) * 8192


def test_memory_kept_for_others_is_told_beside_what_is_free():
    """507 MiB free against a `min` of 10: all but 5 are CMA, which a kernel's page may not use."""
    (one,) = accounts("rpi-cma")
    assert any("502 MiB is kept for other requests" in text for text in one.ran_out.because)


def test_no_setting_is_blamed_for_lines_that_were_cut():
    """vm.oom_dump_tasks=1 is advice only where a report is whole but for its table."""
    for name in VERDICTS:
        advised = any("oom_dump_tasks" in step for one in accounts(name) for step in one.next_steps)
        assert advised == (name == "overlake-5.4-movable"), name


def test_a_movable_zone_is_no_low_memory():
    """The kernel's own pages cannot lie there, on 64 bits either."""
    one = accounts("overlake-5.4-movable")[1]
    assert "it must be movable" in one.ran_out.because[0]
    assert any("movablecore=" in step for step in one.next_steps)


def test_a_person_who_had_the_kernel_panic_is_named_before_memory():
    """`SysRq : Manual OOM execution`, as kernels before 5.x write it, and panic_on_oom=2."""
    (one,) = accounts("sonic-sysrq")
    assert one.headline == (
        "A person asked for a kill by SysRq, and the kernel panicked because of vm.panic_on_oom=2."
    )


def test_a_table_without_the_killed_ones_row_is_not_whole():
    """grep kept one row of it: what the others held is not known to be nothing."""
    one = accounts("fedora-grepped")[0]
    assert any("Whether the table of tasks is whole" in text for text in one.unknown)
    assert any("Give the whole report" in step for step in one.next_steps)


def test_another_process_of_the_same_name_did_not_hold_it():
    """The kernel took the small java: that the large one was spared must be said."""
    text = (DATA / "rocketmq-el7.log").read_text(encoding="utf-8")
    kill = text.index("Out of memory: Kill")
    (one,) = oom_logs.explain(text[:kill] + text[kill:].replace("5424", "13675")).accounts
    assert one.headline.endswith("The kernel killed java (pid 13675) instead, which held less.")
    assert any("java was spared" in step for step in one.next_steps)


def test_what_is_kept_for_atomic_requests_is_not_free_for_others():
    """An OOM's request could wait, and so may not have it."""
    text = (DATA / "rpi-cma.log").read_text(encoding="utf-8").replace("free_cma:513592kB", "")
    text = text.replace("reserved_highatomic:0KB", "reserved_highatomic:513592KB", 1)
    (one,) = oom_logs.explain(text).accounts
    assert one.ran_out.shortage is ZONE
