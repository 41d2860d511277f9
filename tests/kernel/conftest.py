"""Tests that change the kernel run only in the sandbox."""

import pytest

from tests.lab.command import inside_sandbox


@pytest.fixture(scope="session", autouse=True)
def sandbox() -> None:
    """Fail outside the sandbox, before anything of the machine is changed."""
    assert inside_sandbox(), "kernel tests run in the sandbox of `./run test kernel`"
