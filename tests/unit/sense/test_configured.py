"""Settings files: drop-ins, kernel dumps, user limits."""

import pytest
from tests.fakes.host import GIB, MIB, FakeHost

from forestall.model.facts import CoredumpFacts, KdumpFacts, UserLimit
from forestall.sense import configured
from forestall.sense.notes import Notes


def _notes():
    return Notes({}, {})


def test_drop_ins_in_systemds_order(tmp_path):
    """By name whatever their folder, /etc's over another's of the same name, all over the file."""
    fake = FakeHost(tmp_path)
    fake.write("etc/systemd/coredump.conf", "[Coredump]\nStorage=none\nMaxUse=1G\n#KeepFree=9G\n")
    fake.write("usr/lib/systemd/coredump.conf", "[Coredump]\nMaxUse=9G\nKeepFree=9G\n")
    fake.write("usr/lib/systemd/coredump.conf.d/10-a.conf", "[Coredump]\nStorage=journal\n")
    fake.write("run/systemd/coredump.conf.d/20-b.conf", "[Coredump]\nProcessSizeMax=2G\n")
    fake.write("usr/lib/systemd/coredump.conf.d/20-b.conf", "[Coredump]\nProcessSizeMax=7G\n")
    fake.write("etc/systemd/coredump.conf.d/05-c.conf", "[Coredump]\nStorage=external\n")
    fake.write("etc/systemd/coredump.conf.d/notes.txt", "[Coredump]\nStorage=none\n")
    assert configured.read_coredump(fake.host(), _notes()) == CoredumpFacts(
        storage="journal", process_size_max_bytes=2 * GIB, max_use_bytes=GIB
    )


def test_an_empty_drop_in_masks_one_of_the_same_name(tmp_path):
    """That is what the link to /dev/null is for."""
    fake = FakeHost(tmp_path).write("etc/systemd/coredump.conf.d/10-a.conf", "")
    fake.write("usr/lib/systemd/coredump.conf.d/10-a.conf", "[Coredump]\nStorage=none\n")
    assert configured.read_coredump(fake.host(), _notes()) == CoredumpFacts()


def test_defaults_are_not_absence(tmp_path):
    """A system without the file keeps the defaults; without systemd nothing can be told."""
    fake, notes = FakeHost(tmp_path), _notes()
    assert configured.read_coredump(fake.host(), notes) is None
    assert notes.unseen["coredump"]
    fake.write("etc/systemd/system.conf", "")
    assert configured.read_coredump(fake.host(), _notes()) == CoredumpFacts()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512M", 512 * MIB),
        ("1.5G", 3 * GIB // 2),
        ("2T", 2048 * GIB),
        ("4096", 4096),
        ("0", 0),
        ("infinity", 2**64 - 1),
        ("10%", None),
        ("", None),
        (None, None),
        ("9" * 400, None),
    ],
)
def test_sizes_of_systemd(text, size):
    """Powers of 1024; a share of the disk is not a size."""
    assert configured.parse_size(text) == size


def test_the_journals_limit_in_memory(tmp_path):
    """Not set is None without a reason, no file at all is None with one."""
    fake, notes = FakeHost(tmp_path), _notes()
    assert configured.read_journal_runtime_max(fake.host(), notes) is None
    assert notes.unseen
    fake.write("etc/systemd/journald.conf", "[Journal]\n#RuntimeMaxUse=\n")
    notes = _notes()
    assert configured.read_journal_runtime_max(fake.host(), notes) is None
    assert not notes.unseen
    fake.write("etc/systemd/journald.conf", "[Journal]\nRuntimeMaxUse = 64M\n")
    assert configured.read_journal_runtime_max(fake.host(), notes) == 64 * MIB


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("path /var/crash\ncore_collector makedumpfile -l --message-level 1 -d 31\n", {}),
        ("#path /elsewhere\n", {}),
        ("ext4 UUID=8a1\npath /dumps\n", {"target": "ext4", "address": "UUID=8a1"}),
        ("nfs store:/export\n", {"target": "nfs", "address": "store:/export"}),
        ("ssh\tkdump@store # there\n", {"target": "ssh", "address": "kdump@store"}),
        ("core_collector cp\n", {"filtered": False}),
        ("core_collector makedumpfile -l\n", {"filtered": False}),
        ("core_collector makedumpfile -c -d 1\n", {"filtered": False}),
        ("core_collector makedumpfile -F -l -d 16,31\n", {"filtered": True}),
        ("final_action poweroff\n", {"final_action": "poweroff"}),
    ],
)
def test_kdump_of_rhel(text, facts):
    """The target's own word; the default dumps to /var/crash without what no one needs."""
    path = "/dumps" if "/dumps" in text else "/var/crash"
    assert configured.parse_kdump_conf(text.encode()) == KdumpFacts(
        **{"path": path, "filtered": True, **facts}
    )


@pytest.mark.parametrize(
    ("place", "target", "address", "path"),
    [
        ("file:///var/crash", None, None, "/var/crash"),
        ("/var/crash", None, None, "/var/crash"),
        ("ssh://kdump:hunter2@store/dumps", "ssh", "kdump@store", "/dumps"),
        ("nfs://store/export/dumps", "nfs", "store", "/export/dumps"),
    ],
)
def test_kdump_of_sles(place, target, address, path):
    """A URL in a file for the shell; its password stays behind."""
    found = configured.parse_kdump_of_suse(f'KDUMP_SAVEDIR="{place}"\n'.encode())
    assert (found.target, found.address, found.path) == (target, address, path)
    assert (found.filtered, found.final_action) == (True, "reboot")
    assert "hunter2" not in repr(found)


def test_rhels_file_of_the_same_name_is_not_sles(tmp_path):
    """/etc/sysconfig/kdump without KDUMP_SAVEDIR says nothing about a place."""
    assert configured.parse_kdump_of_suse(b'KDUMP_COMMANDLINE=""\nKEXEC_ARGS="-s"\n') is None


def test_kdump_of_debian_and_none_at_all(tmp_path):
    """The third file is read where the first two are not there, and that is said."""
    fake, notes = FakeHost(tmp_path), _notes()
    assert configured.read_kdump(fake.host(), notes) is None
    assert "not installed" in notes.unseen["kdump"]
    fake.write(
        "etc/default/kdump-tools",
        'USE_KDUMP=1\n#KDUMP_COREDIR="/x"\nSSH="root@store"\nMAKEDUMP_ARGS="-c -d 0"\n',
    )
    notes = _notes()
    assert configured.read_kdump(fake.host(), notes) == KdumpFacts(
        target="ssh", address="root@store", path="/var/crash", filtered=False
    )
    assert notes.sources == {"/kdump": "etc/default/kdump-tools"}


def test_user_limits_in_pams_order(tmp_path):
    """The file, then its folder by name; a line of other than four words says nothing."""
    fake, notes = FakeHost(tmp_path), _notes()
    assert configured.read_user_limits(fake.host(), notes) is None
    assert notes.unseen["user_limits"]
    fake.write("etc/security/limits.conf", "# *  soft core 0\n*  hard  core 0 # none\nbroken\n")
    fake.write("etc/security/limits.d/20-db.conf", "postgres - memlock unlimited\n")
    fake.write("etc/security/limits.d/10-x.conf", "@web soft as 4194304\n")
    found = configured.read_user_limits(fake.host(), _notes())
    assert found == (
        UserLimit(domain="*", kind="hard", item="core", value="0"),
        UserLimit(domain="@web", kind="soft", item="as", value="4194304"),
        UserLimit(domain="postgres", kind="-", item="memlock", value="unlimited"),
    )


def test_more_user_limits_than_are_told_is_said(tmp_path):
    """A generated file of many lines is cut, and not silently."""
    fake, notes = FakeHost(tmp_path), _notes()
    fake.write("etc/security/limits.conf", "u soft core 0\n" * 2000)
    assert len(configured.read_user_limits(fake.host(), notes)) == 1000
    assert "2000 lines" in notes.unseen["user_limits"]


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("FTP=ada:hunter2@store", "ada@store"),
        ("FTP=ada:hun@ter2@store", "ada@store"),
        ("FTP=ftp://ada:hun@ter2@store/dumps", "ftp://ada@store/dumps"),
        ("NFS=store:/ex@port", "store:/ex@port"),
    ],
)
def test_no_password_of_a_dump_server(line, address):
    """Where dumps go is told without the password, whatever is in that; a path keeps its @."""
    assert configured.parse_kdump_tools(line.encode()).address == address
