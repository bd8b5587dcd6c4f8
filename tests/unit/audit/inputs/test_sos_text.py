"""Commands' output of many years, cut, localised or between error messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forestall.audit.inputs import sos_text


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("vm.swappiness = 60\n", {"vm.swappiness": "60"}),
        ("vm.swappiness=60\r\n", {"vm.swappiness": "60"}),
        ("vm.swappiness: 60\n", {"vm.swappiness": "60"}),
        ("vm.reserve = 256\t256\t32\t0\n", {"vm.reserve": "256\t256\t32\t0"}),
        ("kernel.core_pattern = \n", {"kernel.core_pattern": ""}),
        ("kernel.core_pattern = |/bin/x a=b: c\n", {"kernel.core_pattern": "|/bin/x a=b: c"}),
        ("fs.x = one\n\ttwo\nvm.y = 3\n", {"fs.x": "one\ntwo", "vm.y": "3"}),
        ("kernel.x = one\nkernel.x = two\n", {"kernel.x": "one\ntwo"}),
        ("vm.y = 3\nvm.y = 3\n", {"vm.y": "3"}),
        ('sysctl: reading key "net.x"\nvm.a = 1\n', {"vm.a": "1"}),
        ('vm.a = 1\nerror: "Invalid argument" reading key "fs.x"\nvm.b = 2\n',
         {"vm.a": "1", "vm.b": "2"}),
        ("net.ipv4.ip_forward = 1\n", {}),
    ],
)  # fmt: skip
def test_sysctl_of_forty_years(text, values):
    """`=`, `:`, tabs, empty and long values, values of several lines, errors in between."""
    assert sos_text.sysctls(text).values == values


def test_the_settings_that_rules_read_are_of_four_families():
    """user.max_user_namespaces decides whether a known fault can be reached."""
    text = "net.core.somaxconn = 4096\nuser.max_user_namespaces = 0\n"
    assert sos_text.sysctls(text).values == {"user.max_user_namespaces": "0"}


def test_a_setting_that_was_refused_is_known_as_that():
    """procps and its `error:` both say which."""
    text = (
        "sysctl: permission denied on key 'vm.mmap_rnd_bits'\n"
        "error: permission denied on key 'fs.protected_fifos'\nvm.a = 1\n"
    )
    told = sos_text.sysctls(text)
    assert told.denied == {"vm.mmap_rnd_bits", "fs.protected_fifos"}
    assert told.values == {"vm.a": "1"}


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Fri Nov 15 08:05:00 UTC 2024\n", 1731657900.0),
        ("Fri 15 Nov 2024 08:05:00 AM UTC\n", 1731657900.0),
        ("Fri Nov 15 08:05:00 PM UTC 2024\n", 1731701100.0),
        ("Fri Nov 15 12:05:00 AM UTC 2024\n", 1731629100.0),
        (" Local time: Fri 2024-11-15 09:05 CET\n Universal time: Fri 2024-11-15 08:05:00 UTC\n",
         1731657900.0),
        ("Fri Nov 15 09:05:00 CET 2024\n", None),
        ("Fr 15. Nov 08:05:00 UTC 2024\n", None),
        ("ven. 15 nov. 2024 08:05:00 UTC\n", None),
        ("", None),
    ],
)  # fmt: skip
def test_only_a_date_that_is_sure_is_used(text, at):
    """English and UTC; three letters of another zone mean several."""
    assert sos_text.collected_at(text) == at


def test_ps_by_its_header():
    """Columns by name; threads and lines that are no process are passed over."""
    text = (
        "warning: bad syntax\nUSER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND\n"
        "a 7 0 0 1 2 ? Ss Nov01 0:00 /bin/x --one  two\na - 0.0 - - - - R Nov01 0:00 -\nwhat\n"
        "F S UID PID PPID LWP C NLWP PRI NI ADDR SZ WCHAN STIME TTY TIME CMD\n"
        "4 S 26 9 7 9 0 3 80 0 - 5 ep Nov01 ? 00:00:00 y\n"
    )
    one, two = sos_text.ps_rows(text)
    assert (one.pid, one.rss_bytes, one.command) == (7, 2048, "/bin/x --one  two")
    assert (two.pid, two.parent_pid, two.uid, two.thread_count) == (9, 7, 26, 3)


def test_ps_with_a_name_of_several_words_and_a_cgroup():
    """Only the last word is the cgroup; `-` is none."""
    text = (
        "PID PPID USER GROUP LWP NLWP START COMMAND CGROUP\n"
        "7 1 a a 7 1 Nov01 tmux: server 0::/user.slice/a.scope\n8 2 a a 8 1 Nov01 kworker/0:1 -\n"
    )
    one, two = sos_text.ps_rows(text)
    assert (one.name, one.cgroup) == ("tmux: server", "0::/user.slice/a.scope")
    assert (two.name, two.cgroup) == ("kworker/0:1", None)
    assert (one.command, two.command) == (None, None)


def test_names_of_a_listing():
    """`ls -lanR` and the newer `ls -alZR`: of one folder alone, links by their own name."""
    text = (
        "/boot:\ntotal 1\n-rw-r--r--. 1 0 0 5 Nov 14 2024 vmlinuz-1\n"
        "-rw-r--r--. 1 0 0 system_u:object_r:boot_t:s0 5 Nov 14 2024 vmlinuz-2\n"
        "lrwxrwxrwx. 1 0 0 5 Nov 14 2024 vmlinuz-l -> vmlinuz-1\n\n/boot/x:\n"
        "-rw-r--r--. 1 0 0 5 Nov 14 2024 vmlinuz-3\n"
    )
    assert sos_text.listed_names(text, "/boot") == ["vmlinuz-1", "vmlinuz-2", "vmlinuz-l"]


def test_disks_of_both_forms_of_lsblk():
    """A volume over two disks lies on both; dm's number is the minor one."""
    tree = (
        "NAME MAJ:MIN RM SIZE RO TYPE MOUNTPOINT\nsda 8:0 0 1G 0 disk\n`-sda1 8:1 0 1G 0 part\n"
        "  `-vg-a (dm-0) 253:0 0 1G 0 lvm /\n"
        "sdb 8:16 0 1G 0 disk\n`-vg-a (dm-0) 253:0 0 1G 0 lvm /\n"
    )
    found = {block.name: block for block in sos_text.block_tree(tree)}
    assert found["dm-0"].parents == ("sda1", "sdb")
    assert found["sda1"].parents == ("sda",)
    rows = (
        'NAME="vg-a" KNAME="dm-0" TYPE="lvm" PKNAME="sda1" ROTA="1"\n'
        'NAME="vg-a" KNAME="dm-0" TYPE="lvm" PKNAME="sdb" ROTA="1"\n'
    )
    (block,) = sos_text.blocks(rows)
    assert (block.parents, block.rotational, block.given_name) == (("sda1", "sdb"), True, "vg-a")


def test_disks_that_rotate():
    """lsblk -t of sos 4.0: the column by its name, with or without lines of a tree."""
    text = (
        "NAME   ALIGNMENT MIN-IO OPT-IO PHY-SEC LOG-SEC ROTA SCHED RQ-SIZE  RA WSAME\n"
        "sda            0    512      0     512     512    1 bfq       256 128    0B\n"
        "└─sda1         0    512      0     512     512    1 bfq       256 128    0B\n"
        "nvme0n1        0    512      0     512     512    0           256 128    0B\n"
    )
    assert sos_text.rotating(text) == {"sda": True, "sda1": True, "nvme0n1": False}


def test_trees_of_systemctl_status():
    """Processes by the unit that holds them, and below one of its own cgroups."""
    text = (
        "● a.service - A\n   CGroup: /system.slice/a.service\n           ├─7 /bin/a\n"
        "           └─8 /bin/b\n\n● b.service\n   CGroup: /system.slice/b.service\n"
        "           └─payload\n             └─9 /bin/c\n\nNov 15 10 words\n"
    )
    assert sos_text.unit_processes(text) == {
        7: "/system.slice/a.service",
        8: "/system.slice/a.service",
        9: "/system.slice/b.service/payload",
    }


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_no_text_raises(text):
    """Whatever a command printed."""
    sos_text.sysctls(text)
    list(sos_text.ps_rows("PID PPID COMMAND\n" + text))
    sos_text.unit_processes("CGroup: /a\n" + text)
    sos_text.collected_at(text)
    sos_text.listed_names("/boot:\n" + text, "/boot")
    sos_text.blocks(text)
    sos_text.block_tree(text)
    sos_text.uname(text)
    list(sos_text.package_lines(text))


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("0:10", 10), ("183:32", 11012), ("00:01:33", 93), ("2-03:04:05", 183845), ("-", None)],
)
def test_the_processor_time_of_ps(time, seconds):
    """Minutes of the old formats have no hours, and days stand before a dash."""
    text = f"USER PID %CPU RSS STAT START TIME COMMAND\nroot 7 0.0 4 S 10:00 {time} /bin/x y\n"
    (row,) = sos_text.ps_rows(text)
    assert (row.cpu_seconds, row.command) == (seconds, "/bin/x y")


def test_a_start_of_five_words_and_a_drawn_tree_are_no_part_of_the_command():
    """`ps -o lstart` has more words than headings; `ps f` draws who started whom."""
    text = (
        "F S   UID     PID    PPID ADDR    SZ WCHAN  STARTED TT           TIME CMD\n"
        "0 S   100     398       1    - 53837 do_epo Thu Nov 26 15:23:21 2026 ?  00:00:06"
        " |   \\_ /bin/x y\n"
    )
    (row,) = sos_text.ps_rows(text)
    assert (row.pid, row.uid, row.cpu_seconds, row.command) == (398, 100, 6, "/bin/x y")
