"""Bundle writers killed at random moments: a bundle is whole or it is not there."""

import os
import random
import subprocess
import sys
import textwrap
import time

from tests.fakes.clock import FakeClock

from forestall.evidence.bundle import BundleWriter
from forestall.evidence.retention import stored
from forestall.evidence.verify import verify

WRITER = textwrap.dedent(
    """
    import os, sys
    from forestall.clock import SystemClock
    from forestall.evidence.bundle import BundleWriter

    os.write(1, b"ready\\n")
    while True:
        with BundleWriter(sys.argv[1], host="db1", subject="s", clock=SystemClock()) as bundle:
            for number in range(6):
                bundle.add(f"process/{number}", os.urandom(50_000), source="test")
            os.write(1, bundle.seal().id.encode() + b"\\n")
    """
)


def test_after_a_kill_every_bundle_is_whole_and_every_sealed_one_is_there(tmp_path):
    """Twenty writers killed: what was sealed verifies, and a new writer removes the rest."""
    chance = random.Random(20241115)
    sealed: set[str] = set()
    leftover_count = 0
    for _ in range(20):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0, 0.25))
            process.kill()
            said = process.stdout.read()
        sealed |= {line for line in said.split("\n") if len(line) == 64}
        leftover_count += any(name.startswith(".") for name in os.listdir(tmp_path))
    found = stored(tmp_path)
    assert sealed <= {bundle.id for bundle in found}
    assert [verify(bundle.path) for bundle in found] == [[]] * len(found)
    assert sealed
    assert leftover_count > 5
    with BundleWriter(tmp_path, host="db1", subject="s", clock=FakeClock()) as bundle:
        bundle.seal()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
