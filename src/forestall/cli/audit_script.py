"""Print the script that `forestall audit ssh` sends to hosts, to be read before it is trusted.

It can be run by hand where forestall may not connect: what it prints, packed, is a kept answer.

examples:
  forestall audit script | less
  forestall audit script | ssh db01 sh -s | forestall audit script --unpack > db01.answer.gz
  forestall audit facts db01.answer.gz
"""

import argparse
import gzip
import secrets
import sys

from forestall.audit.collect.script import script
from forestall.audit.collect.stream import STREAM_LIMIT_BYTES, answer_of, first_mark, read_answer


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `forestall audit script`."""
    parser.add_argument(
        "--unpack",
        action="store_true",
        help="read the script's answer from standard input, check it, and print it as --keep does",
    )


def run(args: argparse.Namespace) -> int:
    """Print the script, or what became of it; returns 0."""
    if args.unpack:
        data = sys.stdin.buffer.read(STREAM_LIMIT_BYTES)
        answer = answer_of(data, first_mark(data))
        read_answer(answer)
        sys.stdout.buffer.write(gzip.compress(answer, mtime=0))
    else:
        sys.stdout.buffer.write(script(secrets.token_hex(16)))
    return 0
