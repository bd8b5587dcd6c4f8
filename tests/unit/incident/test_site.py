"""site.toml: strict, bounded, and clear about where it is wrong."""

import os
from datetime import UTC, datetime

import pytest
from tests.fakes import leak

from forestall.audit.terms import Terms
from forestall.errors import InputError, UsageError
from forestall.incident import site as sites


def test_the_example_is_a_whole_site():
    """What `--example` prints is accepted and states everything a review can use."""
    site = sites.parse(sites.EXAMPLE.encode())
    assert sites.missing_keys(site) == []
    assert site.zone == "America/Chicago"


def test_nothing_stated_is_everything_missing():
    """An empty file is fine, and every key is then missing."""
    site = sites.parse(b"")
    assert sites.missing_keys(site) == list(sites.REVIEW_KEYS)
    assert site.zone_or_utc == "UTC"


def test_a_deadline_of_zero_days_is_stated():
    """Today is a deadline too."""
    site = sites.parse(b"[follow_up]\ndeadline_days = 0\n")
    assert "follow_up.deadline_days" not in sites.missing_keys(site)


MEASURED = """\
[measured]
by = "the order log"
orders_acknowledged = 5120
orders_failed = 3
orders_lost = 0
longest_write_gap_seconds = 2.9
penalties = 0.0
currency = "USD"
"""


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('zone = "UTC"\nzones = "UTC"\n', 2, "unknown field /zones"),
        ('zone = "Mars/Olympus"\n', 1, "no time zone 'Mars/Olympus'"),
        ('[[teams]]\nname = "A"\n\n[[teams]]\nname = "B"\nmembes = []\n', 6, "/teams/1/membes"),
        ('[[teams]]\nname = "A"\nmembers = [{ name = 7 }]\n', 3, "expected text"),
        ('[[teams]]\nname = "A `rm`"\n', 1, "may not hold '`'"),
        ('[[teams]]\nname = "A\\nB"\n', 1, "may not hold"),
        ('[[teams]]\nname = " A"\n', 1, "no outer spaces"),
        ('[[teams]]\nname = "---"\n', 1, "neither letter nor number"),
        ("[follow_up]\ndeadline_days = -1\n", 1, "deadline_days must be"),
        ('[penalties]\ncurrency = "usd"\nper_hour = 1\n', 1, "three capital letters"),
        ('[penalties]\ncurrency = "USD"\nper_hour = nan\n', 3, "/penalties/per_hour"),
        ("[location]\nplace = 'x'\n", 1, "missing field /location/site"),
        ('[measured]\nby = "x"\n', 1, "missing field /measured/"),
        (MEASURED.replace("lost = 0", "lost = -1"), 1, "orders_lost must not be negative"),
        (MEASURED.replace("penalties = 0.0", "penalties = inf"), 7, "/measured/penalties"),
        (MEASURED.replace("USD", "US$"), 1, "three capital letters"),
        ('[host]\nroles = ["DB host"]\n', 1, "role 'DB host' must be small letters"),
        ('[host]\nextended_support_until = "2029-02-30"\n', 1, "is no day such as"),
        ("[host]\nextended_support_until = 2029\n", 2, "expected text"),
        ('[host]\nbaseline = "a`b"\n', 1, "may not hold"),
        ("[host]\nrole = 1\n", 2, "unknown field /host/role"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text, line, said):
    """A mistake costs the file, its line and one sentence, never a traceback."""
    with pytest.raises(UsageError) as caught:
        sites.parse(text.encode(), "etc/site.toml")
    assert caught.value.message.startswith(f"etc/site.toml, line {line}: ")
    assert said in caught.value.message
    assert "--example" in caught.value.help


@pytest.mark.parametrize("data", [b"zone = ", b"\xff", b"#" * (sites.SITE_BYTES_MAX + 1)])
def test_no_toml_is_a_usage_error(data):
    """Bytes that are no TOML, no UTF-8 or too many are refused."""
    with pytest.raises(UsageError, match=r"site\.toml"):
        sites.parse(data)


def test_lists_are_bounded():
    """A hundred teams are enough."""
    teams = "".join(f'[[teams]]\nname = "T{n}"\n' for n in range(101))
    with pytest.raises(UsageError, match="more than 100 teams"):
        sites.parse(teams.encode())


def test_a_service_is_found_with_or_without_its_suffix():
    """`feed-sync` and `feed-sync.service` are one service."""
    site = sites.parse(leak.SITE.encode())
    assert site.service("feed-sync.service") == site.service("feed-sync") == 0
    assert site.service("feed") is None


def test_a_given_file_must_be_there(tmp_path):
    """A missing default is an empty site; a missing file that was named is an error."""
    assert sites.load(None, str(tmp_path)) == (sites.Site(), b"")
    with pytest.raises(UsageError, match="No such file"):
        sites.load(str(tmp_path / "nowhere.toml"), str(tmp_path))
    (tmp_path / "site.toml").write_text('zone = "UTC"\n')
    site, data = sites.load(None, str(tmp_path))
    assert (site.zone, data) == ("UTC", b'zone = "UTC"\n')


def test_a_pipe_is_refused_and_an_empty_name_is_not_the_default(tmp_path):
    """No command waits for a site that nobody writes; `--site "$UNSET"` names no file."""
    os.mkfifo(tmp_path / "site.toml")
    with pytest.raises(UsageError, match="a pipe"):
        sites.load(None, str(tmp_path))
    with pytest.raises(UsageError, match="No such file"):
        sites.load("", str(tmp_path))


def test_the_terms_of_the_host():
    """Roles, a paid extension and a baseline become the terms that the audit judges on."""
    text = b"""[host]
roles = ["db", "web"]
extended_support_until = "2029-05-31"
baseline = "stig"
"""
    host = sites.parse(text).host
    assert host is not None
    assert host.terms() == Terms(
        roles=frozenset(("db", "web")),
        extended_support_until=datetime(2029, 6, 1, tzinfo=UTC).timestamp(),
        baseline="stig",
    )
    assert sites.terms_of({"roles": ["db"]}) == Terms(roles=frozenset(("db",)))
    assert sites.terms_of(None) == Terms()


def test_no_role_and_nothing_stated_are_two_things():
    """An empty list says that the host has no role; leaving it out lets the host itself tell."""
    assert sites.terms_of({"roles": []}).roles == frozenset()
    assert sites.terms_of({}).roles is None


@pytest.mark.parametrize("stated", ["db", [], {"roles": "db"}, {"roles": [7]}, 7])
def test_terms_of_a_damaged_bundle_are_an_input_error(stated):
    """What is no such table is named, and never taken for "nothing stated"."""
    with pytest.raises(InputError):
        sites.terms_of(stated)
