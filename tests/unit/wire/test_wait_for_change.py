"""Requests that wait for a change: which may, and the same request without a wait."""

import pytest

from a9fe.wire.wait_for_change import without_wait


@pytest.mark.parametrize("value", [b"true", b"True", b"TRUE"])
def test_a_request_without_its_wait_asks_for_the_same(value: bytes):
    target = b"/latest/user-data?recursive=true&wait_for_change=%b&timeout_sec=60"
    assert without_wait(target % value) == target % b"false"
