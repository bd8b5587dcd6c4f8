"""What the guest is made of."""

import pytest
from drills.panic import run
from drills.panic.guest import load_order, needs, shared_libraries

from forestall.errors import UsageError

LDD = """\
/usr/bin/python3.11:
\tlinux-vdso.so.1 (0x00007f9a0963c000)
\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f9a0954a000)
\tlibgone.so.1 => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007f9a0963e000)
/usr/bin/busybox:
\tnot a dynamic executable
"""


def driver(*needed: str) -> bytes:
    return b"\x7fELF..\0license=GPL\0depends=" + ",".join(needed).encode() + b"\0name=x\0"


def test_drivers_are_loaded_after_what_they_need():
    """virtio needs virtio_ring, and insmod resolves nothing."""
    drivers = {"pci": driver("core", "ring"), "core": driver("ring"), "ring": driver()}
    assert load_order(["pci", "ring"], drivers.get) == ["ring", "core", "pci"]


def test_what_is_built_into_the_kernel_is_not_loaded():
    """pvpanic is a driver in one kernel and part of another."""
    assert load_order(["built-in", "pci"], {"pci": driver("built-in")}.get) == ["pci"]


def test_a_driver_without_the_note_needs_nothing():
    """An absent note is no failure."""
    assert needs(b"\x7fELF") == []


def test_libraries_are_taken_from_what_ldd_says():
    """The loader by its path, the rest by name; headers, the kernel's page and holes are none."""
    assert shared_libraries(LDD) == [
        ("libm.so.6", "/lib/x86_64-linux-gnu/libm.so.6"),
        ("/lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2"),
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["--guard", "nohang"],
        ["--guard", ""],
        ["--memory", "1M"],
        ["--memory", "lots"],
        ["--leak", "0"],
        ["--healthy", "nan"],
        ["--limit", "0"],
    ],
)
def test_bad_options_are_said_to_be(words):
    """One clear line each, before anything is downloaded or started."""
    with pytest.raises(UsageError):
        run.parse(words)


def test_guards_are_played_once_each_in_the_order_given():
    """A guard named twice is no second run."""
    assert run.parse(["--guard", "forestall, none,none"]).guard == ["forestall", "none"]


def test_a_folder_with_other_things_is_not_written_into(tmp_path):
    """A drill replaces its own results, and nobody else's."""
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError):
        run.out_folder(str(tmp_path))
    (tmp_path / "thesis.txt").unlink()
    assert run.out_folder(str(tmp_path)) == str(tmp_path)
