"""Kernels that run, could be booted, and are patched."""

import pytest
from tests.fakes.host import FakeHost

from forestall.sense import kernel
from forestall.sense.notes import Notes
from forestall.sense.recording import RecordedHost, Recording

EL7 = "3.10.0-957.el7.x86_64"


def _notes():
    return Notes({}, {})


def test_kernels_are_the_images_of_boot_and_rescue_images_stay_named(tmp_path):
    """Copies, checksums, initial RAM disks and names without a release are no kernels."""
    fake = FakeHost(tmp_path)
    for name in (
        f"vmlinuz-{EL7}",
        "vmlinuz-3.10.0-1160.el7.x86_64",
        f"vmlinuz-{EL7}.old",
        f".vmlinuz-{EL7}.hmac",
        f"vmlinuz-{EL7}.hmac",
        f"initramfs-{EL7}.img",
        "initrd.img-6.1.0-28-amd64",
        "vmlinuz-0-rescue-5f2e0c9d",
        "vmlinuz-lts",
        "vmlinuz",
        f"System.map-{EL7}",
    ):
        fake.write(f"boot/{name}", b"")
    notes = _notes()
    assert kernel.read_installed(fake.host(), notes) == (
        "0-rescue-5f2e0c9d",
        "3.10.0-1160.el7.x86_64",
        EL7,
    )
    assert notes == Notes({}, {})


def test_without_names_in_boot_the_modules_tell(tmp_path):
    """Alpine's image has no release in its name; a folder that DKMS left behind is no kernel."""
    fake = FakeHost(tmp_path).write("boot/vmlinuz-lts", b"")
    fake.write("lib/modules/6.6.1-0-lts/kernel/fs/x.ko", b"")
    fake.write("lib/modules/6.5.0-0-lts/updates/x.ko", b"")
    notes = _notes()
    assert kernel.read_installed(fake.host(), notes) == ("6.6.1-0-lts",)
    assert notes.sources == {"/installed_kernels": "/lib/modules"}


def test_no_kernel_anywhere_is_unknown_with_a_reason(tmp_path):
    """A machine whose kernel comes from outside has an empty /boot."""
    notes = _notes()
    assert kernel.read_installed(FakeHost(tmp_path).host(), notes) is None
    assert "boot" in notes.unseen["installed_kernels"]


def test_packages_of_a_recording_tell_where_boot_was_not_listed():
    """rpm's names to releases; a removed Debian package is none, nor is a meta-package."""
    rpms = (
        b"kernel-3.10.0-957.el7.x86_64\nkernel-headers-3.10.0-1160.el7.x86_64\n"
        b"kernel-core-4.18.0-553.5.1.el8_10.x86_64      Mon Jan  1 00:00:00 2024\n"
        b"kernel-debug-core-4.18.0-553.el8_10.x86_64\nkernelshark-1.0-1.el8.x86_64\n"
    )
    dpkgs = (
        b"ii  linux-image-6.1.0-28-amd64 6.1.119-1\nrc  linux-image-6.1.0-99-amd64 6.1.200-1\n"
        b"ii  linux-image-amd64 6.1.119-1\nii linux-image-unsigned-6.8.0-31-generic:amd64 6.8\n"
        b"ii  linux-image-6.1.0-28-amd64-dbg 6.1\n"
    )
    host = RecordedHost(Recording(files={}, commands={"rpm-qa": rpms, "dpkg-query-W": dpkgs}))
    notes = _notes()
    assert kernel.read_installed(host, notes) == (
        "3.10.0-957.el7.x86_64",
        "4.18.0-553.5.1.el8_10.x86_64",
        "4.18.0-553.el8_10.x86_64+debug",
        "6.1.0-28-amd64",
        "6.8.0-31-generic",
    )
    assert notes.sources == {"/installed_kernels": "installed packages"}


def test_enabled_live_patches_of_each_kind(tmp_path):
    """livepatch and both layouts of kpatch; one that is switched off does not count."""
    fake = FakeHost(tmp_path).write("sys/kernel/kexec_crash_loaded", "0\n")
    assert kernel.read_live_patches(fake.host(), _notes(), EL7) == ((), None)
    fake.write("sys/kernel/livepatch/livepatch_1/enabled", "1\n")
    fake.write("sys/kernel/livepatch/livepatch_0/enabled", "0\n")
    fake.write("sys/kernel/kpatch/kpatch_a/enabled", "1\n")
    fake.write("sys/kernel/kpatch/patches/kpatch_b/enabled", "1\n")
    found, effective = kernel.read_live_patches(fake.host(), _notes(), EL7)
    assert found == ("kpatch_a", "kpatch_b", "livepatch_1")
    assert effective is None


def test_kernelcare_says_what_its_kernel_amounts_to(tmp_path):
    """The answer counts only where it is a release, and another one than what runs."""
    fake = FakeHost(tmp_path).write("sys/kernel/kexec_crash_loaded", "0\n")
    fake.command("kcarectl --uname", "3.10.0-1160.119.1.el7.x86_64\n")
    found = kernel.read_live_patches(fake.host(), _notes(), EL7)
    assert found == (("kernelcare",), "3.10.0-1160.119.1.el7.x86_64")
    fake.command("kcarectl --uname", EL7 + "\n")
    assert kernel.read_live_patches(fake.host(), _notes(), EL7) == ((), None)
    fake.command("kcarectl --uname", "not licensed, see the manual\n")
    assert kernel.read_live_patches(fake.host(), _notes(), EL7) == ((), None)


def test_a_recording_without_sys_does_not_say_unpatched():
    """What was not looked at is unknown."""
    notes = _notes()
    assert kernel.read_live_patches(RecordedHost(Recording(files={})), notes, EL7) == (None, None)
    assert notes.unseen["livepatches"]


@pytest.mark.parametrize(
    ("text", "word"),
    [("always [madvise] never\n", "madvise"), ("[always] madvise never\n", "always"), ("x", None)],
)
def test_huge_pages_by_the_word_in_brackets(tmp_path, text, word):
    """The kernel lists all words and marks the one that holds."""
    fake = FakeHost(tmp_path).write("sys/kernel/mm/transparent_hugepage/enabled", text)
    notes = _notes()
    assert kernel.read_transparent_hugepage(fake.host(), notes) == word
    assert ("transparent_hugepage" in notes.unseen) == (word is None)


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 1), ("0-1", 2), ("0-1,3", 3), ("0,2-3,9", 4), ("", None), ("3-1", None), ("a", None)],
)
def test_numa_nodes_are_counted_from_ranges(text, count):
    """The kernel writes a list of ranges."""
    assert kernel.parse_ranges(text) == count


def test_modules_and_command_line(tmp_path):
    """The first word of each line; without the file a host has none, a half recording may."""
    fake = FakeHost(tmp_path)
    notes = _notes()
    assert kernel.read_modules(fake.host(), notes) == ()
    assert kernel.read_cmdline(fake.host(), notes) is None
    assert kernel.read_modules(RecordedHost(Recording(files={})), notes) is None
    assert notes.unseen["modules"] == "proc/modules is not there"
    fake.write("proc/modules", "xfs 1 2 - Live 0x0\nipmi_si 3 0 - Live 0x0 (E)\n")
    fake.write("proc/cmdline", "root=/dev/vda1 crashkernel=1G-4G:192M,4G-:256M\n")
    assert kernel.read_modules(fake.host(), notes) == ("xfs", "ipmi_si")
    assert kernel.read_cmdline(fake.host(), notes).endswith("4G-:256M")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ro quiet crashkernel=256M", "ro quiet crashkernel=256M"),
        ('dyndbg="file a.c +p" psi=1', 'dyndbg="file a.c +p" psi=1'),
        ("rd.luks.key=/k:UUID=1 ro", "rd.luks.key=[redacted] ro"),
        ('systemd.set_credential="a b" ro', "systemd.set_credential=[redacted] ro"),
        ("rootpw_PASSWORD=hunter2", "rootpw_PASSWORD=[redacted]"),
        ("inst.ks=http://u:hunter2@h/ks", "inst.ks=http://[redacted]@h/ks"),
        ("inst.ks=http://u:hun@ter2@h/ks", "inst.ks=http://[redacted]@h/ks"),
        ('odd" ro', 'odd" ro'),
    ],
)
def test_a_secret_on_the_kernels_command_line_stays_there(tmp_path, text, told):
    """By the name of its word, or before the @ of an address."""
    host = FakeHost(tmp_path).write("proc/cmdline", text + "\n").host()
    assert kernel.read_cmdline(host, _notes()) == told
