"""Kleene's laws, and the promise that missing data makes nothing true."""

from dataclasses import fields, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.facts import GIB, healthy

from forestall.audit.inputs.source import Seen
from forestall.audit.policy import Policy, role_of
from forestall.audit.predicates import PredicateError, evaluate, parse
from forestall.model.finding import Answer
from forestall.model.sample import HostSample

AT = 1_800_000_000.0
POLICY = Policy(hosts=(role_of("db=db*"),))

ATOMS = (
    "psi",
    "zswap = false",
    "swap_total_bytes >= 8GiB",
    "mem_total_bytes < 16GiB",
    "vm.panic_on_oom = 0",
    "vm.swappiness <= 10",
    "os_version_id >= 9",
    "os_id = rhel",
    "guards has earlyoom",
    "role = db",
    "cgroup_version != 1",
)
expressions = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}) and ({two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}) or ({two[1]})"),
    ),
    max_leaves=6,
)
predicates = st.one_of(
    st.tuples(st.sampled_from(["all", "any", "no"]), expressions, expressions).map(
        lambda parts: f"{parts[0]} host where {parts[1]}: {parts[2]}"
    ),
    st.tuples(expressions, st.sampled_from(["<", "<=", "=", "!=", ">"]), st.integers(0, 4)).map(
        lambda parts: f"count(host: {parts[0]}) {parts[1]} {parts[2]}"
    ),
)
maybe_size = st.sampled_from([None, 0, 8 * GIB, 16 * GIB])
facts = st.builds(
    lambda total, swap, **rest: healthy(
        at=AT - 60, memory=HostSample(mem_total_bytes=total, swap_total_bytes=swap), **rest
    ),
    total=maybe_size,
    swap=maybe_size,
    psi=st.sampled_from([None, True, False]),
    zswap=st.sampled_from([None, True, False]),
    os_id=st.sampled_from([None, "rhel", "debian"]),
    os_version_id=st.sampled_from([None, "8.10", "9", "sid"]),
    cgroup_version=st.sampled_from([None, 1, 2]),
    guards=st.sampled_from([None, (), ("earlyoom",)]),
    sysctls=st.fixed_dictionaries(
        {},
        optional={
            "vm.panic_on_oom": st.sampled_from(["0", "1"]),
            "vm.swappiness": st.sampled_from(["1", "60"]),
        },
    ),
)
fleets = st.lists(st.tuples(st.sampled_from(["db", "web"]), facts), min_size=1, max_size=4).map(
    lambda found: [
        Seen(name=f"{kind}{number}", facts=one) for number, (kind, one) in enumerate(found)
    ]
)


def ask(text, fleet, **options):
    return evaluate(parse(text), fleet, AT, policy=POLICY, **options).answer


def one_host(expression, seen):
    """The truth of an expression on one host: `any host: E` over it alone."""
    return ask(f"any host: {expression}", [seen])


OPPOSITE = {Answer.YES: Answer.NO, Answer.NO: Answer.YES, Answer.UNKNOWN: Answer.UNKNOWN}


@settings(max_examples=150, deadline=None)
@given(expressions, expressions, fleets)
def test_kleenes_laws(a, b, fleet):
    """Double negation, De Morgan, commutation, and neither contradiction nor excluded middle."""
    seen = fleet[0]
    truth = one_host(a, seen)
    assert one_host(f"not (not ({a}))", seen) is truth
    assert one_host(f"not ({a})", seen) is OPPOSITE[truth]
    assert one_host(f"not (({a}) and ({b}))", seen) is one_host(f"(not ({a})) or (not ({b}))", seen)
    assert one_host(f"({a}) and ({b})", seen) is one_host(f"({b}) and ({a})", seen)
    assert one_host(f"({a}) and (({a}) or ({b}))", seen) is truth
    assert one_host(f"({a}) and not ({a})", seen) is not Answer.YES
    assert one_host(f"({a}) or not ({a})", seen) is not Answer.NO


@settings(max_examples=300, deadline=None)
@given(predicates, fleets, st.data())
def test_missing_data_never_decides(text, fleet, data):
    """With values taken away, or hosts unread or stale, an answer stays or becomes unknown."""
    whole = ask(text, fleet)
    poorer = []
    for seen in fleet:
        loss = data.draw(st.sampled_from(["nothing", "values", "sysctls", "unread", "stale"]))
        found = seen.facts
        if loss == "values":
            name = data.draw(
                st.sampled_from(["psi", "zswap", "os_id", "os_version_id", "guards", "memory"])
            )
            found = replace(found, **{name: HostSample() if name == "memory" else None})
        elif loss == "sysctls":
            found = replace(found, sysctls={})
        elif loss == "stale":
            found = replace(found, at=AT - 10**6)
        poorer.append(
            Seen(name=seen.name, problem="timed out")
            if loss == "unread"
            else Seen(name=seen.name, facts=found)
        )
    assert ask(text, poorer, max_age_seconds=3600) in (whole, Answer.UNKNOWN)


@settings(max_examples=100, deadline=None)
@given(predicates, fleets)
def test_an_expected_host_is_as_one_that_was_not_read(text, fleet):
    """Leaving a host out of what is seen, but not out of what is expected, hides nothing."""
    *rest, last = fleet
    left_out = ask(text, rest, expected=[last.name])
    unread = ask(text, [*rest, Seen(name=last.name, problem="x")])
    assert left_out is unread


@settings(max_examples=100, deadline=None)
@given(predicates, fleets)
def test_no_order_of_hosts_matters(text, fleet):
    """The same hosts the other way round have the same answer."""
    assert ask(text, fleet) is ask(text, fleet[::-1])


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="alhost wer()'\"<>=!~:./0189GiBd_-*\n\t\x00é", max_size=60))
def test_any_text_is_a_predicate_or_an_error_with_a_column(text):
    """No text breaks the parser, and a column lies in the text or just behind it."""
    column = 1
    try:
        parse(text)
    except PredicateError as error:
        column = error.column
    assert 1 <= column <= len(text) + 1


def test_the_facts_of_these_tests_exist():
    """A renamed field would make the properties above hold for nothing."""
    names = {one.name for one in fields(healthy())}
    assert {"psi", "zswap", "os_id", "os_version_id", "guards", "memory", "sysctls"} <= names
