import os
import subprocess
import sys

import pytest

from forestall.agent.state import StateFolder
from forestall.errors import ForestallError


def test_one_agent_at_a_time(tmp_path):
    """A second agent on the folder is told so; after the first is gone it may."""
    folder = str(tmp_path / "a" / "b")
    with StateFolder(folder):
        code = (
            "import sys\n"
            "from forestall.agent.state import StateFolder\n"
            "from forestall.errors import ForestallError\n"
            "try: StateFolder(sys.argv[1])\n"
            "except ForestallError as error: print(error.message)\n"
        )
        other = subprocess.run(
            [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
        )
        assert "another agent keeps its state there" in other.stdout
    StateFolder(folder).close()
    assert os.stat(folder).st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_is_one_clear_error(tmp_path):
    """A file in the way and a read-only place say what and what to do."""
    (tmp_path / "file").write_text("")
    for path in (str(tmp_path / "file" / "below"), "/proc/forestall"):
        with pytest.raises(ForestallError, match="no state can be kept there") as caught:
            StateFolder(path)
        assert "--state" in (caught.value.help or "")
