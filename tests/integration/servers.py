"""Real servers for a test: each on free loopback ports, in a folder of its own, gone afterwards."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

POSTGRES_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
READY_SECONDS = 30.0
KNOWN = (("guard", ""), ("postgres", ""))


def answers_to_signals():
    """For what is to be ended by a signal, before it is started (`preexec_fn`): a test run in the
    background ignores SIGINT, one under nohup SIGHUP, and its children would inherit that."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Opened:
    """Clients made by a test, closed at its end whatever happened."""

    def __init__(self):
        self._all = []

    def __call__(self, client):
        self._all.append(client)
        return client

    def close(self):
        for client in self._all:
            client.close()


def program(name):
    """The path of an installed program; the test is skipped where there is none."""
    extra = os.pathsep.join(["/usr/sbin", *map(str, reversed(POSTGRES_FOLDERS))])
    found = shutil.which(name) or shutil.which(name, path=extra)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def free_ports(count):
    """Ports of loopback that nobody listens on now."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def wait_for(held, what, child=None, log=None):
    """Wait until `held()` is true; what raises OSError is not true yet."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            if held():
                return
        except OSError:
            pass
        ended = child is not None and child.poll() is not None
        if ended or time.monotonic() > deadline:
            said = Path(log).read_text(errors="replace")[-3000:] if log else ""
            raise AssertionError(f"{what} is not ready (ended: {ended})\n{said}")
        time.sleep(0.05)


def listens(port):
    """Whether somebody takes connections on this port."""
    socket.create_connection(("127.0.0.1", port), 1).close()
    return True


def takes(path):
    """Whether somebody takes connections on this unix socket; bound is not yet listened to."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
    return True


@contextmanager
def running(words, folder, name, *, ready, as_user=None, environ=None):
    """A server process; ended and reaped at the end, whatever happened."""
    log = Path(folder) / f"{name}.log"
    with log.open("wb") as file:
        child = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=folder,
            user=as_user,
            group=None if as_user is None else pwd.getpwnam(as_user).pw_gid,
            extra_groups=None if as_user is None else [],
            env={**os.environ, **(environ or {})},
            start_new_session=True,
        )
        try:
            wait_for(ready, name, child, log)
            yield child
        finally:
            child.send_signal(signal.SIGCONT)
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def etcd(folder, *, port=None):
    """One etcd; yields the url of its clients."""
    words = program("etcd")
    client, peer = free_ports(2)
    client = port or client
    url, peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    arguments = [words, "--name", "e1", "--data-dir", str(Path(folder) / "etcd")]
    arguments += ["--listen-client-urls", url, "--advertise-client-urls", url]
    arguments += ["--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url]
    arguments += ["--initial-cluster", f"e1={peer_url}", "--unsafe-no-fsync"]
    if b"unsafe-no-fsync" not in subprocess.run([words, "--help"], capture_output=True).stdout:
        arguments.pop()
    with running(arguments, folder, "etcd", ready=lambda: _etcd_serves(client)):
        yield url


def _etcd_serves(port):
    with socket.create_connection(("127.0.0.1", port), 1) as asked:
        asked.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        return b'"true"' in asked.recv(4096)


@contextmanager
def haproxy(folder, ports, *, level="admin"):
    """One HAProxy with the backend `db` of a server per port; yields its socket's path."""
    path = str(Path(folder) / "haproxy.sock")
    (front,) = free_ports(1)
    servers = "\n".join(f"  server pg{n} 127.0.0.1:{port}" for n, port in enumerate(ports, 1))
    config = Path(folder) / "haproxy.cfg"
    config.write_text(
        f"global\n  stats socket {path} mode 600 level {level}\n  stats timeout 2s\n"
        "defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n"
        "  default-server check inter 200ms fall 2 rise 1\n"
        f"frontend in\n  bind 127.0.0.1:{front}\n  default_backend db\n"
        f"backend db\n{servers}\n"
    )
    words = [program("haproxy"), "-db", "-f", str(config)]
    with running(words, folder, "haproxy", ready=lambda: listens(front)):
        yield path, front


def unprivileged():
    """The user a PostgreSQL can run as: it refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("no unprivileged user to run PostgreSQL as")


def hand_over(folder, user):
    """Give a folder to the user, and let it pass through those above."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        for above in list(folder.parents)[:-2]:
            if above.stat().st_uid == os.geteuid():
                above.chmod(above.stat().st_mode | 0o011)


@contextmanager
def postgresql(folder):
    """One PostgreSQL; yields its port. Trusts everybody on loopback."""
    initdb, server = program("initdb"), program("postgres")
    user = unprivileged()
    hand_over(folder, user)
    (port,) = free_ports(1)
    data = Path(folder) / "data"
    group = None if user is None else pwd.getpwnam(user).pw_gid
    made = subprocess.run(
        [
            initdb,
            "-D",
            str(data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-N",
            "--no-locale",
            "-E",
            "UTF8",
        ],
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
    )
    assert made.returncode == 0, made.stderr
    words = [server, "-D", str(data), "-p", str(port), "-k", str(folder), "-c", "fsync=off"]
    words += ["-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=16MB"]
    with running(
        words,
        folder,
        "postgres",
        as_user=user,
        ready=lambda: (Path(folder) / f".s.PGSQL.{port}").exists() and listens(port),
    ):
        yield port


@contextmanager
def pgbouncer(folder, port, *, auth="trust", users=KNOWN, pool_mode="transaction", more=""):
    """One pgbouncer before the PostgreSQL at `port`; yields its port and its socket's path."""
    words = program("pgbouncer")
    user = unprivileged()
    hand_over(folder, user)
    (own,) = free_ports(1)
    folder = Path(folder)
    userlist = folder / "userlist.txt"
    userlist.write_text("".join(f'"{name}" "{secret}"\n' for name, secret in users))
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\napp = host=127.0.0.1 port={port} dbname=postgres user=postgres\n"
        f"other = host=127.0.0.1 port={port} dbname=postgres user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {own}\nunix_socket_dir = {folder}\n"
        f"auth_type = {auth}\nauth_file = {userlist}\nadmin_users = guard\n"
        f"pool_mode = {pool_mode}\nlogfile = {folder}/bouncer.log\n{more}"
    )
    path = folder / f".s.PGSQL.{own}"
    with running(
        [words, str(config)],
        folder,
        "pgbouncer",
        as_user=user,
        ready=lambda: takes(path) and listens(own),
    ):
        yield own, str(path)


@contextmanager
def supervisord(folder, programs, *, user=None, password=None):
    """One supervisord with `programs` (name: command); yields the url of its socket."""
    folder = Path(folder)
    path = folder / "sup.sock"
    secret = f"username={user}\npassword={password}\n" if user else ""
    config = folder / "supervisord.conf"
    config.write_text(
        f"[unix_http_server]\nfile={path}\nchmod=0700\n{secret}"
        f"[supervisord]\nlogfile={folder}/supervisord-own.log\npidfile={folder}/sup.pid\n"
        "nodaemon=true\nminfds=200\nminprocs=50\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = "
        "supervisor.rpcinterface:make_main_rpcinterface\n"
        + "".join(
            f"[program:{name}]\ncommand={command}\nstartsecs=1\nautorestart=true\n"
            f"stdout_logfile=NONE\nstderr_logfile=NONE\n"
            for name, command in programs.items()
        )
    )
    words = [program("supervisord"), "-n", "-c", str(config)]
    with running(words, folder, "supervisord", ready=lambda: _unix(path)):
        yield f"unix://{path}"


def _unix(path):
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(str(path))
    return True


PYTHON = sys.executable
