"""From the agent's state folder to a verified review, with the real command and real files."""

import hashlib
import json
import os
import shutil

import pytest
from tests.fakes import leak, state

from forestall.cli.main import main
from forestall.incident.review import bundle as bundles
from forestall.incident.review.verify import verify


@pytest.fixture(scope="module")
def drafted(tmp_path_factory):
    """One drafted review; tests that change it copy it first."""
    return state.drafted(tmp_path_factory.mktemp("state"), clock_scale=60.0)


@pytest.fixture
def copied(drafted, tmp_path):
    """(review, bundle) of a copy that may be changed."""
    bundle = tmp_path / "evidence" / drafted.bundle.id
    shutil.copytree(drafted.bundle.path, bundle)
    for folder, _, names in os.walk(bundle):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o600)
    return drafted.text, bundle


def test_the_whole_way(tmp_path, capsys):
    """list, draft and verify: the review is backed by the bundle it names, and nothing else."""
    state.leaked(tmp_path)
    options = ["--state", str(tmp_path)]
    assert main(["incident", "list", *options]) == 0
    assert "INC-20260314-001  resolved" in capsys.readouterr().out
    assert main(["review", "draft", "INC-20260314-001", "--json", *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main(["review", "verify", told["review"], "--bundle", told["bundle"]]) == 0
    assert capsys.readouterr().out.startswith("backed: ")
    with open(told["review"]) as file:
        assert told["bundle_id"] in file.read()
        assert os.fstat(file.fileno()).st_mode & 0o077 == 0
    claims = {claim["where"]: claim for claim in told["claims"]}
    source = claims["/timeline/detected"]["facts"][0]["sources"][0]
    assert source == {"entry": "timeline.json", "pointer": "/detected_at"}


def test_the_bundle_holds_what_was_captured(drafted):
    """The captured bundle is inside, whole, with its own sums, and `ledger` and site.toml."""
    names = {entry.name for entry in drafted.bundle.manifest.entries}
    (captured,) = [name.split("/")[1] for name in names if name.endswith("/verdict.json")]
    assert {"timeline.json", "ledger.json", "site.toml", "draft.json"} <= names
    assert f"captured/{captured}/process/status" in names
    with open(f"{drafted.bundle.path}/captured/{captured}/SHA256SUMS", "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() == captured
    with open(f"{drafted.bundle.path}/ledger.json") as file:
        assert [one["schema"] for one in json.load(file)] == [
            "forestall/plan/1",
            "forestall/outcome/1",
            "forestall/outcome/1",
        ]


def test_any_byte_of_any_file(copied):
    """A byte changed anywhere in the bundle is found: 25 places in each of its files."""
    review, bundle = copied
    assert verify(review, str(bundle)).holds
    files = [os.path.join(folder, name) for folder, _, names in os.walk(bundle) for name in names]
    assert len(files) >= 12
    for path in files:
        with open(path, "r+b", buffering=0) as file:
            whole = file.read()
            for offset in sorted({int(len(whole) * part / 25) for part in range(25)}):
                if not whole:
                    continue
                file.seek(offset)
                file.write(bytes([whole[offset] ^ 1]))
                assert not verify(review, str(bundle)).holds, (path, offset)
                file.seek(offset)
                file.write(whole[offset : offset + 1])
    assert verify(review, str(bundle)).holds


def rehash(bundle):
    """Make a tampered bundle true to its own sums again, under its new name."""
    with open(bundle / "manifest.json") as file:
        manifest = json.load(file)
    lines = []
    for entry in manifest["entries"]:
        with open(bundle / entry["name"], "rb") as file:
            data = file.read()
        entry["sha256"], entry["size_bytes"] = hashlib.sha256(data).hexdigest(), len(data)
        lines.append(f"{entry['sha256']}  {entry['name']}\n")
    text = (json.dumps(manifest, indent=2) + "\n").encode()
    (bundle / "manifest.json").write_bytes(text)
    lines.append(f"{hashlib.sha256(text).hexdigest()}  manifest.json\n")
    sums = "".join(sorted(lines, key=lambda line: line[66:])).encode()
    (bundle / "SHA256SUMS").write_bytes(sums)
    return bundle.rename(bundle.parent / hashlib.sha256(sums).hexdigest())


def test_a_tampered_bundle_that_was_hashed_again(copied, drafted):
    """It is whole by its own word, but the review quotes the id of another one."""
    review, bundle = copied
    path = bundle / "site.toml"
    path.write_bytes(path.read_bytes().replace(b"# ", b"## ") + b"\n")
    again = rehash(bundle)
    assert bundles.damages(str(again)) == []
    found = verify(review, str(again))
    line = drafted.text.decode().split(drafted.bundle.id)[0].count("\n") + 1
    assert [(one.line, one.token) for one in found.unresolved] == [(line, drafted.bundle.id)]


def test_a_changed_capture_inside_a_bundle_that_was_hashed_again(copied):
    """The captured bundle has its own sums, which the outer ones cannot make true."""
    review, bundle = copied
    (captured,) = (bundle / "captured").iterdir()
    path = captured / "verdict.json"
    path.write_bytes(path.read_bytes().replace(b"LEAKING", b"GROWING"))
    found = verify(review, str(rehash(bundle)))
    assert any("verdict.json" in damage for damage in found.damages)


def test_a_damaged_capture_is_no_evidence(tmp_path):
    """What does not verify is not copied; the bundle says why, and the review does without."""
    bundle = state.leaked(tmp_path)
    path = tmp_path / "evidence" / bundle / "verdict.json"
    path.chmod(0o600)
    path.write_bytes(b"{}")
    assert main(["review", "draft", "INC-20260314-001", "--state", str(tmp_path)]) == 0
    home = tmp_path / "incidents" / "INC-20260314-001"
    (sealed,) = (home / "evidence").iterdir()
    (said,) = json.loads((sealed / "manifest.json").read_text())["missing"]
    assert f"the captured bundle {bundle}: verdict.json: changed" in said
    assert "No evidence bundle of this incident was captured, or none" in (
        (home / "review.md").read_text()
    )


def test_drafting_again_keeps_the_clock(tmp_path):
    """A second draft of the same incident still says that its clock was scaled."""
    first = state.drafted(tmp_path, clock_scale=60.0)
    options = ["--state", str(tmp_path), "-o", str(tmp_path / "again.md")]
    assert main(["review", "draft", first.number, *options]) == 0
    assert "ran 60 times as fast" in (tmp_path / "again.md").read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["review", "draft", "INC-1"], 2, "no incident number"),
        (["review", "draft", "INC-20260314-002"], 3, "the latest 1: INC-20260314-001"),
        (["review", "draft", "INC-20260314-001", "--site", "none.toml"], 2, "--example"),
        (["incident", "show", "INC-20260314-002"], 3, "INC-20260314-001"),
        (["review", "draft", "INC-20260314-001", "-o", "/none/x.md"], 3, "-o FILE"),
    ],
)
def test_errors_say_what_to_do(tmp_path, capsys, words, code, said):
    """One line for what is wrong, one for what to do next."""
    state.leaked(tmp_path)
    assert main([*words, "--state", str(tmp_path)]) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_verify_exits(tmp_path, drafted, capsys):
    """0 backed, 1 not, 3 nothing to read; the line and the word are named."""
    bundle = ["--bundle", drafted.bundle.path]
    assert main(["review", "verify", drafted.path, *bundle]) == 0
    changed = tmp_path / "changed.md"
    changed.write_bytes(drafted.text.replace(b"process 4171", b"process 4172", 1))
    capsys.readouterr()
    assert main(["review", "verify", str(changed), *bundle]) == 1
    line = drafted.text.decode().split("process 4171")[0].count("\n") + 1
    assert f"changed.md:{line}: 4172: " in capsys.readouterr().out
    assert main(["review", "verify", str(changed), "--json", *bundle]) == 1
    assert json.loads(capsys.readouterr().out)["unresolved"][0]["token"] == "4172"
    assert main(["review", "verify", str(tmp_path / "none.md"), *bundle]) == 3
    assert main(["review", "verify", str(changed), "--bundle", str(tmp_path)]) == 3
    assert main(["review", "verify", str(changed)]) == 2
    captured = f"{drafted.bundle.path}/captured"
    inner = os.path.join(captured, *os.listdir(captured))
    assert main(["review", "verify", str(changed), "--bundle", inner]) == 3
    assert "no timeline.json in the bundle" in capsys.readouterr().err


def test_verify_shows_hostile_text_as_text(tmp_path, drafted, capsys):
    """A review comes from anywhere: what it holds is named without obeying it."""
    changed = tmp_path / "changed.md"
    marked = b'[They \x1b[2J said \xff]{by="Eve\x1b[1m"}'
    text = drafted.text.replace(b"process 4171", b"process 4\x1b[31m\xff72 " + marked, 1)
    changed.write_bytes(text)
    assert main(["review", "verify", str(changed), "--bundle", drafted.bundle.path]) == 1
    out = capsys.readouterr().out
    out.encode()
    assert "4\\x1b[31m\\udcff72" in out
    assert "\x1b" not in out


def test_show_and_site_and_json(tmp_path, capsys):
    """The other sub-commands say what they are for."""
    state.leaked(tmp_path)
    options = ["--state", str(tmp_path)]
    assert main(["incident", "show", "INC-20260314-001", *options]) == 0
    assert "2026-03-14 04:25:30 CDT  detected" in capsys.readouterr().out
    assert main(["incident", "show", "INC-20260314-001", "--json", *options]) == 0
    assert json.loads(capsys.readouterr().out)["number"] == "INC-20260314-001"
    assert main(["incident", "list", "--json", *options]) == 0
    assert json.loads(capsys.readouterr().out)["incidents"][0]["key"] == leak.KEY
    assert main(["incident", "site", *options]) == 0
    assert "zone America/Chicago\nnot stated: nothing" in capsys.readouterr().out
    assert main(["incident", "site", "--example"]) == 0
    assert "[follow_up]" in capsys.readouterr().out


def test_what_a_person_wrote_is_not_replaced_by_drafting_again(tmp_path, capsys):
    """An untouched draft is; a changed one, another file, and a device only fail, or need --force.

    A device never: as root, writing beside and renaming would take /dev/null from the host.
    """
    state.leaked(tmp_path)
    command = ["review", "draft", "INC-20260314-001", "--state", str(tmp_path)]
    assert main(command) == 0
    assert main(command) == 0
    review = tmp_path / "incidents" / "INC-20260314-001" / "review.md"
    bundles_before = os.listdir(review.parent / "evidence")
    edited = review.read_text().replace("**Causes**", "**Causes, as we see them**")
    review.write_text(edited)
    assert main(command) == 2
    assert "--force" in capsys.readouterr().err
    assert review.read_text() == edited
    other = tmp_path / "notes.md"
    other.write_text("mine")
    assert main([*command, "-o", str(other)]) == 2
    os.mkfifo(tmp_path / "pipe")
    assert main([*command, "-o", str(tmp_path / "pipe"), "--force"]) == 2
    assert (other.read_text(), (tmp_path / "pipe").is_fifo()) == ("mine", True)
    assert os.listdir(review.parent / "evidence") == bundles_before
    assert main([*command, "--force"]) == 0
    assert review.read_text() != edited
