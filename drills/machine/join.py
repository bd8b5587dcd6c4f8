"""Becomes a process of a group, then the given command: `join.py PROCS-FILE... -- COMMAND...`."""

import os
import sys


def main(words: list[str]) -> None:
    """Write our pid into each file, and exec the command after `--`."""
    end = words.index("--")
    for file in words[:end]:
        with open(file, "w", encoding="ascii") as procs:
            procs.write(str(os.getpid()))
    command = words[end + 1 :]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
