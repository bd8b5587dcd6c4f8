"""Errors a person can act on: one line that says what, where, and what to do next.

CimsError         exit 3   the database or a document could not be read
└── UsageError    exit 2   the command line or the configuration is wrong
"""


class CimsError(Exception):
    """Base of every error shown to a person."""

    exit_code = 3

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class UsageError(CimsError):
    """The command line or the configuration is wrong."""

    exit_code = 2
