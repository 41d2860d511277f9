"""Whole files: readers and crashes see the old content or the new one, never a part."""

import os
import stat
from pathlib import Path

import pytest

from a9fe.runtime import whole_files


def test_a_file_is_its_owners_alone_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o644)
    whole_files.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_a_draft_of_a_killed_writer_is_overwritten_and_a_link_is_not_followed(
    tmp_path: Path,
) -> None:
    other = tmp_path / "other"
    other.write_text("kept")
    (tmp_path / ".key.new").symlink_to(other)
    whole_files.replace(tmp_path / "key", b"new")
    assert (tmp_path / "key").read_bytes() == b"new"
    assert other.read_text() == "kept"


@pytest.mark.parametrize("write", [whole_files.replace, whole_files.create])
def test_a_failed_write_changes_nothing_and_leaves_no_draft(tmp_path: Path, write) -> None:
    (tmp_path / "key" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="key"):
        write(tmp_path / "key", b"new")
    assert [path.name for path in tmp_path.rglob("*")] == ["key", "inside"]


def test_create_keeps_the_file_of_the_writer_that_was_first(tmp_path: Path) -> None:
    path = tmp_path / "id"
    whole_files.create(path, b"first", mode=0o644)
    with pytest.raises(FileExistsError):
        whole_files.create(path, b"second", mode=0o644)
    assert path.read_bytes() == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["id"]


def test_a_file_is_read_up_to_its_limit_and_not_past_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert whole_files.read(path, 5) == b"12345"
    with pytest.raises(whole_files.TooLarge, match="more than 4 bytes"):
        whole_files.read(path, 4)
