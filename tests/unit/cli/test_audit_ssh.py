"""What may be said of the asking on the command line."""

import argparse

import pytest

from forestall.cli.audit_ssh import add_ssh, options_of
from forestall.errors import UsageError


def parsed(*words):
    parser = argparse.ArgumentParser()
    add_ssh(parser)
    return options_of(parser.parse_args(words))


def test_all_that_can_be_said():
    """Every option arrives where it belongs."""
    found = parsed(
        *("--sudo", "--keep", "answers", "--max-age", "6h", "--parallel", "40"),
        *("--host-timeout", "2m", "--known-hosts", "keys", "--ssh-config", "config"),
        *("--ssh-option", "ProxyJump=gate", "--ssh-option", "User=audit"),
    )
    assert (found.sudo, found.keep, found.max_age_seconds) == (True, "answers", 6 * 3600.0)
    assert (found.parallel, found.deadline_seconds) == (40, 120.0)
    assert (found.known_hosts, found.config) == ("keys", "config")
    assert found.ssh_options == ("ProxyJump=gate", "User=audit")


def test_defaults():
    """Nothing said: no root, nothing kept, a minute each; also where there are no such options."""
    assert parsed() == options_of(argparse.Namespace())
    assert (parsed().sudo, parsed().keep, parsed().deadline_seconds) == (False, None, 60.0)


@pytest.mark.parametrize(
    "words", [("--parallel", "0"), ("--max-age", "old"), ("--ssh-option", "x")]
)
def test_what_cannot_be_meant(words):
    """One line, and exit code 2."""
    with pytest.raises(UsageError):
        parsed(*words)
