"""A process that appends for as long as it lives and says each acknowledgement on its output.

usage: journal_writer.py PATH START MAX_BYTES KEEP_SEGMENTS
Writes one line per acknowledgement: `<sequence> <number>`; numbers count up from START.
"""

import os
import sys

from forestall.journal import Journal


def main() -> None:
    path, start, max_bytes, keep = sys.argv[1], *map(int, sys.argv[2:])
    number = start
    with Journal(path, max_bytes=max_bytes, keep_segments=keep) as journal:
        os.write(1, b"ready\n")
        while True:
            # From one line to many pages, alone and in batches, so that kills fall into writes.
            batch = [
                {"number": number + i, "text": "x" * ((number + i) % 7) ** 6}
                for i in range(1 + number % 3)
            ]
            sequences = journal.append_all(batch)
            said = "".join(
                f"{sequence} {record['number']}\n"
                for sequence, record in zip(sequences, batch, strict=True)
            )
            os.write(1, said.encode())
            number += len(batch)


main()
