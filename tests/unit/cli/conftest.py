"""Fixtures: commands that call a fake API."""

from collections.abc import Iterator

import pytest

from tests.kit.cli_shell import Shell
from tests.kit.fake_api import running_api


@pytest.fixture
def shell() -> Iterator[Shell]:
    with running_api() as api:
        yield Shell(api)
