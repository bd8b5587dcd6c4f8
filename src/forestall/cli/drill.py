"""Replay an incident for real, and see with your own eyes what guard is worth.

A drill is a program, drills/NAME/run.py, that lies in the current folder, in one above it, or in
the source checkout. `forestall drill NAME` runs it here, shows what happens as it happens, and
ends with its exit code. What stands after the name goes to the drill itself.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterator

import forestall
from forestall.cli.options import printable
from forestall.errors import UsageError

SCRIPT = "run.py"
FOLDER = "drills"
DEPTH_MAX = 64

EXAMPLES = """\
examples:
  forestall drill --list                       the drills there are
  forestall drill panic                        a real kernel panics, and then it does not
  forestall drill panic --help                 that drill's own options
  forestall drill ./drills/panic --json        by its path; one JSON object

Exit code of the drill: 0 it went as promised, 1 it did not, 2 usage, 3 something is missing here.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options. All after the drill's name is the drill's own."""
    parser.epilog = EXAMPLES
    parser.usage = f"{parser.prog} [--list] [--drills DIR] NAME|PATH [the drill's options]"
    parser.add_argument("--list", action="store_true", help="list the drills there are")
    parser.add_argument("--drills", metavar="DIR", help="where the drills lie")
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Run the drill as a process of its own; returns its exit code."""
    folders = list(_folders(args.drills))
    if args.list:
        return _list(folders)
    if not args.words:
        raise UsageError(f"no drill was named; {_known(folders)}", help="see `forestall drill -h`")
    name, *rest = args.words
    script = _find(name, folders)
    return _run(script, rest)


def _folders(option: str | None) -> Iterator[str]:
    """The folders that may hold drills, the nearest first."""
    if option is not None:
        if not os.path.isdir(option):
            raise UsageError(f"--drills {option}: no such folder")
        yield os.path.abspath(option)
        return
    above = os.getcwd()
    for _ in range(DEPTH_MAX):
        yield os.path.join(above, FOLDER)
        if above == os.path.dirname(above):
            break
        above = os.path.dirname(above)
    package = os.path.dirname(os.path.abspath(forestall.__file__))
    yield os.path.join(os.path.dirname(os.path.dirname(package)), FOLDER)


def _drills(folders: list[str]) -> dict[str, str]:
    """The script of each drill by its name; the nearest of a name counts."""
    found: dict[str, str] = {}
    for folder in folders:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue  # Most folders above hold no drills.
        for name in names:
            script = os.path.join(folder, name, SCRIPT)
            if os.path.isfile(script):
                found.setdefault(name, script)
    return found


def _known(folders: list[str]) -> str:
    names = ", ".join(sorted(_drills(folders)))
    return f"drills here: {printable(names)}" if names else "there are no drills here"


def _list(folders: list[str]) -> int:
    drills = _drills(folders)
    for name, script in drills.items():
        print(f"{printable(name)}\n    {printable(_first_line(script))}\n    {printable(script)}")
    if not drills:
        print("no drills here: run it in a checkout of forestall, or name their folder by --drills")
    return 0


def _first_line(script: str) -> str:
    """What a drill says of itself: the first line of its docstring."""
    # Imported here: only the listing needs it.
    import ast

    try:
        with open(script, encoding="utf-8") as file:
            said = ast.get_docstring(ast.parse(file.read(1024 * 1024)))
    except (OSError, ValueError, SyntaxError):
        return "it cannot be read"
    return (said or "it says nothing of itself").splitlines()[0]


def _find(name: str, folders: list[str]) -> str:
    """The script that a name or a path names. Raises UsageError that lists what there is."""
    script = None
    if os.sep in name or name in (".", ".."):
        script = os.path.join(name, SCRIPT) if os.path.isdir(name) else name
    elif name:
        script = _drills(folders).get(name)
    if script is None or not os.path.isfile(script):
        raise UsageError(f"no such drill: {name or repr(name)}; {_known(folders)}")
    return os.path.abspath(script)


def _run(script: str, rest: list[str]) -> int:
    # Imported here, as everything that starts a process is.
    import subprocess

    # Drills import each other's parts as `drills.NAME...`, from the folder that holds `drills`.
    root = os.path.dirname(os.path.dirname(os.path.dirname(script)))
    path = [root, os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in path if p)}
    sys.stdout.flush()
    child = subprocess.Popen([sys.executable, script, *rest], env=environment)
    # The terminal gives Ctrl-C to both; the drill cleans up, and this one waits for it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    passed_on = {
        number: signal.signal(number, lambda received, _: child.send_signal(received))
        for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        code = child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        for number, handler in passed_on.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
