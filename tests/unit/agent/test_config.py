import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from forestall.agent.budget import RSS_BYTES_MAX
from forestall.agent.config import AgentConfig, ServiceConfig, parse_config, read_config
from forestall.agent.situation import recipe_of
from forestall.errors import UsageError
from forestall.guard.database import DatabaseAccess
from forestall.guard.policy import policy_from
from forestall.guard.recipe import Method
from forestall.model.action import Mode
from forestall.model.codec import decode, encode
from forestall.model.sample import ProcessKey, ProcessSample
from forestall.model.verdict import Subject

FULL = """
[agent]
mode = "advise"
interval_seconds = 2
listen = "127.0.0.1:9999"
state = "/srv/forestall"
protected = ["billing*", "ledger.service"]
memory_limit = "48M"

[policy]
cooldown_seconds = 600

[[service]]
name = "feed"
match = { unit = "feed-sync.service" }
restart = "systemd"
limit = "512M"

[[service]]
match = { process = "batch" }
restart = ["/usr/bin/supervisorctl", "restart", "batch"]
allow = false

[notify]
webhook = "http://127.0.0.1:8080/hook"
"""


def write(tmp_path, text: str) -> str:
    path = tmp_path / "forestall.toml"
    path.write_text(text)
    return str(path)


def test_everything_that_can_be_said_is_read(tmp_path):
    """Each key of the documented file reaches its field, in bytes and seconds."""
    assert read_config(write(tmp_path, FULL)) == AgentConfig(
        mode=Mode.ADVISE,
        interval_seconds=2.0,
        listen="127.0.0.1:9999",
        state="/srv/forestall",
        rss_bytes_max=48 * 1024 * 1024,
        policy={"cooldown_seconds": 600},
        protected=("billing*", "ledger.service"),
        services=(
            ServiceConfig(
                name="feed",
                unit="feed-sync.service",
                restart="systemd",
                limit_bytes=512 * 1024 * 1024,
            ),
            ServiceConfig(
                name="batch",
                process="batch",
                restart=("/usr/bin/supervisorctl", "restart", "batch"),
                allow=False,
            ),
        ),
        webhook="http://127.0.0.1:8080/hook",
    )


def test_an_empty_file_is_the_defaults(tmp_path):
    """Nothing said is the same as no file: observe, each second, on loopback."""
    config = read_config(write(tmp_path, ""))
    assert config == AgentConfig()
    assert (config.mode, config.interval_seconds) == (Mode.OBSERVE, 1.0)
    assert config.listen == "127.0.0.1:9188"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[agent]\nmod = 'act'", "agent.mod: no such key"),
        ("[agnet]\nmode = 'act'", "agnet: no such key"),
        ("[agent]\nmode = 'kill'", "agent.mode: 'kill' is not a valid Mode"),
        ("[agent]\ninterval_seconds = 0", "agent.interval_seconds: between 0.2 and 60"),
        ("[agent]\ninterval_seconds = '1'", "agent.interval_seconds: a number, not '1'"),
        ("[agent]\ninterval_seconds = nan", "agent.interval_seconds: between"),
        ("[agent]\nprotected = 'x'", "agent.protected: a list of at most"),
        ("[agent]\nprotected = [3]", "agent.protected: a text, not 3"),
        ("[agent]\nlisten_anywhere = 1", "agent.listen_anywhere: true or false"),
        ("[agent]\nmemory_limit = 'much'", "agent.memory_limit: not a size: 'much'"),
        ("[agent]\nmemory_limit = 0", "agent.memory_limit: more than 0 bytes"),
        ("agent = 3", "agent: a table, not 3"),
        ("[service]\nname = 'x'", "service: an array of tables"),
        ("[[service]]\nname = 'x'", "service[0].match: one of"),
        ("[[service]]\nmatch = { pid = '3' }", "service[0].match: one of"),
        ("[[service]]\nmatch = { unit = 'a', process = 'b' }", "service[0].match: one of"),
        ("[[service]]\nmatch = { unit = 3 }", "service[0].match.unit: a text, not 3"),
        ("[[service]]\nmatch = { unit = 'a' }\nlimti = '1G'", "service[0].limti: no such key"),
        ("[[service]]\nmatch = { unit = 'a' }\nrestart = 'reboot'", "service[0].restart: "),
        ("[[service]]\nmatch = { unit = 'a' }\nrestart = []", "service[0].restart: "),
        ("[notify]\nwebhook = ''", "notify.webhook: a text, not ''"),
        ('[agent]\nstate = "/a\\u0000b"', "agent.state: a text without control characters"),
        ("mode = ", "no TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_key_and_file(tmp_path, text, said):
    """Each mistake is one line with the file, the key and what was expected."""
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_config(path)
    assert caught.value.message.startswith(f"{path}: ")
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_a_missing_and_a_huge_file_are_one_line_each(tmp_path):
    """An unreadable file is a usage error; a file of 2 MiB is not read into memory."""
    with pytest.raises(UsageError, match="No such file"):
        read_config(str(tmp_path / "absent.toml"))
    with pytest.raises(UsageError, match="larger than"):
        read_config(write(tmp_path, "#" * (2 * 1024 * 1024)))


def test_too_many_services_are_refused():
    """The number of services has a limit that is said."""
    services = [{"match": {"process": f"p{n}"}} for n in range(257)]
    with pytest.raises(UsageError, match="at most 256 services, found 257"):
        parse_config({"service": services}, "f.toml")


def process(name="p", unit=None, cgroup=None) -> ProcessSample:
    key = ProcessKey(boot_id="b", pid=1, start_ticks=1)
    return ProcessSample(key=key, name=name, rss_bytes=1, unit=unit, cgroup=cgroup)


def test_a_service_is_found_by_exactly_what_was_said():
    """A unit, a process name and a cgroup match their own kind, and a cgroup what is below it."""
    by_unit = ServiceConfig(name="s", unit="a.service")
    assert by_unit.matches(process(unit="a.service"))
    assert not by_unit.matches(process(name="a.service"))
    by_name = ServiceConfig(name="s", process="a")
    assert by_name.matches(process(name="a"))
    assert not by_name.matches(process(name="ab"))
    by_cgroup = ServiceConfig(name="s", cgroup="/batch")
    assert by_cgroup.matches(process(cgroup="/batch"))
    assert by_cgroup.matches(process(cgroup="/batch/job-1"))
    assert not by_cgroup.matches(process(cgroup="/batches"))
    assert not by_cgroup.matches(process(cgroup=None))
    assert ServiceConfig(name="s", cgroup="/").matches(process(cgroup="/x"))


def test_the_shipped_file_says_the_defaults_and_its_examples_are_valid():
    """deploy/forestall.toml changes nothing as it is, and with its comments removed it is read."""
    path = Path(__file__).parents[3] / "deploy" / "forestall.toml"
    shipped = read_config(str(path))
    assert shipped == replace(AgentConfig(), rss_bytes_max=RSS_BYTES_MAX)
    text = re.sub(r"^# (?=\[|\w+ = )", "", path.read_text(), flags=re.MULTILINE)
    config = parse_config(tomllib.loads(text), str(path))
    (service,) = config.services
    assert (service.unit, service.restart, service.allow) == ("feed-sync.service", "systemd", True)
    assert policy_from(config.policy).act_within_seconds == 7200
    assert config.webhook is not None


AROUND = """
[database]
scope = "inventory"
member = "db1"
patroni = "http://127.0.0.1:8008"
peers = ["http://10.0.0.2:8008"]
user = "forestall"
password_file = "/etc/forestall/patroni"

[[database.pgbouncer]]
address = "/run/postgresql/.s.PGSQL.6432"
password_file = "/etc/forestall/pgbouncer"
databases = ["inventory"]

[[database.haproxy]]
address = "/run/haproxy/admin.sock"
backend = "primary"
servers = { db1 = "one" }

[fleet]
etcd = ["http://10.0.0.1:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"]

[notify]
pagerduty = "/etc/forestall/pagerduty"
"""


def test_a_database_and_a_fleet_are_read_and_travel_whole():
    """What the last stage is told is what was written; secrets are only paths."""
    config = parse_config(tomllib.loads(AROUND), "f.toml")
    assert config.pagerduty == "/etc/forestall/pagerduty"
    access = config.database
    assert access is not None
    assert (access.scope, access.own, access.via) == ("inventory", "db1", "pgbouncer")
    assert access.rest.password_file == "/etc/forestall/patroni"
    assert access.poolers[0].databases == ("inventory",)
    assert access.proxies[0].server("db1") == "one"
    assert decode(DatabaseAccess, encode(access)) == access
    assert config.fleet is not None
    assert len(config.fleet.etcd) == 3
    assert (config.fleet.scope, config.fleet.member) == ("inventory", "db1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[database]\nscope = 'x'", "database.peers"),
        ("[database]\npeers = ['http://a:1']", "database.scope: is needed"),
        ("[database]\nscope = 'x'\npeers = ['a:1']", "database.peers"),
        ("[database]\nscope = 'x'\npeers = ['http://a:1']\npassword = 's'", "no such key"),
        ("[database]\nscope = 'x'\npeers = ['http://a:1']\npassword_file = 's'", "absolute path"),
        (
            "[database]\nscope = 'x'\npeers = ['http://a:1']\n[[database.haproxy]]\naddress = '/s'",
            "database.haproxy[0].backend: is needed",
        ),
        ("[fleet]\nscope = 'x'", "fleet.etcd: is needed"),
        ("[fleet]\netcd = ['http://a:1']", "fleet.scope: is needed"),
        ("[notify]\npagerduty = 'R0UTINGKEY'", "absolute path"),
        ('[notify]\npagerduty = "/a\\u0000b"', "without control characters"),
    ],
)
def test_what_is_wrong_around_is_named(text, words):
    """One line with the key, never a guess."""
    with pytest.raises(UsageError, match=re.escape(words)):
        parse_config(tomllib.loads(text), "f.toml")


@pytest.mark.parametrize(
    ("written", "method", "name"),
    [
        ('"supervisord"', Method.SUPERVISORD, "feed"),
        ('{ supervisord = "group:feed" }', Method.SUPERVISORD, "group:feed"),
        ('{ podman = "feed-1" }', Method.CONTAINER, "feed-1"),
        ('{ docker = "feed-2" }', Method.CONTAINER, "feed-2"),
    ],
)
def test_further_ways_to_restart(written, method, name):
    """By who runs the service, when that is no systemd."""
    text = f'[[service]]\nname = "feed"\nmatch = {{ process = "feed" }}\nrestart = {written}\n'
    (service,) = parse_config(tomllib.loads(text), "f.toml").services
    recipe = recipe_of(Subject(host="h", name="feed"), service)
    assert recipe is not None
    assert (recipe.method, recipe.program or recipe.container) == (method, name)


@pytest.mark.parametrize("written", ['{ podman = "a", docker = "b" }', '{ runit = "feed" }', "{}"])
def test_a_way_to_restart_that_is_none_is_refused(written):
    """A misspelt way would be found out when it is needed."""
    text = f'[[service]]\nmatch = {{ process = "feed" }}\nrestart = {written}\n'
    with pytest.raises(UsageError, match="restart"):
        parse_config(tomllib.loads(text), "f.toml")
