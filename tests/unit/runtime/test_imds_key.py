"""The key of a host's IMDSv2 tokens: made once, kept, readable by its owner alone."""

import stat
from pathlib import Path

import pytest

from a9fe.runtime.config import Config, load
from a9fe.runtime.state import imds_key


def config_of(directory: Path) -> Config:
    config = load({"state_path": str(directory)})
    imds_key.directory_of(config).mkdir()
    return config


def test_it_is_the_same_at_every_start_and_of_one_user_only(tmp_path: Path):
    config = config_of(tmp_path)
    key = imds_key.ensure(config)
    assert len(bytes.fromhex(key)) == imds_key.KEY_BYTES
    assert imds_key.ensure(config) == key
    [file] = (tmp_path / "imds").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_each_host_has_its_own(tmp_path: Path):
    keys = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        keys.add(imds_key.ensure(config_of(tmp_path / name)))
    assert len(keys) == 2


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 64, b"0" * 63 + b"\n"])
def test_a_damaged_file_is_replaced(tmp_path: Path, content: bytes):
    config = config_of(tmp_path)
    path = tmp_path / "imds" / "key"
    path.write_bytes(content)
    key = imds_key.ensure(config)
    assert path.read_text() == f"{key}\n"


def test_a_key_that_cannot_be_stored_is_used_while_the_process_runs(tmp_path: Path):
    config = load({"state_path": str(tmp_path)})
    assert imds_key.ensure(config) != imds_key.ensure(config), "there is no directory"
