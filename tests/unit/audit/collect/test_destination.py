"""What users write for a host, and what they must not."""

import pytest

from forestall.audit.collect.destination import destination
from forestall.audit.collect.options import SshOptions, command_line
from forestall.errors import UsageError


@pytest.mark.parametrize(
    ("text", "host", "user", "port"),
    [
        ("db01", "db01", None, None),
        ("root@db01.example", "db01.example", "root", None),
        ("db01:2222", "db01", None, 2222),
        ("admin@10.0.0.7:22", "10.0.0.7", "admin", 22),
        ("2001:db8::7", "2001:db8::7", None, None),
        ("[2001:db8::7]:2222", "2001:db8::7", None, 2222),
        ("ops@[fe80::1%eth0]", "fe80::1%eth0", "ops", None),
        ("ssh://ops@db01:22/", "db01", "ops", 22),
        ("DOMAIN\\user@db01", "db01", "DOMAIN\\user", None),
        ("user@realm@db01", "db01", "user@realm", None),
    ],
)
def test_forms(text, host, user, port):
    """Names, addresses of both kinds, users and ports, as OpenSSH's own URIs have them."""
    found = destination(text)
    assert (found.host, found.user, found.port) == (host, user, port)
    assert found.name == text


@pytest.mark.parametrize(
    "text",
    [
        "-oProxyCommand=id",
        "--",
        "root@-oProxyCommand=id",
        "-lroot@db01",
        "db01;id",
        "$(id)",
        "`id`@db01",
        "db01 -v",
        "db\n01",
        "",
        "@db01",
        "root@",
        "db01:0",
        "db01:65536",
        "db01:port",
    ],
)
def test_what_is_no_host_is_refused(text):
    """Nothing that ssh could take for an option, or a shell for a command, reaches either."""
    with pytest.raises(UsageError):
        destination(text)


def test_host_keys_are_checked_unless_the_user_says_otherwise():
    """Checking is on; the user's own word comes first, and ssh takes the first it is given."""
    words = command_line(destination("root@db01:2222"), SshOptions())
    assert "StrictHostKeyChecking=yes" in words
    assert "BatchMode=yes" in words
    assert words[-3:] == ["--", "db01", "exec sh -s"]
    assert words[words.index("-p") + 1] == "2222"
    assert words[words.index("-l") + 1] == "root"
    own = SshOptions(ssh_options=("StrictHostKeyChecking=accept-new", "ProxyJump=gate"))
    words = command_line(destination("db01"), own)
    assert words.index("StrictHostKeyChecking=accept-new") < words.index(
        "StrictHostKeyChecking=yes"
    )


def test_a_list_of_keys_may_have_a_space_in_its_name():
    """ssh splits the option at spaces, but not inside quotes."""
    words = command_line(destination("db01"), SshOptions(known_hosts="/etc/a b/keys"))
    assert 'UserKnownHostsFile="/etc/a b/keys"' in words


@pytest.mark.parametrize(
    "settings",
    [
        {"parallel": 0},
        {"parallel": 501},
        {"deadline_seconds": 0.0},
        {"ssh_options": ("-v",)},
        {"ssh_options": ("ProxyJump",)},
        {"ssh_options": ("ProxyJump=a\nHost=b",)},
        {"known_hosts": 'a"b'},
    ],
)
def test_options_that_cannot_be_meant(settings):
    """A wrong option is told before any host is asked."""
    with pytest.raises(UsageError):
        SshOptions(**settings)
