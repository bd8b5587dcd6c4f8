"""Write the review of an incident from its evidence."""

import argparse

from forestall.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `forestall review draft`."""


def run(args: argparse.Namespace) -> int:
    """Not written yet."""
    raise UsageError("`forestall review draft` is not there yet")
