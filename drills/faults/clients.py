"""The order clients as a process of their own: the options are those of `cims load`."""

import argparse
import sys

from cims.load import command


def main() -> int:
    """Place orders until SIGINT."""
    parser = argparse.ArgumentParser(prog="clients")
    command.configure(parser)
    return command.run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
