"""What ssh says, in words that say what to do."""

import pytest

from forestall.audit.collect.destination import destination
from forestall.audit.collect.reasons import LINE_LIMIT, reason

TO = destination("ops@db01:2222")


@pytest.mark.parametrize(
    ("said", "expected", "passing"),
    [
        (
            (
                "No ED25519 host key is known for [db01]:2222 and you have requested"
                " strict checking.\nHost key verification failed.\n"
            ),
            "connect once by hand (ssh -p 2222 db01)",
            False,
        ),
        (
            (
                "@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@\n"
                "Host key verification failed.\n"
            ),
            "ssh-keygen -R '[db01]:2222'",
            False,
        ),
        (
            "ops@db01: Permission denied (publickey,gssapi-with-mic).\n",
            "authentication failed for user ops (publickey,gssapi-with-mic)",
            False,
        ),
        (
            "ssh: Could not resolve hostname db01: Name or service not known\n",
            "does not resolve",
            False,
        ),
        (
            "ssh: connect to host db01 port 2222: Connection refused\n",
            "nothing listens",
            False,
        ),
        ("ssh: connect to host db01 port 2222: No route to host\n", "no route", False),
        (
            "ssh: connect to host db01 port 2222: Connection timed out\n",
            "did not answer in time",
            False,
        ),
        (
            "Connection timed out during banner exchange\n",
            "did not answer in time",
            False,
        ),
        (
            (
                "kex_exchange_identification: Connection closed by remote host\n"
                "Connection closed by 10.0.0.1 port 22\n"
            ),
            "MaxStartups",
            True,
        ),
        (
            "ssh_exchange_identification: read: Connection reset by peer\n",
            "MaxStartups",
            True,
        ),
        (
            (
                "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found."
                " Their offer: ssh-rsa,ssh-dss\n"
            ),
            "--ssh-option HostKeyAlgorithms=+ssh-rsa",
            False,
        ),
        ("Timeout, server db01 not responding.\n", "stopped answering", False),
        ("command-line: line 0: Bad configuration option: proxyjunp\n", "proxyjunp", False),
        ("bash: sh: command not found\n", "sh: command not found", False),
        ("motd\nThis account is locked.\n\n", "it said: This account is locked.", False),
    ],
)
def test_words(said, expected, passing):
    """Each of OpenSSH's failures is told by its own words; only a full server is tried again."""
    found = reason(TO, 255, said)
    assert expected in found.text
    assert found.passing is passing


def test_silence():
    """No words: the exit code is all there is."""
    assert "exit code 1" in reason(TO, 1, "").text
    assert "said nothing" in reason(TO, 255, " \n").text


def test_one_line_that_a_terminal_can_be_shown():
    """What a host says cannot move the cursor, break the line or fill the screen."""
    text = reason(TO, 255, "\x1b[2J" + "x" * 1000 + "\r\n").text
    assert "\x1b" not in text
    assert "\n" not in text
    assert len(text) <= LINE_LIMIT
