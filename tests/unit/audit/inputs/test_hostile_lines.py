"""Text that was written to make a pattern try again from each of its places.

Each case took minutes, or would have taken days, where a pattern gave back what it had taken; the
test's own time limit is what fails.
"""

import pytest

from forestall.audit.collect.stream import read_answer
from forestall.audit.inputs import prometheus, sos_text
from forestall.audit.inputs.gather import Gathered
from forestall.audit.inputs.sos_recording import SosReport, recording_of
from forestall.audit.inputs.sos_units import shown_units
from forestall.audit.tables.sources import alma
from forestall.sense.systemd import parse_span

pytestmark = pytest.mark.timeout(20)

LONG = 400_000


@pytest.mark.parametrize("unit", ["A", "a", "-", ":", "1", " ", "\t", "\n", " on /", "/ ", 'A="'])
def test_text_of_a_report_takes_time_in_proportion(unit: str) -> None:
    """No line of a report, however it repeats itself, holds its reader up."""
    text = unit * (LONG // len(unit)) + "\x01"
    assert len(list(sos_text.pairs(text))) <= 1
    assert sos_text.value_of(text, "Version") is None
    assert sos_text.block_tree(text) == []
    assert shown_units({}, text) == ""
    assert sos_text.sysctls(text).values == {}


@pytest.mark.parametrize(
    ("place", "unit"),
    [
        ("sos_commands/filesys/mount_-l", "x on / type a "),
        ("sos_commands/filesys/df_-al", ":"),
        ("sos_commands/process/ps_axo_pid_ppid_user_group_lwp_nlwp_start_time_comm_cgroup", "1"),
    ],
)
def test_a_report_with_such_a_line_is_read(place: str, unit: str) -> None:
    """A whole report with one endless line of a command is read, with all else that it holds."""
    found = Gathered()
    found.keep("proc/meminfo", b"MemTotal: 1024 kB\n", 0.0)
    found.keep(place, b"PID PPID CGROUP\n1 0 " + unit.encode() * (LONG // len(unit)), 0.0)
    assert recording_of(SosReport(found), "web01").files["proc/meminfo"]


def test_refusals_of_a_hostile_host_are_read() -> None:
    """What a host says on standard error is searched once for a path and once for a refusal."""
    mark = b"\n@0123456789abcdef "
    body = (
        b"/ " * (LONG // 2)
        + b"\ncat: '/etc/shadow': Permission denied\nfind: /x/: Permission denied"
    )
    answer = mark[1:] + b"forestall 1 plain" + mark + b"denied\n" + body + mark + b"end 1"
    assert read_answer(answer).denied == {"etc/shadow", "x"}


def test_an_alert_rule_is_searched_once() -> None:
    """The longest expression that is looked at names its metrics of memory without delay."""
    found = prometheus.metrics_of_memory("a" * 9000 + ' + node_memory_Free_bytes{job="a}b"} > 1')
    assert found == ['node_memory_Free_bytes{job="a}b"}']
    assert prometheus.metrics_of_memory("a{" * 5000) == []


def test_an_advisory_of_blanks_is_read() -> None:
    """The titles of an advisory are looked for line by line."""
    document = {
        "id": "ALSA-2024:0001",
        "published": "2024-01-01T00:00:00Z",
        "details": " " * LONG + "\n * kernel: hugetlb: use after free (CVE-2024-12345)\n",
        "affected": [
            {
                "package": {"name": "kernel", "ecosystem": "AlmaLinux:9"},
                "ranges": [{"events": [{"introduced": "0"}, {"fixed": "5.14.0-1.el9"}]}],
            }
        ],
    }
    found = alma(document)
    assert found is not None
    assert [flaw.cve for flaw in found[1]] == ["CVE-2024-12345"]


def test_a_time_span_is_short() -> None:
    """What is longer than systemd ever prints of a span is none."""
    assert parse_span("1" * LONG) is None
    assert parse_span("1min 30s") == 90.0
