"""Journals under generated histories: whatever happens, what was acknowledged is read back."""

import os
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.fakes.disk import FakeDisk

from forestall.errors import JournalError
from forestall.journal import Journal, read

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECORD = st.dictionaries(st.text(max_size=10), JSON, max_size=4)


def in_folder(check):
    """Run a check with the path of a journal that does not exist yet."""
    with tempfile.TemporaryDirectory() as folder:
        return check(os.path.join(folder, "x.journal"))


@settings(deadline=None, max_examples=60)
@given(st.lists(RECORD, max_size=6))
def test_any_json_object_comes_back_as_it_was(records):
    """Append and read are inverse for every JSON object."""

    def check(path):
        with Journal(path, sync=FakeDisk().sync) as journal:
            journal.append_all(records)
        assert [record.data for record in read(path)] == records

    in_folder(check)


EDIT = st.tuples(
    st.sampled_from(["overwrite", "insert", "delete"]),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=40) | st.sampled_from([b"\n", b"\0" * 30, b"\n1 00000000 {}\n"]),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(RECORD, min_size=3, max_size=8), st.lists(EDIT, min_size=1, max_size=4))
def test_records_whose_bytes_are_untouched_survive_any_damage(records, edits):
    """Overwritten, inserted and deleted bytes cost only the records they touch; none is made up."""

    def check(path):
        with Journal(path, sync=FakeDisk().sync) as journal:
            journal.append_all(records)
        with open(path, "rb") as file:
            lines = file.read().splitlines(keepends=True)
        data = b"".join(lines)
        for kind, place, piece in edits:
            at = int(place * len(data))
            behind = at if kind == "insert" else at + len(piece)
            data = data[:at] + (b"" if kind == "delete" else piece) + data[behind:]
        with open(path, "wb") as file:
            file.write(data)
        before = [
            (number, record)
            for number, (record, line) in enumerate(zip(records, lines, strict=True), start=1)
            if line in data
        ]
        written = list(enumerate(records, start=1))
        for _ in ("read by a reader", "read after a writer's recovery"):
            found = [(record.sequence, record.data) for record in read(path)]
            assert [pair for pair in found if pair in before] == before
            assert all(pair in written for pair in found)
            Journal(path, sync=FakeDisk().sync).close()

    in_folder(check)


class Histories(RuleBasedStateMachine):
    """Appends, failing syncs, crashes and reopenings; the model is what was acknowledged."""

    @initialize(max_bytes=st.integers(300, 2000))
    def start(self, max_bytes):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "x.journal")
        self.disk = FakeDisk()
        self.max_bytes = max_bytes
        self.acknowledged = {}
        self.number = 0
        self.journal = self.open()

    def open(self):
        return Journal(
            self.path, max_bytes=self.max_bytes, keep_segments=10_000, sync=self.disk.sync
        )

    @rule(count=st.integers(1, 4), size=st.integers(0, 60))
    def append(self, count, size):
        batch = [{"n": self.number + i, "text": "x" * size} for i in range(count)]
        self.number += count
        try:
            sequences = self.journal.append_all(batch)
        except JournalError:
            return
        assert not self.acknowledged.keys() & set(sequences)
        self.acknowledged |= dict(zip(sequences, batch, strict=True))

    @rule()
    def sync_fails_once(self):
        self.disk.failures = 1
        try:
            self.journal.append({"n": -1})
            raise AssertionError("acknowledged without a sync")
        except JournalError:
            self.disk.failures = 0

    @rule()
    def reopen(self):
        self.journal.close()
        self.journal = self.open()

    @rule(torn=st.binary(min_size=1, max_size=200))
    def crash_in_a_write(self, torn):
        """Bytes of a record that was never acknowledged are at the end, in any state."""
        self.journal.close()
        with open(self.path, "ab") as file:
            file.write(torn)
        self.journal = self.open()

    @precondition(lambda self: self.acknowledged)
    @rule()
    def crash_between_segments(self):
        self.journal.close()
        if os.path.getsize(self.path):
            first = next(iter(read_one(self.path)))
            os.rename(self.path, f"{self.path}.{first:019d}")
        self.journal = self.open()

    @invariant()
    def everything_acknowledged_is_read_in_order(self):
        if not hasattr(self, "journal"):
            return
        found = [(record.sequence, record.data) for record in read(self.path)]
        assert found == sorted(self.acknowledged.items())

    def teardown(self):
        if hasattr(self, "journal"):
            self.journal.close()
            self.folder.cleanup()


def read_one(path):
    """The numbers in one file of a journal."""
    with open(path, "rb") as file:
        return [int(line.split(b" ", 1)[0]) for line in file]


TestHistories = Histories.TestCase
TestHistories.settings = settings(deadline=None, max_examples=40, stateful_step_count=25)
