"""The catalogue of signals."""

import dataclasses
import re

from forestall.model.sample import CgroupSample, HostSample, ProcessSample
from forestall.sense.signals import METRICS, SIGNALS, of

NOUNS = {"process": ProcessSample, "cgroup": CgroupSample, "host": HostSample}

NO_SIGNALS = {"key", "name", "cgroup", "unit", "uid", "path", "pressure"}


def test_every_signal_is_an_attribute_of_its_noun():
    """A name in the catalogue is what code reads."""
    for signal in SIGNALS:
        assert hasattr(NOUNS[signal.noun], signal.name), signal


def test_every_number_of_a_sample_is_in_the_catalogue():
    """Whoever adds a field to a sample says here what it is."""
    for noun, cls in NOUNS.items():
        fields = {field.name for field in dataclasses.fields(cls)} - NO_SIGNALS
        assert fields <= {signal.name for signal in of(noun)}


def test_metrics_are_named_by_the_house_rule():
    """forestall_<noun>_<unit>[_total], unique, counters and only counters with _total."""
    assert len(METRICS) == sum(signal.metric is not None for signal in SIGNALS)
    for name, signal in METRICS.items():
        assert re.fullmatch(rf"forestall_{signal.noun}(_[a-z]+)+", name)
        assert name.endswith("_total") == signal.counter
        assert f"_{signal.unit}" in name, name


def test_what_node_exporter_has_is_not_exported_again():
    """Of the host only what is derived is exported."""
    assert [signal.name for signal in of("host") if signal.metric] == ["headroom_bytes"]


def test_names_are_unique_within_a_noun_and_help_is_a_sentence():
    """The catalogue can be printed as documentation."""
    assert len({(signal.noun, signal.name) for signal in SIGNALS}) == len(SIGNALS)
    assert all(signal.help.endswith(".") and signal.source for signal in SIGNALS)
