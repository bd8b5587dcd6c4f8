"""The site's audit file: what each key does to a host's terms, and one clear line for mistakes."""

from datetime import UTC, datetime

import pytest

from forestall.audit.policy import Policy, load_policy, parse_policy, role_of
from forestall.errors import UsageError

AT = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()

FILE = """\
time_to_act = "45m"
uptime_limit_days = 180

[roles]
db = ["db*", "pg?.example"]
web = "web*"

[[host]]
match = "db0*"
baseline = "STIG"
extended_support_until = 2028-06-30
time_to_act = "30m"

[[host]]
match = "db01"
roles = ["standby"]
baseline = "cis"

[rules]
skip = ["num-001"]
optional = ["TMP-001"]

[[waiver]]
host = "db*"
rule = "PAN-001"
owner = "Ana"
reason = "the cluster fences"
expires = 2027-03-31
"""


@pytest.fixture
def load(tmp_path):
    """Load a policy from text."""

    def loaded(text):
        path = tmp_path / "audit.toml"
        path.write_text(text)
        return load_policy(str(path), AT)

    return loaded


def test_a_host_gets_what_its_patterns_say(load):
    """Roles add up, and of other keys the later entry wins."""
    policy = load(FILE)
    terms = policy.terms_of("db01")
    assert terms.roles == {"db", "standby"}
    assert terms.baseline == "cis"
    assert terms.time_to_act_seconds == 1800
    assert terms.uptime_limit_days == 180
    assert terms.extended_support_until == datetime(2028, 7, 1, tzinfo=UTC).timestamp()
    assert policy.terms_of("pg1.example").roles == {"db"}
    assert policy.skipped == {"NUM-001"}
    assert policy.optional == {"TMP-001"}
    assert policy.waivers.listed[0].text() == "Ana, until 2027-03-31: the cluster fences"


def test_a_host_that_no_pattern_names_has_no_stated_role(load):
    """Then what runs there decides: a forgotten pattern must not hide a database."""
    terms = load(FILE).terms_of("mail01")
    assert terms.roles is None
    assert terms.time_to_act_seconds == 2700
    assert terms.at == AT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "unknown key `x`"),
        ("roles = 3", "`roles` has to be a table"),
        ("[roles]\nDB = 'a'", "not a role"),
        ("[[host]]\nrole = 'db'", "audit.toml:1: host 1: unknown key `role`"),
        ("[[host]]\nroles = ['db']", "no `match`"),
        ("[[host]]\nmatch='a'\n\n[[host]]\nmatch = 3", "audit.toml:4: host 2: `match`"),
        ("[[host]]\nmatch='a'\nextended_support_until = 'soon'", "not a day"),
        ("time_to_act = 'soon'", "not a duration"),
        ("uptime_limit_days = -1", "not a positive number"),
        ("uptime_limit_days = true", "not a positive number"),
        ("[rules]\nskip = ['XXX-001']", "no such rule: XXX-001"),
        ("[rules]\nski = []", "unknown key `ski`"),
        ("[[waiver]]\nhost = 'a'\nrule = 'PAN-001'\nowner = 'x'\nreason = 'y'", "no `expires`"),
        ("a = ", "no TOML"),
        ("a = 1\nb = = 2", "line 2"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("waiver = 3", "`waiver` has to be a list"),
        ("waiver = [3]", "waiver has to be a list of tables"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(load, text, said):
    """The file, the place, and what is wrong; never a key that is silently passed over."""
    with pytest.raises(UsageError) as caught:
        load(text)
    assert said in caught.value.message
    assert "audit.toml" in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.help


def test_a_waiver_of_more_than_400_days_is_refused(load):
    """What lasts longer is no exception."""
    with pytest.raises(UsageError, match="more than 400 days away"):
        load(FILE.replace("2027-03-31", "2029-03-31"))


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    """One line each."""
    with pytest.raises(UsageError, match="No such file"):
        load_policy(str(tmp_path / "no.toml"), AT)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="no TOML"):
        load_policy(str(tmp_path / "binary.toml"), AT)


def test_a_role_of_the_command_line():
    """`db=db*`; anything else is refused."""
    assert role_of("db=db*").roles == {"db"}
    assert Policy(hosts=(role_of("db=db*"),)).terms_of("db7").roles == {"db"}
    for wrong in ("db", "db=", "=db*", "D B=x"):
        with pytest.raises(UsageError, match="not a role"):
            role_of(wrong)


def test_an_empty_file_says_nothing():
    """All defaults."""
    assert parse_policy({}, AT).terms_of("x").roles is None
