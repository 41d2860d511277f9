"""Server and database are gone for hours: known VMs are served, unknown ones get 503."""

import asyncio
from pathlib import Path

import pytest

from tests.kit.joined_hops import SHAPES, config_of, guest_request

HOUR = 3600.0
NOWHERE = "http://127.0.0.1:1"  # refuses connections
PATHS = (
    b"/",
    b"/latest/meta-data/",
    b"/latest/meta-data/hostname",
    b"/latest/meta-data/local-ipv4",
    b"/latest/meta-data/public-keys/",
    b"/latest/user-data",
    b"/openstack/latest/network_data.json",
    b"/openstack/latest/vendor_data.json",
    b"/openstack/2018-08-27/meta_data.json?recursive=false",
    b"/computeMetadata/v1/instance/",
)
UNKNOWN = "10.1.0.250"


async def statuses(directory: Path, shape: str, ago: float, address: str = "") -> list[int]:
    """Return the statuses of all paths from hops that start with replicas of `ago` s ago."""
    config = config_of(directory, ago=ago, server_url=NOWHERE)
    of = {"client_address": address} if address else {}
    async with SHAPES[shape](config) as joined:
        return [(await joined.ask(guest_request(path, **of))).status for path in PATHS]


@pytest.mark.parametrize("hours", [1, 30, 24 * 365], ids=["h", "d", "y"])
@pytest.mark.parametrize("shape", SHAPES)
def test_old_replicas(tmp_path: Path, shape: str, hours: int) -> None:
    fresh = asyncio.run(statuses(tmp_path / "a", shape, 0.0))
    old = asyncio.run(statuses(tmp_path / "b", shape, hours * HOUR))
    assert fresh == old
    assert old.count(200) >= len(PATHS) - 2
    unknown = asyncio.run(statuses(tmp_path / "c", shape, hours * HOUR, UNKNOWN))
    assert set(unknown) == {503}
