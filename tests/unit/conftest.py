"""Every test of the store and the server runs on SQLite and on PostgreSQL.

`pytest.mark.sqlite` keeps one of a file, or of no database at all, to SQLite.
"""

import logging as stdlib_logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from a9fe.runtime import logging
from tests.databases import DATABASES
from tests.unit.guarded_world import Guarded
from tests.unit.server_world import World

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.heavy)]
HEAVY = {  # they start processes or PostgreSQL, make keys, or hundreds of requests
    "test_cli_guests",
    "test_cli_imds",
    "test_l3_agent_converge",
    "test_metadata_certain_process",
    "test_metadata_proxy_process",
    "test_metadata_service_identity",
    "test_metadata_service_process",
    "test_metadata_waiting_process",
    "test_store_several",
    "test_store_transfer",
}
WHOLE_SERVER = "test_server_"  # each test makes a database and calls the API
MODULES = ("test_store", "test_server_")
THAT_USE_ONE = {"tmp_path", "tmp_path_factory", "world", "guarded", "store"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Both kinds, for the modules named above."""
    name = metafunc.module.__name__.rpartition(".")[2]
    both = name.startswith(MODULES) and THAT_USE_ONE & set(metafunc.fixturenames)
    if both and not list(metafunc.definition.iter_markers("sqlite")):
        metafunc.parametrize("database_kind", BOTH, indirect=True, scope="module")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`./run test unit` leaves the heavy ones to `./run test heavy`."""
    for item in items:
        if item.path.stem in HEAVY or item.path.stem.startswith(WHOLE_SERVER):
            item.add_marker("heavy")


@pytest.fixture(scope="module", autouse=True)
def database_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind that DATABASES makes."""
    DATABASES.kind = getattr(request, "param", "sqlite")
    mark = DATABASES.mark()
    yield DATABASES.kind
    DATABASES.drop(mark)


@pytest.fixture(autouse=True)
def database_drops() -> Iterator[None]:
    """A test's own databases go with it."""
    mark = DATABASES.mark()
    yield
    DATABASES.drop(mark)


@pytest.fixture(scope="session", autouse=True)
def cluster_ends() -> Iterator[None]:
    """The cluster that the first test on PostgreSQL started."""
    yield
    DATABASES.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server where everyone is admin."""
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    """A server that wants tokens."""
    made = Guarded(tmp_path)
    yield made
    made.close()


@pytest.fixture
def own_log_stream() -> Iterator[None]:
    """What a test set up is gone after it."""
    root = stdlib_logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.configure("test")
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
