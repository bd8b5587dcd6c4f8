"""What the agent of a drill is given: its configuration, and how it is started in the machine."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drills.replay.stage import Stage


def start(stage: Stage, log: Path) -> subprocess.Popen[bytes]:
    """Start the shipped agent in the machine."""
    raise NotImplementedError
