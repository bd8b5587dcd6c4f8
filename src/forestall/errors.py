"""Errors a person can act on. Each says what, where, and what to do next.

ForestallError            exit 3   something could not be looked at
├── UsageError            exit 2   the command line or the configuration is wrong
├── InputError            exit 3   a given document is damaged or of the wrong kind
├── JournalError          exit 3   a record could not be made safe on disk
└── EvidenceError         exit 3   a bundle could not be written, or does not verify

Expected absence is never an error: a process that went away, a kernel without PSI
and a question that cannot be decided are values (dropped, None, UNDECIDED).
"""


class ForestallError(Exception):
    """Base of every error shown to a person.

    `message` says what is wrong and where, in one line; `help` says what to try next.
    """

    exit_code = 3

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class UsageError(ForestallError):
    """The command line or the configuration is wrong."""

    exit_code = 2


class InputError(ForestallError):
    """A given document is damaged, too large, or of the wrong kind."""


class JournalError(ForestallError):
    """A record could not be made safe on disk."""


class EvidenceError(ForestallError):
    """A bundle could not be written, or what it holds is not what its manifest says."""
