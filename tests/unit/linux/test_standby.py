"""A fork that does one work if it is asked."""

from pathlib import Path

import pytest

from a9fe.linux.processes.standby import Standby
from a9fe.model.errors import A9feError


def test_the_work_is_done_when_asked_and_not_before(tmp_path: Path):
    done = tmp_path / "done"
    standby = Standby(lambda: done.touch() or "text")
    assert not done.exists()
    assert standby.do() == "text"
    assert done.exists()
    standby.close()


def test_it_ends_without_the_work(tmp_path: Path):
    Standby((tmp_path / "done").touch).close()
    assert not (tmp_path / "done").exists()


def test_an_error_of_the_work_is_ours():
    def work() -> None:
        raise ValueError("the database is full")

    standby = Standby(work)
    with pytest.raises(A9feError, match="the database is full"):
        standby.do()
    standby.close()
