"""A small bundle on disk, and a way to spoil it."""

import os

from forestall.evidence.bundle import BundleWriter
from tests.fakes.clock import FakeClock

AT = 1_700_000_000.0
PLENTY = 10**12


def writer(folder, **options):
    options = {"clock": FakeClock(AT), "free": lambda _: PLENTY, **options}
    return BundleWriter(folder, host="db1", subject="feed-sync.service", **options)


def sealed(folder, **options):
    """A bundle of three entries in two depths."""
    with writer(folder, **options) as bundle:
        bundle.add("process/status", b"Name:\tfeed-sync\n", source="/proc/7/status")
        bundle.add("host/meminfo", b"MemTotal: 1 kB\n", source="/proc/meminfo")
        bundle.add_json("verdict.json", {"kind": "leaking"}, source="forestall detect")
        bundle.missing("process/smaps_rollup: no right to read it")
        return bundle.seal()


def files(path):
    found = {}
    for inside, _, names in os.walk(path):
        for name in names:
            full = os.path.join(inside, name)
            with open(full, "rb") as file:
                found[os.path.relpath(full, path)] = file.read()
    return found


def change(path, data):
    os.chmod(path, 0o600)
    with open(path, "wb") as file:
        file.write(data)
