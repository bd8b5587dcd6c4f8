"""A real SSH server on loopback, with keys of its own, for tests and benches."""

import os
import pwd
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.servers import free_ports, listens, program, wait_for

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
PrintMotd no
LogLevel ERROR
SetEnv HOME={folder}/home
MaxStartups {max_startups}
{more}
"""

CLIENT = """\
Host {pattern}
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {folder}/{key}
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile /dev/null
"""

OWN_WORDS = {"plain": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """`config` is a client's configuration in which `host-*` and each behaviour is a host."""

    port: int
    folder: Path
    config: Path
    pid: int


def make_key(path):
    """A key pair without a passphrase; the public part."""
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(words, check=True, timeout=30, stdin=subprocess.DEVNULL)
    return Path(f"{path}.pub").read_text().strip()


@contextmanager
def ssh_server(folder, behaviours=OWN_WORDS, max_startups="1000:30:1000", more=""):
    """Run it. `behaviours` names hosts whose server answers with a command of its own (a key's
    forced command), or with what is asked for where that is None."""
    server = program("sshd")
    program("ssh-keygen")
    if os.geteuid() == 0:
        # The folder that the server locks itself into; its package's unit makes it at boot.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (port,) = free_ports(1)
    public = make_key(folder / "host_key")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}\n")
    # Bash reads its start-up file when sshd starts it, and what this user's own does or says (a
    # version manager that rebuilds its links, say) is no part of a test.
    (folder / "home").mkdir()
    user = pwd.getpwuid(os.geteuid()).pw_name
    keys, hosts = [], []
    for name, command in behaviours.items():
        forced = f'command="{command}" ' if command else ""
        keys.append(forced + make_key(folder / f"key-{name}"))
        fields = {"port": port, "user": user, "folder": folder, "key": f"key-{name}"}
        pattern = f"{name} host-* 127.0.0.1" if command is None else name
        hosts.append(CLIENT.format(pattern=pattern, **fields))
    (folder / "authorized_keys").write_text("\n".join(keys) + "\n")
    config = folder / "sshd_config"
    config.write_text(CONFIG.format(port=port, folder=folder, max_startups=max_startups, more=more))
    client = folder / "ssh_config"
    client.write_text("\n".join(hosts))
    log = folder / "sshd.log"
    with open(log, "wb") as out:
        child = subprocess.Popen(
            [server, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stderr=out
        )
    try:
        wait_for(lambda: listens(port), "sshd", child, log)
        yield Server(port=port, folder=folder, config=client, pid=child.pid)
    finally:
        child.terminate()
        child.wait(10)
