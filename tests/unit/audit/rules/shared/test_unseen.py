"""The answer where evidence was not read."""

from tests.fakes.facts import healthy

from forestall.audit.posture import Posture
from forestall.audit.rules.shared.unseen import unseen
from forestall.model.finding import FindingState


def test_why_a_field_is_missing():
    """The reader's reason where it left one, else what is usual for the field, else the fact."""
    host = Posture(healthy(unseen={"kdump": "needs root"}))
    said = {field: unseen(host, field, "It") for field in ("kdump", "units", "psi")}
    assert all(one.state is FindingState.UNKNOWN for one in said.values())
    assert said["kdump"].text == "It is unknown: needs root."
    assert said["units"].text == "It is unknown: systemd could not be asked."
    assert said["psi"].text == "It is unknown: it was not read."
