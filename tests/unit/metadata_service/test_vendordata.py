"""The vendordata file: read again when it changes; a bad one breaks nothing else."""

import json
import os
from pathlib import Path

import pytest

from a9fe.runtime.static_vendordata import SIZE_MAX, VendordataFile


class Told(list[tuple[str, str]]):
    def __call__(self, path: str, reason: str) -> None:
        self.append((path, reason))


def test_without_a_path_there_is_no_vendor_data():
    told = Told()
    assert VendordataFile("", told)() == {}
    assert told == []


@pytest.mark.parametrize("value", [{"a": [1, None]}, [], "text", 3, None])
def test_any_json_is_accepted(tmp_path: Path, value: object):
    path = tmp_path / "vendor.json"
    path.write_text(json.dumps(value))
    told = Told()
    assert VendordataFile(str(path), told)() == value
    assert told == []


def test_a_change_is_seen_by_the_next_call(tmp_path: Path):
    path = tmp_path / "vendor.json"
    path.write_text('{"a": 1}')
    vendordata = VendordataFile(str(path), Told())
    assert vendordata() == {"a": 1}
    path.write_text('{"a": 2}')
    os.utime(path, ns=(1, 1))
    assert vendordata() == {"a": 2}
    fresh = tmp_path / "fresh.json"
    fresh.write_text('{"a": 3}')
    os.utime(fresh, ns=(1, 1))
    os.rename(fresh, path)
    assert vendordata() == {"a": 3}
    path.unlink()
    assert vendordata() == {}


def test_without_a_change_it_is_not_read_again(tmp_path: Path):
    path = tmp_path / "vendor.json"
    path.write_text('{"a": 1}')
    vendordata = VendordataFile(str(path), Told())
    assert vendordata() is vendordata()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'"\xff"', "utf-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'"' + b"a" * SIZE_MAX + b'"', "more than 1048576 bytes"),
    ],
)
def test_a_bad_file_is_reported_once_and_served_as_empty(
    tmp_path: Path, content: bytes, reason: str
):
    path = tmp_path / "vendor.json"
    path.write_bytes(content)
    told = Told()
    vendordata = VendordataFile(str(path), told)
    assert [vendordata(), vendordata()] == [{}, {}]
    assert len(told) == 1
    assert told[0][0] == str(path)
    assert reason in told[0][1]


def test_a_mended_file_is_served(tmp_path: Path):
    path = tmp_path / "vendor.json"
    path.write_text("{")
    vendordata = VendordataFile(str(path), Told())
    assert vendordata() == {}
    path.write_text('{"a": 1}')
    assert vendordata() == {"a": 1}


def test_a_path_that_is_not_a_file_is_reported(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    told = Told()
    for name in ("fifo", "missing", "."):
        assert VendordataFile(str(tmp_path / name), told)() == {}
    assert [reason for _, reason in told] == [
        "not a regular file",
        "No such file or directory",
        "not a regular file",
    ]


def test_the_largest_file_is_accepted_and_one_byte_more_is_not(tmp_path: Path):
    path, told = tmp_path / "vendor.json", Told()
    file = VendordataFile(str(path), told)
    largest = b'"' + b"a" * (SIZE_MAX - 2) + b'"'
    path.write_bytes(largest)
    assert len(str(file())) == SIZE_MAX - 2
    path.write_bytes(largest + b" ")
    assert file() == {}
    assert told == [(str(path), f"more than {SIZE_MAX} bytes")]
