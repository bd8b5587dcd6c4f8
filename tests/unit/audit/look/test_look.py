"""The whole of look, from facts alone."""

import pytest
from tests.fakes.facts import healthy, seed_like

from forestall.audit.look import look
from forestall.model.codec import from_document, to_document
from forestall.model.finding import Look


@pytest.mark.parametrize("facts", [healthy(), seed_like(), seed_like(container="docker")])
def test_document_round_trip(facts):
    """What --json prints can be read back into the same nouns."""
    seen = look(facts)
    assert from_document(Look, to_document(seen)) == seen


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (seed_like(), "PAN-001 first: sysctl -w vm.panic_on_oom=0"),
        (healthy(), "Nothing to change tonight. To hear of a leak early: forestall watch"),
        (healthy(guards=("earlyoom", "forestall")), "forestall guard ledger --since 7d"),
        (healthy(hidden_processes=True), "run forestall look as root"),
    ],
)
def test_one_thing_to_do_next(facts, words):
    """The gravest finding's remedy, or what comes after it when there is none."""
    assert words in look(facts).next_step


def test_the_exception_to_a_remedy_stands_with_the_finding():
    """The next step is the command, without the cases where it should not be done."""
    assert "fences" not in look(seed_like()).next_step
