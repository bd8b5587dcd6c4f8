"""Runs a command inside a small machine, as its parent outside.

usage: enter.py FIRST-PID USER GROUP FOLDER PROCS-FILE... -- COMMAND... (USER and GROUP may be -)

Whoever starts and ends this process means the command: signals are handed on, its end is our end,
and it does not outlive us. This parent lies outside the machine, and takes none of its memory.
"""

import ctypes
import os
import signal
import sys

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWPID = (
    0x00020000,
    0x02000000,
    0x04000000,
    0x20000000,
)
PR_SET_PDEATHSIG = 1
HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)


def main(words: list[str]) -> int:
    """Enter, run, wait; returns the command's exit code as a shell would."""
    end = words.index("--")
    first, user, group, folder, *procs_files = words[:end]
    command = words[end + 1 :]
    libc = ctypes.CDLL(None, use_errno=True)
    kinds = (
        ("pid", CLONE_NEWPID),
        ("uts", CLONE_NEWUTS),
        ("cgroup", CLONE_NEWCGROUP),
        ("mnt", CLONE_NEWNS),
    )
    spaces = {kind: os.open(f"/proc/{first}/ns/{kind}", os.O_RDONLY) for kind, _ in kinds}
    files = [os.open(file, os.O_WRONLY) for file in procs_files]
    flags = dict(kinds)
    # Only children are in the PID namespace that was entered.
    _enter(libc, spaces["pid"], flags["pid"])
    # Caught before there is a child, so that no signal is lost in between.
    child: list[int] = []
    early: list[int] = []

    def hand_on(number: int, frame: object) -> None:
        if child:
            os.kill(child[0], number)
        else:
            early.append(number)

    for number in HANDED_ON:
        signal.signal(number, hand_on)
    # Looked for now: the command's user may not be able to read Python's own library.
    program = _find(command[0])
    pid = os.fork()
    if pid == 0:
        for number in HANDED_ON:
            signal.signal(number, signal.SIG_DFL)
        try:
            for file in files:
                os.write(file, b"0")
            for kind in ("uts", "cgroup", "mnt"):
                _enter(libc, spaces[kind], flags[kind])
            os.chdir(folder)
            if user != "-":
                os.setgroups([])
                os.setgid(int(group))
                os.setuid(int(user))
            # After the change of user, which would clear it.
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            os.execv(program, command)
        except OSError as error:
            print(f"enter: {command[0]}: {error}", file=sys.stderr, flush=True)
        os._exit(127)
    child.append(pid)
    for came in early:
        os.kill(pid, came)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _find(name: str) -> str:
    if "/" in name:
        return name
    places = (os.path.join(folder, name) for folder in os.get_exec_path())
    return next((place for place in places if os.access(place, os.X_OK)), name)


def _enter(libc: ctypes.CDLL, descriptor: int, kind: int) -> None:
    if libc.setns(descriptor, kind) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
