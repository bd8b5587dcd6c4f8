"""A recording answers as the host would have."""

import os

from tests.fakes.host import FakeHost

from forestall.sense.recording import RecordedHost, Recording, command_name, copied_host


def test_commands_are_kept_under_their_first_two_words():
    """Without dashes, so that they make a file's name."""
    assert command_name(("systemctl", "--version")) == "systemctl-version"
    assert command_name(("df", "-P", "-k")) == "df-P"


def test_files_links_names_and_folders():
    """What was taken is there, with each folder on the way; the rest is absent or denied."""
    host = RecordedHost(
        Recording(
            files={"proc/1/stat": b"1 (init)", "boot/vmlinuz-1": b"", "run/systemd/system/": b""},
            links={"dev/mapper/vg-a": "../dm-0"},
            denied=frozenset({"root/anaconda-ks.cfg"}),
        )
    )
    assert host.pids() == [1]
    assert host.read_text("proc/1/stat") == "1 (init)"
    assert (host.names("boot"), host.names("proc")) == (["vmlinuz-1"], ["1"])
    assert host.is_folder("run/systemd/system")
    assert host.names("run/systemd/system") == []
    assert host.link("dev/mapper/vg-a") == "../dm-0"
    assert host.names("dev") == ["mapper"]
    assert host.was_denied("root/anaconda-ks.cfg")
    assert host.exists("root/anaconda-ks.cfg")
    assert (host.read_bytes("etc/fstab"), host.names("etc")) == (None, None)
    assert not host.exists("etc/fstab")
    assert host.space("/") is None


def test_a_name_that_is_no_number_of_a_process_is_none():
    """A hostile recording has no process of a million digits."""
    host = RecordedHost(Recording(files={"proc/" + "9" * 5000 + "/stat": b"", "proc/7/stat": b""}))
    assert host.pids() == [7]


def test_answers_and_problems_of_commands():
    """The answer, else the collector's own words, else that nothing was recorded."""
    host = RecordedHost(
        Recording(files={}, commands={"df-P": b"x"}, problems={"kcarectl-uname": "not there"})
    )
    assert host.run_command(("df", "-P", "-k"), 1.0) == (0, b"x", None)
    assert host.run_command(("kcarectl", "--uname"), 1.0).problem == "not there"
    assert host.run_command(("rpm", "-qa"), 1.0).problem == "rpm -qa was not recorded"


def test_a_recorded_file_can_be_read_as_a_descriptor():
    """From its beginning, as a file would be."""
    host = RecordedHost(Recording(files={"proc/stat": b"btime 1\n"}))
    descriptor = host.open("proc/stat")
    try:
        assert os.read(descriptor, 100) == b"btime 1\n"
    finally:
        os.close(descriptor)
    assert host.open("proc/none") is None


def test_a_copied_tree_has_its_answers_in_a_folder(tmp_path):
    """commands/NAME is what a command said; another was not recorded."""
    FakeHost(tmp_path).write("commands/systemctl-version", "systemd 219\n")
    host = copied_host(str(tmp_path))
    assert host.run_command(("systemctl", "--version"), 1.0).stdout == b"systemd 219\n"
    assert host.run_command(("systemctl", "show"), 1.0).problem == (
        "systemctl show was not recorded"
    )
    assert (host.live, host.origin) == (False, "facts")


def test_a_copied_tree_lists_its_processes_where_a_list_came_with_it(tmp_path):
    """Of a copy without a list, or that lacks what is on it, nobody knows what else ran."""
    fake = FakeHost(tmp_path).process(1, "systemd").process(7, "sshd")
    host = copied_host(str(tmp_path))
    assert not host.lists("proc")
    fake.write("commands/ls-proc", "1\n7\n")
    assert host.lists("proc")
    fake.remove("proc/7")
    assert not host.lists("proc")


def test_a_tree_with_the_kernels_own_proc_is_no_copy():
    """A container that has its host mounted (--root /host) sees all that runs there."""
    host = copied_host("/")
    assert host.lists("proc")
    assert not host.lists("boot")


def test_half_a_recording_lists_what_it_says_it_does():
    """A whole one lists everything."""
    half = RecordedHost(Recording(files={}, listed=frozenset({"proc"})))
    assert (half.lists("proc"), half.lists("boot")) == (True, False)
    assert RecordedHost(Recording(files={}, complete=True)).lists("boot")
