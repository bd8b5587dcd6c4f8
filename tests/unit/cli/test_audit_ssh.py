"""What may be said of the asking on the command line, of `audit` and of `audit check`."""

import argparse

import pytest

from forestall.cli import audit, audit_check
from forestall.cli.audit_inputs import add_inputs
from forestall.cli.audit_ssh import options_of
from forestall.errors import UsageError


def parser_of(configure):
    parser = argparse.ArgumentParser()
    configure(parser)
    return parser


def parsed(*words, command=audit):
    return options_of(parser_of(command.configure).parse_args(words))


def options_by_name(configure):
    """What each option takes and where it goes; not what its help says."""
    return {
        name: (action.dest, action.default, action.metavar, action.type, type(action))
        for action in parser_of(configure)._actions
        for name in action.option_strings
    }


@pytest.mark.parametrize("command", [audit, audit_check])
def test_every_command_that_takes_inputs_has_all_their_options(command):
    """Nothing that reaches a host for the audit is missing where a follow-up asks again."""
    wanted = options_by_name(add_inputs)
    assert len(wanted) > 15
    assert wanted.items() <= options_by_name(command.configure).items()


@pytest.mark.parametrize("command", [audit, audit_check])
def test_all_that_can_be_said(command):
    """Every option arrives where it belongs."""
    found = parsed(
        *("--sudo", "--keep", "answers", "--max-age", "6h", "--parallel", "40"),
        *("--host-timeout", "2m", "--known-hosts", "keys", "--ssh-config", "config"),
        *("--ssh-option", "ProxyJump=gate", "--ssh-option", "User=audit"),
        command=command,
    )
    assert (found.sudo, found.keep, found.max_age_seconds) == (True, "answers", 6 * 3600.0)
    assert (found.parallel, found.deadline_seconds) == (40, 120.0)
    assert (found.known_hosts, found.config) == ("keys", "config")
    assert found.ssh_options == ("ProxyJump=gate", "User=audit")


def test_defaults():
    """Nothing said: no root, nothing kept, a minute each, and a day for what is kept."""
    assert parsed() == parsed(command=audit_check)
    assert parsed().max_age_seconds == 86400.0
    assert (parsed().sudo, parsed().keep, parsed().deadline_seconds) == (False, None, 60.0)


@pytest.mark.parametrize(
    "words", [("--parallel", "0"), ("--max-age", "old"), ("--ssh-option", "x")]
)
def test_what_cannot_be_meant(words):
    """One line, and exit code 2."""
    with pytest.raises(UsageError):
        parsed(*words)
