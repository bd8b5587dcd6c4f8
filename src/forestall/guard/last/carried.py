"""What the agent holds in memory, carried to the process that writes it down as evidence."""

from array import array

from forestall.clock import Clock, SystemClock
from forestall.errors import InputError
from forestall.model.codec import Json, decode, encode
from forestall.model.facts import HostFacts
from forestall.model.sample import Sample
from forestall.model.series import Series
from forestall.model.verdict import Subject
from forestall.sense.host import Host


class Carried:
    """`Recent` of the capture, on the other side: the sample and series of the last request."""

    def __init__(self, host: Host, clock: Clock | None = None) -> None:
        self.host = host
        self._clock = clock or SystemClock()
        self._sample: Sample | None = None
        self._series: Series | None = None
        self._facts: HostFacts | None = None

    def take(self, document: Json) -> None:
        """Keep what came with a request. Raises InputError where it is damaged."""
        self._sample = self._series = None
        if not isinstance(document, dict):
            return
        if document.get("sample") is not None:
            self._sample = decode(Sample, document["sample"])
        if document.get("series") is not None:
            self._series = _series(document["series"])

    def sample(self) -> Sample | None:
        return self._sample

    def facts(self) -> HostFacts | None:
        """As they were read last, by `read_facts`: they say when, and no capture waits for them."""
        return self._facts

    def read_facts(self) -> None:
        """Read the host's facts, before they are needed: it takes longer than a capture has."""
        # Imported here: the last stage does without its five megabytes.
        from forestall.sense.facts import read_facts

        self._facts = read_facts(self.host, self._clock)

    def series(self, subject: Subject) -> Series | None:
        return self._series


def to_carry(sample: Sample | None, series: Series | None) -> Json:
    """What `Carried.take` takes."""
    columns: Json = None
    if series is not None:
        columns = {
            "subject": encode(series.subject),
            "signal": series.signal,
            "times": list(series.times),
            "values": list(series.values),
        }
    return {"sample": None if sample is None else encode(sample), "series": columns}


def _series(data: Json) -> Series:
    try:
        return Series(
            subject=decode(Subject, data["subject"]),
            signal=str(data["signal"]),
            times=array("d", data["times"]),
            values=array("d", data["values"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"no series in a request: {error}") from None
