import os

import pytest
from tests.fakes.clock import FakeClock

from forestall.agent.budget import (
    SLOWDOWN_MAX,
    Budget,
    OverBudgetError,
    OwnStatm,
    shield_from_oom_killer,
)

MIB = 1024 * 1024


class Use:
    """What the agent is said to take."""

    def __init__(self) -> None:
        self.rss: int | None = 20 * MIB
        self.cpu = 0.0


def make(use: Use, clock: FakeClock) -> Budget:
    return Budget(clock, rss_bytes_max=32 * MIB, read_rss=lambda: use.rss, read_cpu=lambda: use.cpu)


def test_at_the_limit_it_goes_on_and_beyond_it_ends_with_both_numbers():
    """Exactly the limit is allowed; a byte more ends the agent, and the line says why."""
    use = Use()
    budget = make(use, FakeClock())
    use.rss = 32 * MIB
    budget.check()
    use.rss = 33 * MIB
    with pytest.raises(OverBudgetError, match=r"holds 33 MiB, more than the 32 MiB"):
        budget.check()


def test_a_host_that_cannot_tell_its_size_never_ends_it():
    """None is no number: an agent that cannot read its own size goes on."""
    use = Use()
    use.rss = None
    budget = make(use, FakeClock())
    budget.check()
    assert budget.use.rss_bytes is None


def test_it_slows_down_while_it_takes_too_much_and_recovers():
    """Each window above the share doubles the interval up to a limit; quiet ones undo it."""
    use, clock = Use(), FakeClock()
    budget = make(use, clock)
    slowdowns = []
    for share in [0.2] * 5 + [0.03] + [0.0] * 4:
        clock.sleep(60)
        use.cpu += 60 * share
        said = budget.check()
        slowdowns.append(budget.slowdown)
        assert (said is not None) == (len(slowdowns) < 2 or slowdowns[-1] != slowdowns[-2])
    assert slowdowns == [2, 4, 8, 8, 8, 8, 4, 2, 1, 1]
    assert max(slowdowns) == SLOWDOWN_MAX


def test_within_a_window_nothing_is_judged():
    """A second of work in the first seconds says nothing about a minute."""
    use, clock = Use(), FakeClock()
    budget = make(use, clock)
    clock.sleep(2)
    use.cpu = 2.0
    assert budget.check() is None
    assert budget.slowdown == 1


def test_own_statm_is_what_the_kernel_says():
    """The resident size is in bytes: this interpreter holds more than 5 MiB and less than 2 GiB."""
    rss = OwnStatm().rss_bytes()
    assert rss is not None
    assert 5 * MIB < rss < 2048 * MIB
    assert OwnStatm("/nonexistent/statm").rss_bytes() is None


def test_the_shield_reports_what_happened(tmp_path):
    """Lowering is tried, and refused, unreadable and superfluous are told apart."""
    file = tmp_path / "oom_score_adj"
    file.write_text("0\n")
    assert shield_from_oom_killer(str(file)) == "oom_score_adj lowered from 0 to -900"
    assert file.read_text() == "-900\n"
    assert shield_from_oom_killer(str(file)) == "oom_score_adj is -900 already"
    assert "stays as it is" in shield_from_oom_killer(str(tmp_path / "absent"))
    file.write_text("?\n")
    assert "no number" in shield_from_oom_killer(str(file))
    assert os.path.exists(file)
