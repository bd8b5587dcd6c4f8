"""The first process of the guest: prepares it, starts all, keeps the service running, and tells.

It stands for what systemd does on a real host: `inventory-sync` has a cgroup of its own and is
started again whenever it ends. What it tells, one JSON object per line on the second serial port,
carries the guest's own clock.
"""

import json
import os
import signal
import subprocess
import sys
import time

BUSYBOX = "/bin/busybox"
KEEP = "/keep"
CGROUPS = "/sys/fs/cgroup"
RESTART_AFTER_SECONDS = 0.5
BEAT_SECONDS = 0.5
GUARD_READY_SECONDS = 60.0
END_SECONDS = 20.0


def tell(event, **more):
    line = json.dumps({"event": event, "at": round(time.monotonic(), 3), **more}) + "\n"
    os.write(PORT, line.encode())


def busybox(*words):
    subprocess.run([BUSYBOX, *words], check=True, stdin=subprocess.DEVNULL)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def prepare(settings):
    for module in settings["modules"]:
        busybox("insmod", f"/drill/modules/{module}")
    for path, value in settings["sysctl"].items():
        write(f"/proc/sys/{path}", value)
    busybox("mount", "-t", "cgroup2", "cgroup2", CGROUPS)
    write(f"{CGROUPS}/cgroup.subtree_control", "+memory +pids")
    busybox("mount", "-t", "ext4", "-o", "noatime", "/dev/vda", KEEP)
    busybox("ip", "link", "set", "lo", "up")
    write("/proc/sys/kernel/hostname", settings["hostname"])


class Child:
    """A process in a cgroup of its own, whose words go to a file on the disk that is kept."""

    def __init__(self, name, words, environment=None):
        self.name = name
        self.words = words
        self.environment = environment
        self.starts = 0
        self.pid = None
        self.ended_at = None
        os.makedirs(f"{CGROUPS}/{name}", exist_ok=True)

    def start(self):
        cgroup = f"{CGROUPS}/{self.name}/cgroup.procs"
        log = f"{KEEP}/{self.name}.log"
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                write(cgroup, "0")
                output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                os.dup2(output, 1)
                os.dup2(output, 2)
                os.execve(self.words[0], self.words, {**os.environ, **(self.environment or {})})
            finally:
                os._exit(127)
        self.pid = pid
        self.starts += 1
        self.ended_at = None
        tell("started", name=self.name, pid=pid, starts=self.starts)

    def resident_bytes(self):
        if self.pid is None:
            return None
        for line in read(f"/proc/{self.pid}/status").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return None


def reap(children):
    """Take note of every process that ended; all orphans of the guest end up here too."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        for child in children:
            if child.pid == pid:
                child.pid = None
                child.ended_at = time.monotonic()
                code = os.waitstatus_to_exitcode(status)
                tell("ended", name=child.name, pid=pid, code=code)


def meminfo():
    found = {}
    for line in read("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) * 1024
    return found


def wait_for_guard(guard, settings):
    """Until the guard says that it watches: on a real host it runs long before the leak."""
    deadline = time.monotonic() + GUARD_READY_SECONDS
    while time.monotonic() < deadline:
        reap([guard])
        if guard.pid is None:
            tell("broken", what=f"{guard.name} ended at once")
            return
        if settings["ready"] in read(f"{KEEP}/{guard.name}.log"):
            tell("guarding", name=guard.name, rss=guard.resident_bytes())
            return
        time.sleep(0.1)
    tell("broken", what=f"{guard.name} did not say {settings['ready']!r}")


def watch(settings, service, children):
    """Beat until the service was recycled and all has been well for a while, or time is over."""
    recovered_at = None
    started = time.monotonic()
    while True:
        reap(children)
        now = time.monotonic()
        if service.pid is None and now - (service.ended_at or 0) >= RESTART_AFTER_SECONDS:
            service.start()
            if recovered_at is None:
                recovered_at = now
        memory = meminfo()
        tell(
            "beat",
            available=memory.get("MemAvailable"),
            total=memory.get("MemTotal"),
            rss=service.resident_bytes(),
            starts=service.starts,
            guard_rss=children[0].resident_bytes() if len(children) > 2 else None,
        )
        if recovered_at is not None and now - recovered_at >= settings["healthy_seconds"]:
            return "healthy"
        if now - started >= settings["watch_seconds"]:
            return "over"
        time.sleep(BEAT_SECONDS)


def end(how, children):
    """Stop everything in order, so that what was kept is whole on the disk; then power off."""
    for child in children:
        if child.pid is not None:
            os.kill(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline and any(child.pid for child in children):
        reap(children)
        time.sleep(0.1)
    for child in children:
        # All that it ever forked, too.
        write(f"{CGROUPS}/{child.name}/cgroup.kill", "1")
    time.sleep(0.2)
    reap(children)
    os.sync()
    busybox("umount", KEEP)
    tell("end", how=how)
    busybox("poweroff", "-f")


def main():
    settings = json.loads(read("/drill/settings.json"))
    children = []
    prepare(settings)
    tell("up", kernel=os.uname().release, total=meminfo()["MemTotal"])
    if settings["probe"]:
        end("probe", [])
    if settings["guard"]:
        guard = Child("guard", settings["guard"])
        guard.start()
        children.append(guard)
        wait_for_guard(guard, settings)
    database = Child("database", settings["database"])
    service = Child("inventory-sync", settings["service"])
    children += [database, service]
    for child in (database, service):
        child.start()
    end(watch(settings, service, children), children)


if __name__ == "__main__":
    PORT = os.open("/dev/ttyS1", os.O_WRONLY | os.O_NOCTTY)
    try:
        main()
    except Exception as error:  # noqa: BLE001 - whatever it is, the host must be told
        tell("broken", what=f"{type(error).__name__}: {error}")
        print(f"drill: init failed: {error!r}", file=sys.stderr, flush=True)
        os.sync()
        busybox("poweroff", "-f")
