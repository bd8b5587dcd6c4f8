"""The demo's supervisor."""

import os

import pytest

from forestall.demo.limit import Cage
from forestall.demo.supervisor import Service, running
from forestall.errors import ForestallError
from forestall.units import MIB


def _children():
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as children:
        return set(children.read().split())


def test_a_service_that_cannot_be_put_under_its_limit_is_not_left_running(tmp_path):
    """Where the cgroup takes no process, the demo ends with one line and without a process."""
    before = _children()
    cage = Cage(limit_bytes=MIB, folder=str(tmp_path / "gone"))
    with pytest.raises(ForestallError), running(Service("leaky", 1.0, fixed=False, cage=cage)):
        pass
    assert _children() == before
