"""One house for all journeys, and one cloud for each."""

from collections.abc import Iterator

import pytest

from a9fe.api_client.client import ApiClient
from tests.lab.cloud import Cloud
from tests.lab.command import inside_sandbox
from tests.lab.house import House
from tests.lab.places import BR_EX, STATE
from tests.lab.typed import cleared


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--part", default="1/1", help="K/N: every Nth file of the journeys, from K on"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    part, parts = (int(text) for text in config.getoption("part").split("/"))
    files = sorted({item.path for item in items})
    chosen = [item for item in items if files.index(item.path) % parts == part - 1]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture(scope="session")
def running_house() -> Iterator[House]:
    assert inside_sandbox(), "journeys run in the sandbox of `./run test journey`"
    house = House(state=STATE, variables={"A9FE_BRIDGE_MAPPINGS": f"physnet1:{BR_EX}"})
    with house.api:
        house.start()
        yield house
        house.stop()
        house.a9fe("clean")


@pytest.fixture
def house(running_house: House) -> House:
    """Start the system unless the previous test left it running."""
    running_house.start()
    return running_house


@pytest.fixture
def cloud(house: House) -> Iterator[Cloud]:
    made = Cloud(house=house)
    yield made
    house.start()
    made.clear()


@pytest.fixture
def api(house: House) -> Iterator[ApiClient]:
    """Yield our API; remove what commands left after the test."""
    with cleared(house.api) as api:
        yield api
