"""Waivers: who took what on until when, and what the report says of those that no longer serve."""

from datetime import UTC, date, datetime

from forestall.audit.waivers import Waiver, Waivers, too_long

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()


def waiver(host="db*", rule="PAN-001", expires=date(2026, 12, 31), owner="Ana"):
    return Waiver(host=host, rule=rule, owner=owner, reason="fenced", expires=expires)


def test_it_holds_until_the_end_of_its_last_day():
    """The last day belongs to it, in UTC; the day after does not."""
    one = waiver(expires=date(2026, 11, 26))
    assert not one.is_expired(datetime(2026, 11, 26, 23, 59, 59, tzinfo=UTC).timestamp())
    assert one.is_expired(datetime(2026, 11, 27, tzinfo=UTC).timestamp())


def test_of_several_one_that_holds_is_taken():
    """An expired waiver does not stand in the way of a newer one."""
    many = Waivers((waiver(expires=date(2026, 1, 1)), waiver(owner="Bo")))
    found, holds = many.pick(many.of_host("db01")["PAN-001"], NOON)
    assert holds
    assert found.owner == "Bo"


def test_of_expired_ones_the_latest_is_named():
    """Whoever had it last is asked first."""
    many = Waivers((waiver(expires=date(2025, 1, 1)), waiver(owner="Bo", expires=date(2026, 1, 1))))
    found, holds = many.pick(many.of_host("db01")["PAN-001"], NOON)
    assert not holds
    assert found.owner == "Bo"


def test_a_pattern_is_a_glob_over_the_whole_name():
    """`db*` is not `olddb01`, and case counts."""
    many = Waivers((waiver(host="db?1"),))
    assert many.of_host("db01")
    assert not many.of_host("olddb01")
    assert not many.of_host("DB01")
    assert not many.of_host("db01.example")


def test_each_that_no_longer_serves_is_named():
    """No such host, nothing to waive, and expired are three different sentences."""
    many = Waivers(
        (
            waiver(host="gone*"),
            waiver(rule="PAN-002"),
            waiver(expires=date(2026, 1, 1)),
            waiver(rule="KDP-001"),
        )
    )
    mine = many.of_host("db01")
    many.pick(mine["PAN-001"], NOON)
    many.pick(mine["KDP-001"], NOON)
    said = many.notices(NOON)
    assert [len(said), "no host" in said[0], "nothing to waive" in said[1]] == [3, True, True]
    assert "PAN-001 on db* (Ana) expired on 2026-01-01" in said[2]


def test_an_exception_is_not_for_ever():
    """400 days from the judgement are the most."""
    assert not too_long(date(2027, 12, 31), NOON)
    assert too_long(date(2028, 1, 1), NOON)
