"""Who is never touched."""

import pytest

from forestall.guard.protect import (
    names_of,
    protected_by_name,
    protected_by_pid,
    protected_by_unit,
    script_of,
    shared_unit,
)


@pytest.mark.parametrize(
    "name",
    [
        *("postgres", "postmaster", "mysqld", "mariadbd", "mongod", "ora_pmon_INV", "oracleINV"),
        *("redis-server", "etcd", "patroni", "pgbouncer", "sshd", "sshd-session", "systemd"),
        *("systemd-journal", "init", "dbus-daemon", "forestall", "POSTGRES"),
        "redis-server *:6379",
        "postgres: checkpointer",
    ],
)
def test_databases_logins_and_the_system_are_protected(name):
    """The issue's list, with titles that programs give themselves, whatever the case."""
    assert protected_by_name((name,)) is not None


@pytest.mark.parametrize("name", ["feed-sync", "postgres_exporter", "mysql-backup", "initd", ""])
def test_others_are_not(name):
    """What merely has to do with a database may be recycled."""
    assert protected_by_name((name,)) is None


def test_the_owner_can_protect_more():
    """Further patterns join; none leaves."""
    assert protected_by_name(("ledger",), ("led*",)) == (
        "Protected: guard never touches ledger (it matches led*)."
    )
    assert protected_by_name(("postgres",), ("led*",)) is not None
    assert protected_by_unit("ledger.service", ("ledger.*",)) is not None


@pytest.mark.parametrize(
    ("unit", "held"),
    [
        ("postgresql@15-main.service", True),
        ("postgresql-15.service", True),
        ("ssh.service", True),
        ("systemd-logind.service", True),
        ("init.scope", True),
        ("postgres-exporter.service", False),
        ("feed-sync.service", False),
        (None, False),
    ],
)
def test_units_of_databases_and_the_system_are_protected(unit, held):
    """Nothing inside such a unit is touched, whatever its process is called."""
    assert (protected_by_unit(unit) is not None) == held


def test_a_unit_of_many_is_not_restarted_for_one():
    """A user's manager, or cron, goes down for no process of theirs."""
    assert shared_unit("user@1000.service") is not None
    assert shared_unit("cron.service") is not None
    assert shared_unit("feed-sync.service") is None


def test_init_and_forestall_itself_are_protected_by_pid():
    """Also a pid that is none."""
    assert [bool(protected_by_pid(pid, (7,))) for pid in (-1, 0, 1, 2, 7, 8)] == [
        *(True, True, True, False, True, False)
    ]


@pytest.mark.parametrize(
    ("words", "script"),
    [
        (("/usr/bin/python3", "-u", "/opt/app/feed.py", "--x"), "feed"),
        (("python3.11", "-m", "forestall.demo.feed_sync"), "forestall.demo.feed_sync"),
        (("/usr/bin/env", "patroni"), "patroni"),
        (("python3",), None),
        (("/usr/sbin/nginx", "-g"), None),
        ((), None),
    ],
)
def test_an_interpreted_program_is_known_by_its_script(words, script):
    """To the kernel all of them are python3."""
    assert script_of(words) == script


def test_a_process_goes_by_all_its_names():
    """The kernel's name, the program's, the title's and the script's."""
    assert names_of("python3", ("/usr/bin/python3", "/usr/bin/patroni")) == (
        "python3",
        "/usr/bin/python3",
        "patroni",
    )
