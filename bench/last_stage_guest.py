"""What runs inside the guest of bench/last_stage.py: the first process, and all that it starts.

The guard's processes run from a disk, as on a real host: the kernel can take their code away, and
does so when memory is gone. The culprit fills the memory and readers keep the disk busy.
"""

import json
import os
import subprocess
import sys
import time

BUSYBOX = "/bin/busybox"
KEEP = "/keep"
CGROUPS = "/sys/fs/cgroup"
PYTHON = f"{KEEP}/usr/bin/python3"
FILE_BYTES = 160 << 20
NOTHING_BYTES = 8 << 20
"""The culprit leaves no more than this; at 4 MiB, the OOM killer came."""
THRASH_SECONDS = 3.0
ROUNDS = 5
LIMIT_SECONDS = 150.0


def tell(event, **more):
    line = json.dumps({"event": event, "at": round(time.monotonic(), 3), **more}) + "\n"
    port = os.open("/dev/ttyS1", os.O_WRONLY | os.O_NOCTTY)
    os.write(port, line.encode())
    os.close(port)


def busybox(*words):
    subprocess.run([BUSYBOX, *words], check=True, stdin=subprocess.DEVNULL)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def available(descriptor):
    for line in os.pread(descriptor, 4096, 0).splitlines():
        if line.startswith(b"MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def first(settings):
    for module in settings["modules"]:
        busybox("insmod", f"/drill/modules/{module}")
    busybox("mount", "-t", "cgroup2", "cgroup2", CGROUPS)
    write(f"{CGROUPS}/cgroup.subtree_control", "+memory +pids")
    busybox("mount", "-t", "ext2", "-o", "noatime", "/dev/vda", KEEP)
    # The measurement is of the time before an OOM; one that came would only end it.
    write("/proc/sys/vm/panic_on_oom", "0")
    for folder in ("/usr", "/opt"):
        busybox("cp", "-a", folder, f"{KEEP}{folder}")
    busybox("mkdir", "-p", f"{KEEP}/lib", f"{KEEP}/bin")
    busybox("cp", "-a", "/lib/guest", f"{KEEP}/lib/guest")
    busybox("cp", BUSYBOX, f"{KEEP}/bin/busybox")
    with open(f"{KEEP}/file", "wb") as file:
        file.writelines(b"x" * (1 << 20) for _ in range(FILE_BYTES >> 20))
    os.sync()
    write("/proc/sys/vm/drop_caches", "3")
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        total = int(meminfo.readline().split()[1]) * 1024
    tell("up", kernel=os.uname().release, total=total)
    guard = start("guard", [PYTHON, "/drill/init.py", "guard"], disk=True)
    deadline = time.monotonic() + 60
    while not os.path.exists("/run/ready") and time.monotonic() < deadline:
        time.sleep(0.2)
    # A script called `init` is one that guard never touches.
    busybox("cp", "/drill/init.py", "/drill/feed_sync.py")
    culprit = start("culprit", ["/usr/bin/python3", "/drill/feed_sync.py", "culprit"])
    write("/run/culprit", str(culprit.pid))
    for _ in range(2):
        start("readers", ["/usr/bin/python3", "/drill/init.py", "reader"])
    try:
        code = guard.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        code = None
    tell("end", how="healthy" if code == 0 else f"the guard ended with {code}")
    busybox("poweroff", "-f")


def start(cgroup, words, disk=False):
    os.makedirs(f"{CGROUPS}/{cgroup}", exist_ok=True)
    environment = dict(os.environ)
    if disk:
        environment |= {
            "LD_LIBRARY_PATH": f"{KEEP}/lib/guest",
            "PYTHONHOME": f"{KEEP}/usr",
            "PYTHONPATH": f"{KEEP}/opt",
        }

    def move():
        write(f"{CGROUPS}/{cgroup}/cgroup.procs", "0")

    return subprocess.Popen(words, env=environment, preexec_fn=move)


def culprit():
    """Takes memory until none is left, and again whenever some is."""
    meminfo = os.open("/proc/meminfo", os.O_RDONLY)
    kept = []
    while not os.path.exists("/run/go"):
        time.sleep(0.2)
    while True:
        left = available(meminfo)
        if left > 4 * NOTHING_BYTES:
            kept.append(b"x" * (1 << 20))
        elif left > NOTHING_BYTES:
            kept.append(b"x" * (1 << 16))
            time.sleep(0.005)
        else:
            time.sleep(0.02)


def reader():
    """Reads everywhere in a file that is larger than what is left: the page cache of a thrash."""
    import random

    file = os.open(f"{KEEP}/file", os.O_RDONLY)
    while not os.path.exists("/run/go"):
        time.sleep(0.2)
    while True:
        os.pread(file, 1 << 16, random.randrange(0, FILE_BYTES - (1 << 16), 4096))


def guard():
    from dataclasses import replace

    from forestall.clock import SystemClock
    from forestall.guard.executor import Executor
    from forestall.guard.hosted import Child, HostedHandler
    from forestall.guard.last.memory import lock, prefer
    from forestall.guard.last.roles import Role, Setup
    from forestall.guard.ledger import Ledger
    from forestall.guard.live import HostProcesses, own_pids
    from forestall.guard.recheck import Recheck
    from forestall.model.action import ActionKind
    from forestall.sense.host import Host

    clock, host = SystemClock(), Host()
    own = own_pids(host)
    setup = Setup(own_pids=tuple(own))
    children = {
        role: Child(role, setup, clock=clock, say=lambda said: tell("said", text=said))
        for role in Role
    }
    for child in children.values():
        child.start()
    for role, child in children.items():
        tell("process", role=role.value, **child.call("status", {}, 60.0))
    ledger = Ledger(f"{KEEP}/ledger.journal")
    recheck = Recheck(processes=HostProcesses(host), own_pids=own)
    timed = {
        role: Timed(HostedHandler(child, lambda: None), clock) for role, child in children.items()
    }
    tell("locked", said=lock(populate=True), preferred=prefer())
    began = time.monotonic()
    sum(range(1_000_000))
    tell("yardstick", seconds=time.monotonic() - began)
    write("/run/ready", "1")
    while not os.path.exists("/run/culprit"):
        time.sleep(0.2)
    time.sleep(1.0)
    with open("/run/culprit", encoding="ascii") as file:
        pid = int(file.read())
    step = step_for(host, pid)
    for handler in timed.values():
        handler.handler.arm(step.action)
    meminfo = os.open("/proc/meminfo", os.O_RDONLY)
    pressure = os.open("/proc/pressure/memory", os.O_RDONLY)
    for number in range(ROUNDS + 1):
        for role in (Role.LAST, Role.HELPER, None):
            # The first round comes while there is memory: what all this takes in this guest.
            left = await_nothing(meminfo) if number else available(meminfo)
            full = float(os.pread(pressure, 512, 0).split(b"full avg10=")[1].split()[0])
            began = clock.monotonic()
            if role is None:
                anew(pid)
                tell(
                    "took",
                    by="new",
                    quiet=not number,
                    seconds=clock.monotonic() - began,
                    left=left,
                    full=full,
                )
                put_back()
                continue
            plan = replace(step.plan, id=f"plan-{number}-{role.value}")
            handlers = {ActionKind.CONTAIN: timed[role]}
            record = Recorded(ledger, clock)
            executor = Executor(handlers, ledger=record, recheck=recheck, clock=clock)
            (outcome,) = executor.execute(plan)
            marks = timed[role].marks
            tell(
                "took",
                by=role.value,
                quiet=not number,
                seconds=marks["done"] - began if "done" in marks else None,
                before=marks["asked"] - began if marks else None,
                recorded=record.at - began,
                verified=clock.monotonic() - began,
                left=left,
                full=full,
                state=outcome.state.value,
                detail=outcome.detail,
            )
            timed[role].handler.undo(step)
        write("/run/go", "1")


class Recorded:
    """The ledger, with the time at which the plan was on the disk."""

    def __init__(self, ledger, clock):
        self.ledger = ledger
        self.clock = clock
        self.at = None

    @property
    def history(self):
        return self.ledger.history

    def record(self, noun):
        self.ledger.record(noun)
        self.at = self.at or self.clock.monotonic()


class Timed:
    """A handler, with the times at which it was first asked and at which it had acted."""

    def __init__(self, handler, clock):
        self.handler = handler
        self.clock = clock
        self.marks = {}

    def precondition(self, step):
        self.marks = {"asked": self.clock.monotonic()}
        return self.handler.precondition(step)

    def do(self, step):
        done = self.handler.do(step)
        self.marks["done"] = self.clock.monotonic()
        return done

    def verify(self, step, done):
        return self.handler.verify(step, done)


def step_for(host, pid):
    from forestall.guard.containment import containment_of, to_parameters
    from forestall.guard.handler import Step
    from forestall.guard.surroundings import Folders, look
    from forestall.model.action import Action, ActionKind, Mode, Plan
    from forestall.model.verdict import Subject, Verdict, VerdictKind
    from forestall.sense import procfs

    key = procfs.read_key(host, pid)
    containment = containment_of(look(Folders(host), key, headroom_bytes=64 << 20))
    tell("plan", sentence=getattr(containment, "sentence", containment))
    # As it is once nothing is left: the plan of a culprit that has grown already.
    whole = {"high_bytes": str(1 << 30), "max_bytes": str(2 << 30)}
    subject = Subject(host="guest", name="culprit", process=key, cgroup="/culprit")
    action = Action(
        id="1-contain",
        kind=ActionKind.CONTAIN,
        subject=subject,
        timeout_seconds=30.0,
        parameters={**to_parameters(containment), **whole},
    )
    verdict = Verdict(
        subject=subject, kind=VerdictKind.EXHAUSTING, at=time.time(), memory_bytes=1, reasons=()
    )
    plan = Plan(
        id="plan-0", at=time.time(), mode=Mode.ACT, verdict=verdict, actions=(action,), because=()
    )
    return Step(plan=plan, action=action)


def await_nothing(meminfo):
    """Until nothing has been left for a while; what was left at the end of it."""
    since = None
    while True:
        left, now = available(meminfo), time.monotonic()
        since = (since or now) if left <= NOTHING_BYTES + (2 << 20) else None
        if since is not None and now - since >= THRASH_SECONDS:
            return left
        time.sleep(0.1)


def anew(pid):
    """What a guard does that has nothing ready: a program of the disk is started, and writes."""
    script = f"echo {2 << 30} > {CGROUPS}/culprit/memory.max"
    child = os.posix_spawn(
        f"{KEEP}/bin/busybox", ["busybox", "sh", "-c", script], {"PATH": "/keep/bin"}
    )
    os.waitpid(child, 0)


def put_back():
    write(f"{CGROUPS}/culprit/memory.max", "max")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"guard": guard, "culprit": culprit, "reader": reader}[sys.argv[1]]()
    else:
        try:
            with open("/drill/settings.json", encoding="utf-8") as given:
                first(json.load(given))
        except Exception as error:  # noqa: BLE001
            tell("broken", what=f"{type(error).__name__}: {error}")
            busybox("poweroff", "-f")
