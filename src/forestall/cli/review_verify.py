"""Check every number, time, name and version of a review against a bundle."""

import argparse

from forestall.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `forestall review verify`."""


def run(args: argparse.Namespace) -> int:
    """Not written yet."""
    raise UsageError("`forestall review verify` is not there yet")
