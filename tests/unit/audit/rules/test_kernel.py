"""KRN: dates and builds from the tables, and silence about what is not in them."""

from tests.fakes.facts import healthy, seed_like

from forestall.audit.rules import kernel

JULY_2024 = 1_719_792_001.0


def test_the_day_after_the_end():
    """RHEL 7's maintenance ended on 2024-06-30: fine before, found after."""
    assert kernel.past_maintenance(seed_like(at=JULY_2024 - 3_600)) is None
    found = kernel.past_maintenance(seed_like(at=JULY_2024))
    assert found is not None
    assert "since 2024-06-30" in found.text


def test_an_unknown_system_is_not_accused():
    """What the table does not know is not judged."""
    assert kernel.past_maintenance(healthy(os_id="gentoo", os_version_id="2.15")) is None
    assert kernel.past_maintenance(healthy(os_id=None)) is None
    assert kernel.past_maintenance(healthy(os_id="debian", os_version_id=None)) is None


def test_older_minor():
    """Build 957 is 7.6; 1160 is the last; a z-stream of it stays the last."""
    assert kernel.not_the_last_minor(seed_like()) is not None
    assert (
        kernel.not_the_last_minor(seed_like(kernel_release="3.10.0-1160.119.1.el7.x86_64")) is None
    )
    z_stream = kernel.not_the_last_minor(seed_like(kernel_release="3.10.0-957.21.3.el7.x86_64"))
    assert z_stream is not None


def test_a_kernel_of_another_maker_is_not_judged():
    """A vanilla 5.4 from elsewhere has no place in the table."""
    assert (
        kernel.not_the_last_minor(seed_like(kernel_release="5.4.278-1.el7.elrepo.x86_64")) is None
    )
    assert kernel.not_the_last_minor(healthy(kernel_release=None)) is None
