"""What was decided and what came of it, on disk: plans and outcomes in one journal."""

import os
from collections.abc import Callable, Iterator

from forestall.errors import InputError, JournalError
from forestall.guard.history import History, fold
from forestall.guard.recipe import without_secrets
from forestall.journal import Damage, Journal, read
from forestall.model import codec
from forestall.model.action import Outcome, Plan
from forestall.units import MIB

LEDGER_NAME = "ledger.journal"
LEDGER_BYTES_MAX = 8 * MIB
LEDGER_SEGMENTS_MAX = 4


class Ledger:
    """The writer, and the history it adds up to. Raises JournalError when another one holds it.

    At most LEDGER_BYTES_MAX in the file and LEDGER_SEGMENTS_MAX older files of that size.
    `sync` is the journal's own parameter, because failing disks are tested.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = LEDGER_BYTES_MAX,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self.path = os.fspath(path)
        self._max_bytes = max_bytes
        self._sync = sync
        self._journal = self._open()
        self.history: History = fold(read_ledger(self.path))

    def record(self, noun: Plan | Outcome) -> None:
        """Make one plan or outcome durable. Raises JournalError when it is not on disk.

        The history holds it in either case, so that a full disk does not have guard plan for
        the same trouble at every tick.
        """
        self.history = fold((noun,), self.history)
        document = codec.to_document(without_secrets(noun) if isinstance(noun, Plan) else noun)
        try:
            self._journal.append(document)
        except JournalError:
            # A journal that failed once acknowledges nothing more until it is opened again.
            self._journal.close()
            self._journal = self._open()
            self._journal.append(document)

    def close(self) -> None:
        """Release the lock."""
        self._journal.close()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self) -> Journal:
        return Journal(
            self.path,
            max_bytes=self._max_bytes,
            keep_segments=LEDGER_SEGMENTS_MAX,
            sync=self._sync,
        )


def read_ledger(
    path: str | os.PathLike[str], *, damaged: list[str] | None = None
) -> Iterator[Plan | Outcome]:
    """Plans and outcomes in the order they were recorded; needs no lock.

    What is no such document is skipped, and said in `damaged`. Raises JournalError when the
    journal cannot be read; one that does not exist holds nothing.
    """
    said = [] if damaged is None else damaged
    damages: list[Damage] = []
    for record in read(path, damaged=damages):
        schema = record.data.get("schema")
        try:
            if schema == Plan.SCHEMA:
                yield codec.from_document(Plan, record.data)
            elif schema == Outcome.SCHEMA:
                yield codec.from_document(Outcome, record.data)
            else:
                said.append(f"record {record.sequence}: a document of the kind {schema!r}")
        except InputError as error:
            said.append(f"record {record.sequence}: {error.message}")
    said.extend(
        f"{damage.length} bytes at {damage.offset} of {damage.path}: {damage.reason}"
        for damage in damages
        if damage.is_worth_a_word
    )
