"""Writes the reports of older and newer kernels beside this file: python tests/data/oom/write.py

From the repository's root. tests/unit/audit/oom/test_recorded.py holds the files to this program.
"""

import gzip
import lzma
import os

from tests.fakes import oom
from tests.fakes import oom_hosts as hosts

HERE = os.path.dirname(os.path.abspath(__file__))
PANIC_EL7 = "Out of memory: system-wide panic_on_oom is enabled"
PANIC_EL6 = "out of memory. panic_on_oom is selected"


def written() -> dict[str, bytes]:
    """Each file by its name below `written/`."""
    incident = oom.report(hosts.incident(), panic=PANIC_EL7)
    boot = "Linux version 3.10.0-957.el7.x86_64 (builder@example.com) #1 SMP"
    hung = [
        *oom.report(hosts.incident()),
        "INFO: task jbd2/dm-0-8:612 blocked for more than 120 seconds.",
        " [<ffffffff81780a19>] schedule+0x29/0x70",
        " [<ffffffff811dd5d1>] shrink_inactive_list+0x131/0x5d0",
        "Kernel panic - not syncing: hung_task: blocked tasks",
    ]
    texts = {
        "rhel6-java.messages": oom.syslog(oom.report(hosts.rhel6())),
        "rhel6-panic.console": oom.console(oom.report(hosts.rhel6(), panic=PANIC_EL6)),
        "rhel7-incident.vmcore-dmesg.txt": oom.stamped([boot, *incident]),
        "rhel7-hung-task.dmesg": oom.stamped(hung),
        "rhel7-docker.dmesg-T": oom.wall(hosts.docker_el7()),
        "rhel8-dirty-pod.messages": oom.syslog(hosts.pod_el8_dirty(), kernel_stamp=True),
        "rhel8-arm64.dmesg-r": oom.raw(oom.report(hosts.arm64_pages())),
        "el9-spared.journal.json": oom.journal_json(oom.report(hosts.el9_spared())),
        "el9-slab.console": oom.console(oom.report(hosts.el9_slab())),
        "el9-huge.dmesg": oom.stamped(oom.report(hosts.el9_huge())),
        "el7-i686-lowmem.dmesg": oom.stamped(oom.report(hosts.lowmem())),
        "ubuntu-tmpfs.dmesg": oom.stamped(oom.report(hosts.ubuntu_tmpfs())),
        "ubuntu-fragmented.dmesg": oom.stamped(oom.report(hosts.fragmented())),
        "ubuntu-unnamed.dmesg": oom.stamped(oom.report(hosts.unnamed_driver())),
    }
    files = {name: text.encode() for name, text in texts.items()}
    connections = oom.report(hosts.rhel8_connections())
    files["rhel8-connections.export.xz"] = lzma.compress(oom.journal_export(connections))
    files["rhel7-incident.messages.gz"] = gzip.compress(oom.syslog(incident).encode(), mtime=0)
    return files


def main() -> None:
    os.makedirs(os.path.join(HERE, "written"), exist_ok=True)
    for name, data in written().items():
        with open(os.path.join(HERE, "written", name), "wb") as file:
            file.write(data)


if __name__ == "__main__":
    main()
