"""`forestall drill two-hours-forty`: the seed incident replayed, with each guard on its own."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from drills.replay.command import main

if __name__ == "__main__":
    sys.exit(main())
