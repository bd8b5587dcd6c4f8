"""Package versions: ours beside rpm's and dpkg's own comparison, over the same generated pairs.

    python bench/audit_versions.py [--count N] [--seed N] [--json]

rpm answers through its Lua interface, many pairs in one run (RPM 4.16 or newer); dpkg through
Dpkg::Version, its own Perl module, and a sample through `dpkg --compare-versions` itself.
Install both with `sh tools/packages.sh versions`. Prints how many pairs differ; ends with 1 if any.
"""

import argparse
import datetime
import json
import platform
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable

from forestall.audit.versions import compare_dpkg, compare_rpm

BESIDE = ("rpm.vercmp", "Dpkg::Version", "dpkg --compare-versions")

BATCH = 2000
SAMPLE = 500

LEGAL_DPKG = re.compile(r"([0-9]{1,9}:)?[0-9][A-Za-z0-9.+~]*(-[A-Za-z0-9.+~]+)*")
"""deb-version(7), without a hyphen at the end, which dpkg refuses."""

KERNELS = (
    "3.10.0-957.el7",
    "3.10.0-957.21.3.el7",
    "3.10.0-1160.119.1.el7",
    "4.18.0-553.8.1.el8_10",
    "4.18.0-372.9.1.el8",
    "5.14.0-427.35.1.el9_4",
    "6.12.0-211.46.1.el10_2",
    "5.14.21-150500.55.7",
    "6.1.79-99.164.amzn2023",
    "5.4.17-2136.307.3.1.el8uek",
    "6.8.0-31.31",
    "6.8.0-100.100",
    "6.1.119-1",
    "6.12.57-1~bpo12+1",
)

Pairs = list[tuple[str, str]]


def run_of(draw: random.Random, letters: str, most: int) -> str:
    return "".join(draw.choice(letters) for _ in range(draw.randint(0, most)))


def rpm_version(draw: random.Random) -> str:
    if draw.random() < 0.3:
        return mutated(draw, draw.choice(KERNELS), "0123456789.~^abelZ_+")
    epoch = f"{draw.choice(('0', '1', '2', '00', '10'))}:" if draw.random() < 0.3 else ""
    version = draw.choice("0123456789a") + run_of(draw, "0012349abAZ..~^_+", 8)
    release = "-" + run_of(draw, "0012349abel7..~^_+", 8) if draw.random() < 0.6 else ""
    return epoch + version + release


def dpkg_version(draw: random.Random) -> str:
    if draw.random() < 0.3:
        return mutated(draw, draw.choice(KERNELS).replace("_", "."), "0123456789.~+abelZ")
    epoch = f"{draw.choice(('0', '1', '2', '10'))}:" if draw.random() < 0.3 else ""
    version = draw.choice("0123456789") + run_of(draw, "0012349abAZ..~+-", 8)
    if draw.random() < 0.6:
        return epoch + version + "-" + draw.choice("01") + run_of(draw, "0012349abAZ..~+", 6)
    return epoch + version.rstrip("-")


def mutated(draw: random.Random, version: str, letters: str) -> str:
    """A kernel's version with one place changed, taken out or put in: most pairs are close."""
    place = draw.randrange(1, len(version))
    kept = draw.choice((place, place + 1))
    return version[:place] + run_of(draw, letters, 2) + version[kept:]


def pairs_of(
    draw: random.Random,
    make: Callable[[random.Random], str],
    count: int,
    legal: re.Pattern[str] | None = None,
) -> Pairs:
    pairs: Pairs = []
    while len(pairs) < count:
        one = make(draw)
        other = make(draw) if draw.random() < 0.5 else mutated(draw, one + "0", "0123ab.~")
        if legal is None or (legal.fullmatch(one) and legal.fullmatch(other)):
            pairs.append((one, other))
    return pairs


def ask_rpm(pairs: Pairs) -> list[int]:
    """rpm.vercmp() of each pair; each batch is one run of rpm."""
    answers: list[int] = []
    for start in range(0, len(pairs), BATCH):
        calls = "".join(
            f'print(rpm.vercmp("{one}","{other}"))' for one, other in pairs[start : start + BATCH]
        )
        ran = subprocess.run(
            ["rpm", "--eval", "%{lua:" + calls + "}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        # print() of this interface ends no line.
        answers += [{"-1": -1, "0": 0, "1": 1}[word] for word in _signs(ran.stdout)]
    return answers


def _signs(text: str) -> list[str]:
    words: list[str] = []
    for letter in text.replace("\n", ""):
        if words and words[-1] == "-":
            words[-1] += letter
        else:
            words.append(letter)
    return words


def ask_dpkg(pairs: Pairs) -> list[int]:
    """Dpkg::Version of each pair, in one run of Perl."""
    program = (
        "use Dpkg::Version; while (<STDIN>) { chomp; my ($a, $b) = split / /;"
        " print version_compare($a, $b), qq(\\n); }"
    )
    given = "".join(f"{one} {other}\n" for one, other in pairs)
    ran = subprocess.run(
        ["perl", "-e", program],
        input=given,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return [int(line) for line in ran.stdout.split()]


def ask_dpkg_itself(pairs: Pairs) -> list[int]:
    """`dpkg --compare-versions`, two runs a pair."""

    def holds(one: str, relation: str, other: str) -> bool:
        words = ["dpkg", "--compare-versions", one, relation, other]
        return subprocess.run(words, capture_output=True, timeout=60).returncode == 0

    return [holds(one, "gt", other) - holds(one, "lt", other) for one, other in pairs]


def compare(name: str, pairs: Pairs, ours: Callable[[str, str], int], theirs: list[int]) -> dict:
    assert len(theirs) == len(pairs), f"{name} answered {len(theirs)} of {len(pairs)}"
    started = time.process_time()
    answers = [ours(one, other) for one, other in pairs]
    seconds = time.process_time() - started
    wrong = [
        (*pair, mine, its)
        for pair, mine, its in zip(pairs, answers, theirs, strict=True)
        if mine != its
    ]
    return {
        "beside": name,
        "pairs": len(pairs),
        "equal_versions": theirs.count(0),
        "differences": len(wrong),
        "examples": wrong[:5],
        "microseconds_per_pair": round(seconds / len(pairs) * 1e6, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    draw = random.Random(args.seed)
    results = []
    if shutil.which("rpm"):
        pairs = pairs_of(draw, rpm_version, args.count)
        results.append(compare("rpm.vercmp", pairs, compare_rpm, ask_rpm(pairs)))
    if shutil.which("dpkg") and shutil.which("perl"):
        pairs = pairs_of(draw, dpkg_version, args.count, LEGAL_DPKG)
        results.append(compare("Dpkg::Version", pairs, compare_dpkg, ask_dpkg(pairs)))
        sample = pairs[:SAMPLE]
        results.append(
            compare("dpkg --compare-versions", sample, compare_dpkg, ask_dpkg_itself(sample))
        )
    if args.json:
        print(json.dumps(results, indent=2))
        return 1 if any(one["differences"] for one in results) else 0
    today = datetime.datetime.now(datetime.UTC).date()
    print(f"{today}, {platform.python_implementation()} {platform.python_version()}")
    for one in results:
        print(
            f"{one['beside']:<26} {one['pairs']:>7} pairs  {one['differences']} differences  "
            f"{one['equal_versions']} equal  {one['microseconds_per_pair']} us a pair (ours)"
        )
        for example in one["examples"]:
            print("   ", example)
    missing = [name for name in BESIDE if name not in {one["beside"] for one in results}]
    if missing:
        print(f"not measured, not installed: {', '.join(missing)} (sh tools/packages.sh versions)")
    return 1 if any(one["differences"] for one in results) else 0


if __name__ == "__main__":
    raise SystemExit(main())
