"""Databases and servers for all tests. A test's folders are its kind and its room.

Tests below heavy/store and heavy/server that use a database run on SQLite and on PostgreSQL.
`pytest.mark.sqlite` limits a test to SQLite.
"""

import logging as stdlib_logging
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import structlog
from hypothesis import HealthCheck, settings

from a9fe.runtime import logging
from tests.kit.databases import DATABASES
from tests.kit.guarded_world import Guarded
from tests.kit.server_world import World

# No test fails because an example took long on a busy machine. The same examples run each time,
# so that a failure concerns the change under test; `./run test --repeat` tries new ones.
settings.register_profile(
    "a9fe",
    deadline=None,
    derandomize="HYPOTHESIS_NEW_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("a9fe")

BOTH = ["sqlite", pytest.param("postgresql")]
TESTS = Path(__file__).parent
ON_BOTH = {("heavy", "server"), ("heavy", "store")}  # folders whose tests run on both databases
THAT_USE_ONE = {"tmp_path", "tmp_path_factory", "world", "guarded", "store"}


def folders(path: Path) -> tuple[str, ...]:
    """Return the folders of a test module below tests/: its kind, then its room."""
    return path.relative_to(TESTS).parts[:-1]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that uses a database on SQLite and on PostgreSQL."""
    path = Path(str(metafunc.module.__file__))
    both = folders(path)[:2] in ON_BOTH and THAT_USE_ONE & set(metafunc.fixturenames)
    if both and not list(metafunc.definition.iter_markers("sqlite")):
        metafunc.parametrize("database_kind", BOTH, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def database_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Choose the kind of database that DATABASES makes; drop the module's databases."""
    DATABASES.kind = getattr(request, "param", "sqlite")
    mark = DATABASES.mark()
    yield DATABASES.kind
    DATABASES.drop(mark)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Give each test an empty directory with a short path: that of a socket has 107 bytes at most.

    pytest's own names the user, a running number, the worker and the test.
    """
    with TemporaryDirectory(prefix="a9fe-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def database_drops() -> Iterator[None]:
    """Drop the databases that the test made."""
    mark = DATABASES.mark()
    yield
    DATABASES.drop(mark)


@pytest.fixture(scope="session", autouse=True)
def cluster_ends() -> Iterator[None]:
    """Stop the cluster that the first test on PostgreSQL started."""
    yield
    DATABASES.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Yield a server on which every caller is admin."""
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    """Yield a server that requires tokens."""
    made = Guarded(tmp_path)
    yield made
    made.close()


@pytest.fixture
def own_log_stream() -> Iterator[None]:
    """Restore the logging configuration after the test."""
    root = stdlib_logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.configure("test")
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
