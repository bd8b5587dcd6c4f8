"""A refresh: what is taken from each source, what is refused, and what is kept on disk."""

import dataclasses
import io
import json
import zipfile

import pytest
from tests.fakes.tables import file_of, osv, red_hat_cve

from forestall.audit.tables import STORED, Tables, combined, fetch, load, shipped, stored
from forestall.audit.tables.fetch import read
from forestall.audit.tables.nouns import Bundle, Origin, day
from forestall.audit.tables.refresh import forget, in_use, keep, refreshed
from forestall.errors import ForestallError, InputError
from forestall.model.codec import from_document, to_document

AT = day("2026-10-01")


def refresh(*files, now=None, **options):
    return refreshed(files, now or shipped(), options.pop("at", AT), **options)


NEW = osv(
    "ALSA-2026:60001",
    9,
    "5.14.0-687.50.1.el9_8",
    "2026-09-20",
    {
        "CVE-2026-70001": "kernel: mm/hugetlb: fix a race",
        "CVE-2026-70002": "kernel: wifi: a leak",
    },
)


# AlmaLinux


def test_advisories_of_a_major_are_replaced():
    """The kernel's alone, those about memory by name, with what their titles say they need."""
    other = osv("ALSA-2026:60002", 9, "3.0.7-28.el9", "2026-09-25", {}, package="openssl")
    found = refresh(
        file_of("advisories/almalinux9/ALSA-2026:60001.json", NEW),
        file_of("advisories/almalinux9/ALSA-2026:60002.json", other),
        force=True,
    )
    rows = [one for one in found.tables.advisories.advisories if one.el == 9]
    assert [(one.id, one.cves) for one in rows] == [
        ("RHSA-2023:2458", ("CVE-2022-42703",)),
        ("ALSA-2026:60001", ("CVE-2026-70001",)),
    ]
    flaws = {one.cve: one for one in found.tables.advisories.flaws}
    assert flaws["CVE-2026-70001"].needs == ("huge-pages",)
    assert found.tables.covered_until(9) == day("2026-09-25")
    assert found.tables.complete_since(9) == day(NEW["published"][:10])
    assert found.tables.covered_until(8) == shipped().covered_until(8)
    assert [one for one in found.tables.advisories.advisories if one.el == 8]
    assert any(line.startswith("+ advisory EL9 ALSA-2026:60001") for line in found.changes)
    assert any(line.startswith("- advisory EL9 ALSA-2025:13962") for line in found.changes)


def test_one_advisory_is_no_database():
    """It is added; the others stay, and how far the table reaches does not change.

    Else one file would acquit every host of all that the file does not hold.
    """
    found = refresh(file_of("ALSA-2026:60001.json", NEW)).tables
    before = {one.id for one in shipped().advisories.advisories}
    after = {one.id for one in found.advisories.advisories}
    assert after == before | {"ALSA-2026:60001"}
    assert found.covered_until(9) == shipped().covered_until(9)
    assert found.complete_since(9) == shipped().complete_since(9)


def test_part_of_a_product_takes_no_release_away():
    """An answer that was cut after RHEL 9 leaves RHEL 7 past its end."""
    part = [{"cycle": "9", "releaseDate": "2022-05-18", "eol": "2032-06-30"}]
    found = refresh(file_of("rhel.json", part), as_of="2026-09-28").tables
    assert found.cycle("rhel", "9").end == "2032-06-30"
    assert found.cycle("rhel", "7").end == "2024-06-30"


def test_what_was_looked_at_outweighs_a_title():
    """CVE-2025-39843 was found to need slab debugging; its title alone would not say so."""
    again = osv(
        "ALSA-2025:21926",
        9,
        "5.14.0-611.9.1.el9_7",
        "2026-09-15",
        {"CVE-2025-39843": "kernel: mm: slub: avoid wake up kswapd in set_track_prepare"},
    )
    found = refresh(file_of("x.json", again))
    flaws = {one.cve: one for one in found.tables.advisories.flaws}
    assert flaws["CVE-2025-39843"].needs == ("slab-debug",)


def test_a_new_minor_release_is_learnt_from_its_packages():
    """The first advisory of el9_9 brings the build into the map."""
    found = refresh(
        file_of("x.json", osv("ALSA-2026:60009", 9, "5.14.0-720.3.1.el9_9", "2026-09-22", {}))
    )
    assert found.tables.last_minor(9, AT).name == "9.9"
    assert found.tables.last_minor(9, day("2026-09-21")).name == "9.8"


def test_older_advisories_are_refused():
    """A checkout of the spring does not replace the summer's, unless it is forced to."""
    old = osv("ALSA-2026:50001", 9, "5.14.0-687.9.1.el9_8", "2026-04-01", {})
    with pytest.raises(InputError, match="2026-04-01, those in use of 2026-09-14"):
        refresh(file_of("x.json", old))
    assert refresh(file_of("x.json", old), force=True).changes


# Red Hat


def test_a_cve_in_every_stream():
    """The ordinary stream and the paid ones, of the kernel package alone, from 7 on."""
    found = refresh(
        file_of(
            "CVE-2026-80001.json",
            red_hat_cve(
                "CVE-2026-80001",
                "vhost_net: a fault",
                [
                    (
                        "Red Hat Enterprise Linux 6",
                        "2026-08-01",
                        "RHSA-2026:1",
                        "kernel-0:2.6.32-754.99.1.el6",
                    ),
                    (
                        "Red Hat Enterprise Linux 7",
                        "2026-08-01",
                        "RHSA-2026:90002",
                        "kernel-rt-0:3.10.0-1160.200.1.rt56.1.el7",
                    ),
                    (
                        "Red Hat Enterprise Linux 7",
                        "2026-08-01",
                        "RHSA-2026:90003",
                        "kernel-0:3.10.0-1160.200.1.el7",
                    ),
                    (
                        "Red Hat Enterprise Linux 8.6 Extended Update Support",
                        "2026-08-01",
                        "RHSA-2026:90004",
                        "kernel-0:4.18.0-372.200.1.el8_6",
                    ),
                ],
            ),
        )
    )
    rows = {one.id: one for one in found.tables.advisories.advisories}
    assert rows["RHSA-2026:90003"].stream is None
    assert rows["RHSA-2026:90004"].stream == "8.6"
    assert {"RHSA-2026:1", "RHSA-2026:90002"} & rows.keys() == set()
    (flaw,) = [one for one in found.tables.advisories.flaws if one.cve == "CVE-2026-80001"]
    assert flaw.needs == ("module:vhost_net",)
    assert flaw.title == "vhost_net: a fault"


def test_a_panic_from_the_network_is_told_by_its_vector():
    """Anybody, from the network, availability lost, and nothing needed: remote panic."""
    release = (
        "Red Hat Enterprise Linux 8",
        "2026-08-01",
        "RHSA-2026:90005",
        "kernel-0:4.18.0-1.el8",
    )
    loud, quiet = (
        refresh(file_of("x.json", red_hat_cve("CVE-2026-80002", "tcp: a fault", [release], vector)))
        for vector in (
            "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
            "CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H",
        )
    )
    for found, expected in ((loud, True), (quiet, False)):
        (flaw,) = [one for one in found.tables.advisories.flaws if one.cve == "CVE-2026-80002"]
        assert flaw.remote_panic is expected


def test_one_release_without_a_list():
    """Some answers hold a single release as an object."""
    release = (
        "Red Hat Enterprise Linux 8",
        "2026-08-01",
        "RHSA-2026:90006",
        "kernel-0:4.18.0-1.el8",
    )
    document = red_hat_cve("CVE-2026-80004", "mm: a fault", [release])
    document["affected_release"] = document["affected_release"][0]
    rows = refresh(file_of("x.json", document)).tables.advisories.advisories
    assert "RHSA-2026:90006" in {one.id for one in rows}


def test_an_advisory_keeps_its_other_faults():
    """RHSA-2019:2029 repairs six in the table; a seventh is added to them."""
    release = (
        "Red Hat Enterprise Linux 7",
        "2019-08-06",
        "RHSA-2019:2029",
        "kernel-0:3.10.0-1062.el7",
    )
    found = refresh(file_of("x.json", red_hat_cve("CVE-2019-90001", "mm: a leak", [release])))
    (row,) = [one for one in found.tables.advisories.advisories if one.id == "RHSA-2019:2029"]
    assert len(row.cves) == 7


# endoflife.date

CYCLES = [
    {
        "cycle": "9",
        "releaseDate": "2022-05-18",
        "eol": "2032-05-31",
        "extendedSupport": "2035-05-31",
    },
    {
        "cycle": "7",
        "releaseDate": "2014-06-10",
        "eol": "2024-06-30",
        "extendedSupport": "2028-06-30",
    },
]
API_1 = {
    "schema_version": "1.2.0",
    "result": {
        "name": "rhel",
        "releases": [
            {
                "name": "7",
                "releaseDate": "2014-06-10",
                "isEol": True,
                "eolFrom": "2024-06-30",
                "eoesFrom": "2028-06-30",
            },
        ],
    },
}
PAGE = b"""---
title: Red Hat Enterprise Linux
releases:
  - releaseCycle: "7"
    releaseDate: 2014-06-10
    eol: 2024-06-30  # as the vendor has it
    eoes: 2028-06-30
    latest: '7.9'
---

Some text: releaseCycle: "3"
"""


@pytest.mark.parametrize(
    "file",
    [
        file_of("/tmp/rhel.json", CYCLES),
        file_of("/api/v1/products/rhel", API_1),
        file_of("products/rhel.md", PAGE),
        file_of("all.json", {"rhel": CYCLES, "python": [{"cycle": "3.14", "eol": "2030-10-31"}]}),
    ],
    ids=["api-0", "api-1", "page", "several"],
)
def test_one_products_life_cycle(file):
    """Each form of it, taken as of the day of the file; the other products stay."""
    found = refresh(file)
    cycle = found.tables.cycle("rhel", "7.9")
    assert (cycle.end, cycle.extended_end) == ("2024-06-30", "2028-06-30")
    assert found.tables.cycle("debian", "12").end == "2028-06-30"
    assert found.tables.cycle("python", "3.14") is None
    assert "~ dates of rhel: 2026-08-22 -> 2026-09-01" in found.changes
    (line,) = [one for one in found.changes if one.startswith("~ life cycle rhel 7")]
    assert "2029-05-31" in line
    assert "2028-06-30" in line


def test_debians_lts_is_there_for_everybody():
    """Its end counts as the ordinary one; elsewhere an extension is paid for."""
    cycles = [
        {"cycle": "12", "releaseDate": "2023-06-10", "eol": "2026-06-10", "eoes": "2028-06-30"}
    ]
    for name, end in (("debian", "2028-06-30"), ("ubuntu", "2026-06-10")):
        assert refresh(file_of(f"{name}.json", cycles)).tables.cycle(name, "12").end == end


def test_an_end_that_is_only_true_or_false():
    """It names no day: the end is not known, which is not the same as over."""
    found = refresh(file_of("oracle-linux.json", [{"cycle": "10", "eol": False}]))
    assert found.tables.cycle("oracle-linux", "10").end is None


# what is refused


def with_flaw(**changes):
    document = to_document(shipped().advisories)
    document["flaws"][0] |= changes
    return document


def without(table, field):
    document = to_document(getattr(shipped(), table))
    del document[field]
    return document


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (file_of("x.json", b"\x00\x01"), "no JSON"),
        (file_of("x.json", b"[" * 100_000), "no JSON"),
        (file_of("x.json", b'{"a": NaN}'), "NaN is not JSON"),
        (file_of("x.json", b"{}"), "neither a table"),
        (file_of("x.json", {"schema": "forestall/else/1"}), "expected schema"),
        (file_of("x.json", {"schema": "forestall/audit-tables/1"}), "no table"),
        (file_of("x.json", without("advisories", "origins")), "missing field /origins"),
        (file_of("x.json", with_flaw(needs=["kernel-of-doom"])), "neither module:NAME nor one of"),
        (file_of("x.json", with_flaw(needs=["module:a b"])), "neither module:NAME nor one of"),
        (file_of("x.json", with_flaw(title="x" * 301)), "longer than 300"),
        (file_of("x.json", with_flaw(title="a\x1b[31mred")), "unprintable"),
        (file_of("x.json", with_flaw(else_=1)), "unknown field"),
        (file_of("nginx.json", CYCLES), "no product whose life cycle is used"),
        (file_of("rhel.json", [{"cycle": "7", "eol": "soon"}]), "no day like"),
        (file_of("rhel.json", [{"cycle": "7", "eol": "0001-01-01"}]), "not between"),
        (
            file_of(
                "rhel.json", [{"cycle": "7", "releaseDate": "2020-01-01", "eol": "2019-01-01"}]
            ),
            "before it began",
        ),
        (file_of("rhel.json", [{"cycle": "7"}, {"cycle": "7"}]), "there twice"),
        (file_of("rhel.json", [{"eol": "2024-06-30"}]), "has no name"),
        (file_of("rhel.json", []), "has no releases"),
        (file_of("rhel.json", CYCLES, on="2026-01-01"), "those in use of 2026-08-22"),
        (file_of("rhel.json", CYCLES, on="2027-01-01"), "still to come"),
        (file_of("x.json", {"affected": "x"}), "published and modified"),
        (file_of("x.json", {**NEW, "id": "bad"}), "is no OSV advisory"),
        (file_of("x.json", {"affected_release": [], "name": "CVE-2026-1234"}), "security data"),
        (
            file_of("x.json", red_hat_cve("CVE-2026-80003", "a fault", [])),
            "names no kernel package",
        ),
    ],
)
def test_what_is_refused(file, words):
    """Damaged, foreign, unlicensed, impossible, older or future data: one line, and no change."""
    with pytest.raises(InputError, match=words) as caught:
        refresh(file)
    assert "\n" not in caught.value.message
    assert caught.value.help


def test_nothing_but_forces_takes_an_older_table():
    """A whole table of an earlier day needs --force too."""
    table = dataclasses.replace(
        shipped().releases, origins=(Origin(source="x", licence="MIT", as_of="2020-01-01"),)
    )
    file = file_of("x.json", to_document(table))
    with pytest.raises(InputError, match="those in use"):
        refresh(file)
    assert refresh(file, force=True).tables.releases == table


# what is kept


def test_kept_loaded_and_forgotten(tmp_path):
    """What changed is written, the rest comes from the shipped tables, and undo removes it."""
    state = str(tmp_path / "state")
    found = refresh(file_of("rhel.json", CYCLES))
    path = keep(found.tables, state)
    assert path == f"{state}/{STORED}"
    assert [one.name for one in (tmp_path / "state").iterdir()] == [STORED]
    kept = stored(state)
    assert (kept.releases, kept.advisories) == (None, None)
    assert load(state).cycle("rhel", "7").extended_end == "2028-06-30"
    assert in_use(state).life_cycles == found.tables.life_cycles
    assert refresh(file_of("rhel.json", CYCLES), now=in_use(state)).changes == ()
    assert forget(state)
    assert not forget(state)
    assert load(state).cycle("rhel", "7").extended_end == "2029-05-31"
    assert load(None) is shipped()


def test_an_upgrade_that_brings_newer_tables_wins(tmp_path):
    """Kept tables give way to shipped ones of a later day, also those that were forced."""
    ours = shipped()
    old = dataclasses.replace(
        ours.releases, origins=(Origin(source="x", licence="MIT", as_of="2020-01-01"),)
    )
    keep(Tables(ours.life_cycles, old, ours.advisories), str(tmp_path))
    kept = stored(str(tmp_path))
    assert combined(ours, kept).releases == old
    later = dataclasses.replace(
        ours.releases, origins=(Origin(source="y", licence="MIT", as_of="2026-12-01"),)
    )
    upgraded = Tables(ours.life_cycles, later, ours.advisories)
    assert combined(upgraded, kept).releases == later


def test_damaged_kept_tables_are_not_passed_over(tmp_path):
    """Neither silence nor a traceback: the way back is named."""
    (tmp_path / STORED).write_text('{"schema": "forestall/audit-tables/1", "life')
    with pytest.raises(InputError, match=STORED) as caught:
        load(str(tmp_path))
    assert "--restore-shipped" in caught.value.help


def test_a_bundle_is_what_it_was():
    """The tables in use, written as one document and read again, are the same."""
    bundle = shipped().bundle
    assert from_document(Bundle, json.loads(json.dumps(to_document(bundle)))) == bundle


# files, folders, archives, addresses


def checkout(folder):
    """A folder like a clone of osv-database."""
    place = folder / "advisories" / "almalinux9"
    place.mkdir(parents=True)
    (place / "ALSA-2026:60001.json").write_text(json.dumps(NEW))
    (folder / "README.md").write_text("not read")
    (folder / "advisories" / "notes.json").write_text("not read either")
    return folder


def test_a_folder_and_an_archive(tmp_path):
    """Only what has the name of an advisory or a product is opened."""
    folder = checkout(tmp_path / "osv-database")
    (folder / "advisories" / "almalinux9" / "ALSA-2026:60003.json").symlink_to("/etc/passwd")
    archive = tmp_path / "osv.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(
            "osv-database-master/advisories/almalinux9/ALSA-2026:60001.json", json.dumps(NEW)
        )
        file.writestr("../../etc/ALSA-2026:60001.json", "no")
    for source in (folder, archive):
        (one,) = read(str(source), AT)
        assert refresh(one).changes


def test_an_archive_that_grows(tmp_path):
    """A member of a gigabyte of zeros is read up to the limit, and refused."""
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("advisories/almalinux9/ALSA-2026:60001.json", b"0" * (64 * 1024 * 1024))
    assert archive.stat().st_size < 1024 * 1024
    with pytest.raises(InputError, match="larger than 2 MiB"):
        list(read(str(archive), AT))


def test_half_an_archive(tmp_path):
    """Cut in the middle of a member that the directory still lists."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("advisories/almalinux9/ALSA-2026:60001.json", json.dumps(NEW))
    whole = bytearray(data.getvalue())
    whole[60:90] = b"\0" * 30
    (tmp_path / "half.zip").write_bytes(whole)
    with pytest.raises(InputError, match="damaged zip"):
        list(read(str(tmp_path / "half.zip"), AT))


def test_what_is_no_file(tmp_path):
    """A device is not waited for."""
    with pytest.raises(InputError, match="no regular file"):
        list(read("/dev/null", AT))


@pytest.mark.parametrize("url", ["http://example.com/rhel.json", "https://[", "http://10.0.0.1/x"])
def test_addresses_that_are_not_fetched(url):
    """Plain http from elsewhere, and no address at all."""
    with pytest.raises(ForestallError):
        list(read(url, AT))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_bytes_in_a_whole_archive(tmp_path, method):
    """Whatever packed it complains in its own way; it is one clear error."""
    archive = tmp_path / "osv.zip"
    with zipfile.ZipFile(archive, "w", method) as file:
        file.writestr("advisories/almalinux9/ALSA-2026:1.json", bytes(range(256)) * 20)
    data = bytearray(archive.read_bytes())
    start = data.index(b".json") + len(b".json")
    data[start : start + 20] = b"\xff" * 20
    archive.write_bytes(data)
    with pytest.raises(InputError, match="damaged zip"):
        list(read(str(archive), AT))


def test_a_server_that_drips_is_left_at_the_deadline(monkeypatch):
    """A byte now and then does not fill a piece first: the time is looked at after each."""

    class Drip:
        def __init__(self):
            self.pieces = 0

        def read1(self, size):
            self.pieces += 1
            return b"x"

    drip = Drip()
    monkeypatch.setattr(fetch, "PATIENCE_TOGETHER_SECONDS", 0.0)
    with pytest.raises(TimeoutError):
        fetch._before_deadline(drip, "https://example")
    assert drip.pieces <= 2
