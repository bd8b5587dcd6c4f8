"""A Debian guest, audited over SSH for real: made, booted, asked as root and as a plain user.

    python bench/audit_guest.py                 about three minutes the first time, two after
    python bench/audit_guest.py --keep DIR      keep the image, the key and the answers there

Needs root, debootstrap, qemu-system-x86, e2fsprogs and an SSH client; says so and ends where one
is missing. The guest is Debian's own: systemd, sshd and a cloud kernel, with settings that the
audit should find (panic_on_oom, no reboot after a panic, a service without a limit). It runs under
QEMU's emulation, so its seconds are several times a real machine's.
"""

import argparse
import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from forestall.audit.collect.options import SshOptions
from forestall.audit.collect.ssh import collect

SUITE = "bookworm"
PACKAGES = "systemd-sysv,dbus,openssh-server,linux-image-cloud-amd64,initramfs-tools,udev,procps"
TOOLS = ("debootstrap", "qemu-system-x86_64", "mke2fs", "ssh-keygen", "ssh-keyscan", "ssh")
MAKE_SECONDS = 1200
BOOT_SECONDS = 400

UNIT = """\
[Service]
ExecStart=/bin/sleep infinity
Restart=no
[Install]
WantedBy=multi-user.target
"""
FILES = {
    "etc/hostname": "debian-guest\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n/dev/vdb none swap sw 0 0\n",
    "etc/systemd/network/10.network": "[Match]\nName=e*\n[Network]\nDHCP=yes\n",
    "etc/systemd/system/leaky.service": UNIT,
    "etc/sysctl.d/audit.conf": "vm.panic_on_oom=1\nkernel.panic=0\n",
}
EXPECTED = {
    "hostname": "debian-guest",
    "os_id": "debian",
    "os_version_id": "12",
    "virtualization": "qemu",
    "cgroup_version": 2,
    "fstab_swaps": ("/dev/vdb",),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", metavar="DIR")
    args = parser.parse_args()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        print(f"not run: it needs root and {', '.join(missing) or 'nothing else'}")
        return 0
    if args.keep:
        os.makedirs(args.keep, exist_ok=True)
        return audited(Path(args.keep))
    with tempfile.TemporaryDirectory(prefix="forestall-guest-") as folder:
        return audited(Path(folder))


def audited(folder):
    """0 where everything that was put into the guest was found in its facts."""
    began = time.monotonic()
    if not (folder / "root.img").exists():
        make(folder)
    say(f"made after {time.monotonic() - began:.0f} s")
    (port,) = free_port()
    machine = boot(folder, port)
    try:
        began = time.monotonic()
        wait(folder, port, machine)
        say(f"answers after {time.monotonic() - began:.0f} s")
        return ask(folder, port)
    finally:
        machine.kill()
        machine.wait()


def say(text):
    print(text, flush=True)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return (found.getsockname()[1],)


def run(*words, **options):
    options.setdefault("timeout", MAKE_SECONDS)
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options
    )
    if done.returncode != 0:
        sys.exit(f"{words[0]} did not work:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def make(folder):
    """A root file system as Debian installs it, in an image, with our key and settings."""
    root = folder / "root"
    # What an interrupted run left.
    shutil.rmtree(root, ignore_errors=True)
    for name in ("key", "key.pub"):
        (folder / name).unlink(missing_ok=True)
    source = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    run(
        "debootstrap",
        "--variant=minbase",
        f"--include={PACKAGES}",
        SUITE,
        str(root),
        source.splitlines()[0],
    )
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key"))
    run("chroot", str(root), "useradd", "-m", "-s", "/bin/sh", "audit")
    run("chroot", str(root), "systemctl", "enable", "systemd-networkd", "ssh", "leaky")
    for home, user in (("root", "root"), ("home/audit", "audit")):
        keys = root / home / ".ssh"
        keys.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(folder / "key.pub", keys / "authorized_keys")
        run("chroot", str(root), "chown", "-R", user, f"/{home}/.ssh")
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy(next((root / "boot").glob(f"{name}-*")), folder / name)
    run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(folder / "root.img"), "2G")
    with open(folder / "swap.img", "wb") as file:
        file.truncate(128 * 2**20)
    run("mkswap", str(folder / "swap.img"))
    shutil.rmtree(root)


def boot(folder, port):
    return subprocess.Popen(
        [
            "qemu-system-x86_64",
            *("-accel", "tcg", "-m", "1024", "-smp", "1", "-nodefaults", "-display", "none"),
            *("-no-reboot", "-kernel", str(folder / "vmlinuz")),
            *("-initrd", str(folder / "initrd.img")),
            *("-append", "root=/dev/vda rw console=ttyS0 quiet"),
            *("-drive", f"file={folder}/root.img,if=virtio,format=raw"),
            *("-drive", f"file={folder}/swap.img,if=virtio,format=raw"),
            *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"),
            *("-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci"),
            *("-serial", f"file:{folder}/console.log"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait(folder, port, machine):
    """Until sshd answers with its keys, which become the known ones."""
    deadline = time.monotonic() + BOOT_SECONDS
    words = ["ssh-keyscan", "-T", "5", "-p", str(port), "127.0.0.1"]
    while time.monotonic() < deadline and machine.poll() is None:
        scanned = subprocess.run(words, capture_output=True, timeout=60)
        if b"ssh-ed25519" in scanned.stdout:
            (folder / "known_hosts").write_bytes(scanned.stdout)
            return
        time.sleep(2)
    sys.exit(f"the guest did not come up; see {folder}/console.log (--keep)")


def ask(folder, port):
    options = SshOptions(
        known_hosts=str(folder / "known_hosts"),
        ssh_options=(f"IdentityFile={folder}/key", "IdentitiesOnly=yes"),
        deadline_seconds=200.0,
        keep=str(folder / "answers"),
        max_age_seconds=0.0,
    )
    wrong = []
    for user in ("root", "audit"):
        began = time.monotonic()
        (seen,) = collect([f"{user}@127.0.0.1:{port}"], options)
        took = time.monotonic() - began
        if seen.facts is None:
            sys.exit(f"{user}: {seen.problem}")
        facts = seen.facts
        say(f"as {user}: {took:.1f} s, {facts.os_name}, kernel {facts.kernel_release}")
        said = {name: getattr(facts, name) for name in EXPECTED}
        wrong += [f"{user}: {n} is {said[n]!r}" for n in EXPECTED if said[n] != EXPECTED[n]]
        units = {unit.name: unit for unit in facts.units or ()}
        leaky = units.get("leaky.service")
        if leaky is None or leaky.memory_max_bytes is not None or leaky.restart != "no":
            wrong.append(f"{user}: leaky.service is {leaky}")
        if facts.sysctls.get("vm.panic_on_oom") != "1" or facts.sysctls.get("kernel.panic") != "0":
            wrong.append(f"{user}: sysctls are {facts.sysctls}")
        if [swap.name for swap in facts.swaps or ()] != ["/dev/vdb"]:
            wrong.append(f"{user}: swaps are {facts.swaps}")
        say(
            f"  {len(units)} services, {facts.process_count} processes, {len(facts.mounts or ())}"
            f" file systems, kernels {facts.installed_kernels}"
        )
        unseen = {name: why for name, why in facts.unseen.items() if "root" in why}
        say(f"  root would add: {json.dumps(unseen) if unseen else 'nothing'}")
        (folder / f"facts-{user}.json").write_text(
            json.dumps(dataclasses.asdict(facts), default=str, indent=1)
        )
    audit(folder, port)
    print("\n".join(wrong) or "all that was put there was found")
    return 1 if wrong else 0


def audit(folder, port):
    """What `forestall audit` says of it."""
    words = [sys.executable, "-m", "forestall", "audit", "facts", str(folder / "answers")]
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, timeout=120)
    if done.returncode not in (0, 1, 3) or not done.stdout:
        say(f"  forestall audit: {done.stderr.strip()[-300:]}")
        return
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for state in ("fail", "unknown"):
        rules = sorted({one["rule"] for one in found if one["state"].lower() == state})
        say(f"  {state}: {' '.join(rules) or 'none'}")


if __name__ == "__main__":
    sys.exit(main())
