"""The id of an installation and the mark made from it."""

import shutil
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.plan import mark as marks
from a9fe.plan.mark import Mark
from a9fe.runtime.config import Config, load
from a9fe.runtime.errors import StartError
from a9fe.runtime.state import installation

MINE, OTHER = Mark("0123456789abcdef" * 2), Mark("f" * 32)


def config(path: Path) -> Config:
    path.mkdir(exist_ok=True)
    return load({"state_path": str(path)}, {})


def test_it_is_made_once_and_everybody_may_read_it(tmp_path: Path) -> None:
    first = config(tmp_path / "a")
    assert installation.read(first) == ""
    id = installation.ensure(first)
    assert installation.ensure(first) == installation.read(first) == id
    assert marks.ID.fullmatch(id)
    assert stat.S_IMODE(installation.path_of(first).stat().st_mode) == 0o644
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["installation"]
    assert installation.ensure(config(tmp_path / "b")) != id


def test_of_two_that_start_at_once_one_gives_the_id(tmp_path: Path) -> None:
    found = config(tmp_path)
    id = installation.ensure(found)
    late = installation._write(installation.path_of(found), "e" * 32, str(tmp_path))
    assert late == id == installation.read(found)


def test_a_copy_of_a_state_is_refused_and_a_moved_one_is_not(tmp_path: Path) -> None:
    id = installation.ensure(config(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with pytest.raises(StartError, match=rf"{tmp_path}/b' is a copy of '{tmp_path}/a'.*Remove "):
        installation.ensure(config(tmp_path / "b"))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert installation.ensure(config(tmp_path / "link")) == id
    shutil.rmtree(tmp_path / "a")
    assert installation.ensure(config(tmp_path / "b")) == id
    shutil.copytree(tmp_path / "b", tmp_path / "a")
    with pytest.raises(StartError, match="is a copy of"):
        installation.ensure(config(tmp_path / "a"))


@pytest.mark.parametrize("text", ["", "x\n", "A" * 32, "a" * 33, "\xff\n"])
def test_a_file_without_an_id_is_named(tmp_path: Path, text: str) -> None:
    found = config(tmp_path)
    installation.path_of(found).write_bytes(text.encode("latin-1"))
    with pytest.raises(StartError, match=str(installation.path_of(found))):
        installation.ensure(found)


@pytest.mark.parametrize(
    ("alias", "group", "ours"),
    [
        (MINE.text, MINE.group, True),
        (MINE.text, 0, True),
        ("", MINE.group, True),  # the process that made it was killed before it set the alias
        ("uplink of web1", MINE.group, True),  # an operator changed the alias
        ("", 0, False),
        ("uplink of web1", 0, False),
        (OTHER.text, OTHER.group, False),
        (OTHER.text, MINE.group, False),
        ("", OTHER.group, False),
        (MINE.text + "0", 0, False),
    ],
)
def test_which_objects_are_ours(*, alias: str, group: int, ours: bool) -> None:
    assert MINE.owns(alias, group) is ours


@given(st.text("0123456789abcdef", min_size=32, max_size=32))
def test_a_mark_is_read_as_it_is_written_and_its_group_is_nobodys(id: str) -> None:
    assert marks.read(Mark(id).text) == Mark(id)
    assert 2**30 <= Mark(id).group < 2**31


@pytest.mark.parametrize("text", ["", "a9fe:", "a9fe:x", "f" * 32, "b9fe:" + "f" * 32])
def test_texts_that_are_no_mark(text: str) -> None:
    assert marks.read(text) is None
