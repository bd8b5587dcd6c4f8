"""The language: what can be said, and where an error is."""

import pytest

from forestall.audit.predicates import PredicateError, parse
from forestall.audit.predicates.grammar import Both, Compare, Either, Kind, Not, Quantifier
from forestall.audit.predicates.parsing import DEPTH_LIMIT, TEXT_LIMIT, version

GIB = 1024**3


def compared(text):
    found = parse(f"all host: {text}").holds
    assert isinstance(found, Compare)
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("swap_total_bytes >= 16GiB", 16 * GIB),
        ("swap_total_bytes >= 1.5G", 1.5 * GIB),
        ("age_seconds < 7d", 7 * 86_400),
        ("process_count > 3", 3),
        ("os_version_id >= 8.10", (8, 10)),
        ("os_id = debian", "debian"),
        ("os_id = 'debian'", "debian"),
        ("psi = true", True),
        ("psi", True),
        ("guards has earlyoom", "earlyoom"),
        ("vm.swappiness = 10", "10"),
        ("vm.swappiness <= 10", 10),
        ("rule lim-001 = pass", "pass"),
        ("host = db*", "db*"),
        ("/memory/mem_total_bytes > 1GiB", GIB),
    ],
)
def test_values_are_read_by_their_names_kind(text, value):
    """A size as bytes, a duration as seconds, a version as numbers, a word as text."""
    assert compared(text).right.value == value


def test_numbers_below_zero():
    """OOM scores and kernel.panic have them; a size has not."""
    assert compared("unit(a.service).oom_score_adjust <= -900").right.value == -900
    assert compared("kernel.panic != -1").right.value in (-1, "-1")
    with pytest.raises(PredicateError):
        parse("all host: mem_total_bytes > -1GiB")
    with pytest.raises(PredicateError):
        parse("count(host: psi) >= -1")


def test_and_binds_before_or_and_not_before_and():
    """`a or not b and c` is `a or ((not b) and c)`; parentheses change it."""
    a, b, c = "psi", "zswap", "kubernetes"
    found = parse(f"all host: {a} or not {b} and {c}").holds
    assert isinstance(found, Either)
    assert isinstance(found.parts[1], Both)
    assert isinstance(found.parts[1].parts[0], Not)
    assert isinstance(parse(f"all host: ({a} or {b}) and {c}").holds, Both)


def test_quantifiers():
    """all, any, no, and count with its order."""
    assert parse("no host where os_id=centos").holds is None
    assert parse("any host where os_id=centos: psi").quantifier is Quantifier.ANY
    count = parse("count(host where role=db: vm.swappiness > 10) <= 3")
    assert (count.op, count.number) == ("<=", 3)


def test_a_fact_may_stand_on_the_right():
    """Of the same kind; a word that is no such fact is a text."""
    assert compared("committed_bytes <= commit_limit_bytes").right.kind is Kind.SIZE
    assert compared("os_id = machine").right.kind is Kind.TEXT
    assert compared("os_id = psi").right.value == "psi"


def test_a_service_by_name():
    """With or without quotation marks."""
    for name in ('"feed-sync.service"', "feed-sync.service", "'feed-sync.service'"):
        found = compared(f"unit({name}).memory_max_bytes <= 2GiB")
        assert (found.left.unit, found.left.field) == ("feed-sync.service", "memory_max_bytes")


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 1, "expected all, any, no or count"),
        ("every host: psi", 1, "expected all, any, no or count"),
        ("all hosts: psi", 5, "expected 'host'"),
        ("all host", 9, "it ends here"),
        ("all host where psi", 19, "expected ':'"),
        ("any host", 9, "expected ':'"),
        ("all host: swap_totl_bytes > 1", 11, "no such fact"),
        ("all host: psi psi", 15, "expected the end"),
        ("all host: (psi", 15, "expected `)`"),
        ("all host: psi)", 14, "expected the end"),
        ("all host: os_id > 3", 17, "has no >"),
        ("all host: swap_total_bytes > much", 30, "not a size"),
        ("all host: age_seconds > 3 x", 27, "expected the end"),
        ("all host: os_version_id > el8", 27, "no version"),
        ("all host: psi = maybe", 17, "true or false"),
        ("all host: rule XYZ-001 = pass", 16, "rule's id"),
        ("all host: rule PAN-001 = unknown", 26, "expected pass, fail"),
        ("all host: rule PAN-001", 23, "expected an operator"),
        ("all host: os_id = 'x", 19, "quotation that does not end"),
        ("all host: os_id = $", 19, "not understood"),
        ("all host: unit(x) > 1", 19, "field of a service"),
        ("all host: unit(x).memory_mx_bytes > 1", 18, "field of a service"),
        ("count(host: psi)", 17, "expected an order"),
        ("count(host: psi) <= x", 21, "whole number"),
        ("count(host: psi) <= 1.5", 21, "whole number"),
        ("all host: vm.swappiness < low", 27, "not a size"),
        ("all host: not", 14, "expected the name of a fact"),
        ("all host: swap_total_bytes >= os_id", 31, "not a size"),
    ],
)
def test_an_error_says_which_column(text, column, said):
    """What was expected there, and what stands there instead."""
    with pytest.raises(PredicateError) as caught:
        parse(text)
    assert caught.value.column == column, caught.value.message
    assert said in caught.value.message
    assert caught.value.exit_code == 2


def test_a_misspelt_name_gets_a_suggestion():
    """The nearest names."""
    with pytest.raises(PredicateError) as caught:
        parse("all host: swap_totl_bytes > 1")
    assert "swap_total_bytes" in caught.value.help


def test_it_is_bounded():
    """Length and depth end in an error, not in an exhausted stack."""
    with pytest.raises(PredicateError, match="longer than"):
        parse("all host: psi" + " " * TEXT_LIMIT)
    deep = DEPTH_LIMIT + 1
    with pytest.raises(PredicateError, match="nested deeper"):
        parse("all host: " + "(" * deep + "psi" + ")" * deep)
    with pytest.raises(PredicateError, match="nested deeper"):
        parse("all host: " + "not " * deep + "psi")


def test_versions_are_numbers():
    """8.10 is after 8.9, 8.0 is 8, and what is no version is none."""
    assert version("8.10") > version("8.9")
    assert version("8.0") == version("8")
    assert version("bookworm") is None
    assert version("٨") is None


def test_what_is_no_kernel_is_no_bound_of_one():
    """`>= newest` is refused where it stands, with what can be written."""
    with pytest.raises(PredicateError, match="column 29: no kernel release") as caught:
        parse("all host: kernel_release >= newest")
    assert "3.10.0-1160" in caught.value.help
