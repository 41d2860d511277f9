"""One house for all journeys, and one cloud for each."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from a9fe.api_client.client import ApiClient
from tests.lab.cloud import Cloud
from tests.lab.command import inside_sandbox
from tests.lab.house import SHAPES, House
from tests.lab.places import BR_EX, STATE
from tests.lab.typed import cleared


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--reads", type=int, default=2000, help="answers that the churn test checks in each shape"
    )
    parser.addoption("--claims", help="a directory: run the files that no other run there claimed")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Leave out the tests of files that another run has claimed."""
    claims = item.config.getoption("claims")
    return None if claims is None or claimed(Path(claims) / item.path.stem) else True


@cache
def claimed(claim: Path) -> bool:
    """Claim a file for this run; False if another run was earlier."""
    try:
        claim.mkdir()
    except FileExistsError:
        return False
    return True


@pytest.fixture(scope="session")
def running_house() -> Iterator[House]:
    assert inside_sandbox(), "journeys run in the sandbox of `./run test journey`"
    house = House(state=STATE, variables={"A9FE_BRIDGE_MAPPINGS": f"physnet1:{BR_EX}"})
    with house.api:
        house.start()
        yield house
        house.stop()
        house.a9fe("clean")


@pytest.fixture(scope="module", params=SHAPES)
def shape(request: pytest.FixtureRequest, running_house: House) -> Iterator[str]:
    """Run the module's tests in each shape, one after the other."""
    default = running_house.shape
    running_house.change_shape(request.param)
    yield request.param
    running_house.change_shape(default)


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
