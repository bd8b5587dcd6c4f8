"""A Debian guest for the benches that ask a whole host: made once, booted anew for each question.

The guest is Debian's own: systemd, sshd, a cloud kernel, and what a bench adds. What is written in
it is forgotten when it ends, so that every run begins with the same host. It runs under QEMU's
emulation, so its seconds are several times a real machine's.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUITE = "bookworm"
PACKAGES = "systemd-sysv,dbus,openssh-server,linux-image-cloud-amd64,initramfs-tools,udev,procps"
TOOLS = ("debootstrap", "qemu-system-x86_64", "mke2fs", "ssh-keygen", "ssh", "scp")
MAKE_SECONDS = 1200
BOOT_SECONDS = 900
NAME = "debian-guest"
CONFIG = """\
Host {name}
    HostName 127.0.0.1
    HostKeyAlias {name}
    Port {port}
    IdentityFile {folder}/key
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile /dev/null
"""
# Where many share this machine a guest is slow, and systemd would give up its own disks.
APPENDED = (
    "root=/dev/vda rw console=ttyS0 quiet"
    " systemd.default_timeout_start_sec=900 systemd.default_device_timeout_sec=900"
)
FILES = {
    "etc/hostname": f"{NAME}\n",
    # Nobody answers a name server's questions there: sudo would wait for that at each task.
    "etc/hosts": f"127.0.0.1 localhost {NAME}\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 1\n/dev/vdb none swap sw 0 0\n",
    "etc/systemd/network/10.network": "[Match]\nName=e*\n[Network]\nDHCP=yes\n",
}


def say(text):
    print(text, flush=True)


def why_not(*tools):
    """What is missing for a guest here; None where nothing is."""
    missing = [tool for tool in (*TOOLS, *tools) if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        return f"not run: it needs root and {', '.join(missing) or 'nothing else'}"
    return None


@contextlib.contextmanager
def folder_for(keep):
    """Where the image, the key and the answers are: `keep`, or a folder that is taken away."""
    if keep:
        os.makedirs(keep, exist_ok=True)
        yield Path(keep)
        return
    with tempfile.TemporaryDirectory(prefix="forestall-guest-") as folder:
        yield Path(folder)


def run(*words, fine=(0,), **options):
    """What a program here says; the bench ends where its exit code is not among the `fine`."""
    options.setdefault("timeout", MAKE_SECONDS)
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options
    )
    if done.returncode not in fine:
        sys.exit(f"{' '.join(words)[:200]} did not work:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


class Guest:
    """One image in `folder`, and the machine that runs it; ssh knows it by `config`. `host` is a
    module with the FILES, PACKAGES and SERVICES that it has beside Debian's own, and the MASKED."""

    def __init__(self, folder, host, suite=SUITE, memory_mib=1024):
        self.folder = folder
        self._memory_mib = memory_mib
        if not (folder / "root.img").exists():
            began = time.monotonic()
            self._make(host, suite)
            say(f"made in {time.monotonic() - began:.0f} s")
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self.config = folder / "ssh_config"
        self.config.write_text(CONFIG.format(name=NAME, port=self.port, folder=folder))
        self._machine = None

    def __enter__(self):
        began = time.monotonic()
        self._boot()
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        say(f"answers {time.monotonic() - began:.0f} s after its start")
        return self

    def __exit__(self, *_):
        self._machine.kill()
        self._machine.wait()

    def ask(self, command, **options):
        """What a shell command of root's in the guest says."""
        return run("ssh", "-F", str(self.config), f"root@{NAME}", command, **options)

    def settle(self):
        """Until all that starts has started, and systemd has once been asked what it will be."""
        self.ask("systemctl is-system-running --wait; systemctl show '*' >/dev/null")

    def send(self, path, to):
        """Copies a file into the guest."""
        run("scp", "-q", "-F", str(self.config), str(path), f"root@{NAME}:{to}")

    def fetch(self, path, to):
        """Copies a file of the guest."""
        run("scp", "-q", "-F", str(self.config), f"root@{NAME}:{path}", str(to))

    def _make(self, host, suite):
        root = self.folder / "root"
        # What an interrupted run left.
        shutil.rmtree(root, ignore_errors=True)
        for name in ("key", "key.pub"):
            (self.folder / name).unlink(missing_ok=True)
        source = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
        wanted = ",".join((PACKAGES, *host.PACKAGES))
        run(
            *("debootstrap", "--variant=minbase", f"--include={wanted}"),
            *(suite, str(root), source.splitlines()[0]),
        )
        for path, text in {**FILES, **host.FILES}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
            if text.startswith("#!"):
                (root / path).chmod(0o755)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "key"))
        run("chroot", str(root), "useradd", "-m", "-s", "/bin/sh", "audit")
        run("chroot", str(root), "systemctl", "enable", "systemd-networkd", "ssh", *host.SERVICES)
        run("chroot", str(root), "systemctl", "mask", *host.MASKED)
        for home, user in (("root", "root"), ("home/audit", "audit")):
            keys = root / home / ".ssh"
            keys.mkdir(mode=0o700, exist_ok=True)
            shutil.copy(self.folder / "key.pub", keys / "authorized_keys")
            run("chroot", str(root), "chown", "-R", user, f"/{home}/.ssh")
        for name in ("vmlinuz", "initrd.img"):
            shutil.copy(next((root / "boot").glob(f"{name}-*")), self.folder / name)
        with open(self.folder / "swap.img", "wb") as file:
            file.truncate(128 * 2**20)
        run("mkswap", str(self.folder / "swap.img"))
        known = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
        (self.folder / "known_hosts").write_text(f"{NAME} {known}")
        # The image's name comes last: it says that the rest is there.
        run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(self.folder / "half.img"), "2G")
        (self.folder / "half.img").rename(self.folder / "root.img")
        shutil.rmtree(root)

    def _boot(self):
        self._machine = subprocess.Popen(
            [
                "qemu-system-x86_64",
                *(
                    "-accel",
                    "tcg",
                    "-m",
                    "1024",
                    "-smp",
                    "1",
                    "-nodefaults",
                    "-display",
                    "none",
                    "-snapshot",
                ),
                *("-no-reboot", "-kernel", str(self.folder / "vmlinuz")),
                *("-initrd", str(self.folder / "initrd.img")),
                *("-append", APPENDED),
                *("-drive", f"file={self.folder}/root.img,if=virtio,format=raw"),
                *("-drive", f"file={self.folder}/swap.img,if=virtio,format=raw"),
                *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22"),
                *("-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci"),
                *("-serial", f"file:{self.folder}/console.log"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Linux shares processors among sessions: the guest has its own share.
            start_new_session=True,
        )

    def _wait(self):
        """Until a command of ours is run there."""
        deadline = time.monotonic() + BOOT_SECONDS
        words = ["ssh", "-F", str(self.config), "-o", "ConnectTimeout=60", f"root@{NAME}", "true"]
        while time.monotonic() < deadline and self._machine.poll() is None:
            if subprocess.run(words, capture_output=True, timeout=200).returncode == 0:
                return
            time.sleep(1)
        sys.exit(f"the guest did not come up; see {self.folder}/console.log (--keep)")
