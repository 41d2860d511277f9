"""What changes the kernel does so in the sandbox alone."""

import pytest

from tests.lab.command import inside_sandbox


@pytest.fixture(scope="session", autouse=True)
def sandbox() -> None:
    """Nothing of this machine's own is touched."""
    assert inside_sandbox(), "kernel tests run in the sandbox of `./run test kernel`"
