"""When systems stop getting fixes, and which kernel belongs to which minor release.

Dates: endoflife.date (MIT), read 2026-11; the end is that of ordinary maintenance, without a paid
extension (RHEL's ELS, Ubuntu's ESM); for Debian it is the end of LTS. Kernel builds: the release
table of insights-core (Apache-2.0). An unknown system has no entry, and nothing is said about it.
"""

import re
from datetime import UTC, datetime

ENDS = {
    ("rhel", "5"): "2017-03-31",
    ("rhel", "6"): "2020-11-30",
    ("rhel", "7"): "2024-06-30",
    ("rhel", "8"): "2029-05-31",
    ("rhel", "9"): "2032-05-31",
    ("centos", "6"): "2020-11-30",
    ("centos", "7"): "2024-06-30",
    ("centos", "8"): "2021-12-31",
    ("debian", "8"): "2020-06-30",
    ("debian", "9"): "2022-07-01",
    ("debian", "10"): "2024-06-30",
    ("debian", "11"): "2026-08-31",
    ("debian", "12"): "2028-06-10",
    ("ubuntu", "14.04"): "2019-04-02",
    ("ubuntu", "16.04"): "2021-04-02",
    ("ubuntu", "18.04"): "2023-05-31",
    ("ubuntu", "20.04"): "2025-05-31",
    ("ubuntu", "22.04"): "2027-04-01",
    ("ubuntu", "24.04"): "2029-05-31",
    ("ubuntu", "26.04"): "2031-04-30",
}

EL_BUILDS = {
    "3.10.0": {
        123: "7.0",
        229: "7.1",
        327: "7.2",
        514: "7.3",
        693: "7.4",
        862: "7.5",
        957: "7.6",
        1062: "7.7",
        1127: "7.8",
        1160: "7.9",
    }
}
"""Of closed majors only, whose last minor will stay the last."""

LAST_MINOR = {"7": "7.9"}


def end_of_maintenance(os_id: str | None, version: str | None) -> datetime | None:
    """The day a system stops getting ordinary fixes, None where it is not in the table."""
    if os_id is None or version is None:
        return None
    major = version.partition(".")[0]
    day = ENDS.get((os_id, version)) or ENDS.get((os_id, major))
    return datetime.fromisoformat(day).replace(tzinfo=UTC) if day else None


def minor_of_kernel(release: str | None) -> str | None:
    """`3.10.0-957.21.3.el7.x86_64` -> `7.6`; None for a kernel that is not in the table."""
    match = re.fullmatch(r"(\d+\.\d+\.\d+)-(\d+)(?:\.[\d.]+)?\.el\d+.*", release or "")
    if match is None:
        return None
    return EL_BUILDS.get(match[1], {}).get(int(match[2]))
