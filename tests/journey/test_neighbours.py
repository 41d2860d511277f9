"""Two installations and foreign objects on one host do not change each other."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from a9fe.api_client.client import ApiClient
from tests.lab import host
from tests.lab.cloud import Cloud
from tests.lab.house import House

BASE = Path("/run/a9fe-neighbour")
URL = "http://127.0.0.1:29696"
ID = "99999999-2222-3333-4444-555555555555"
SPACES = {f"qrouter-{ID}", f"qdhcp-{ID}"}
LINKS = {"brq99999999-22", "tap99999999-22"}


@pytest.fixture
def planted() -> Iterator[None]:
    """Make objects as Neutron's agents leave them."""
    for space in SPACES:
        host.output("ip", "netns", "add", space)
    host.output("ip", "link", "add", "brq99999999-22", "type", "bridge")
    host.output("ip", "link", "add", "tap99999999-22", "type", "veth", "peer", "name", "nt0")
    host.output("nft", "add", "table", "bridge", "somebody")
    yield
    for space in SPACES:
        host.output("ip", "netns", "delete", space)
    for link in LINKS:
        host.output("ip", "link", "delete", link)
    host.output("nft", "delete", "table", "bridge", "somebody")


@pytest.fixture
def neighbour(planted: None) -> Iterator[House]:
    """Run a second installation on other ports."""
    variables = {
        "A9FE_RUN_PATH": str(BASE / "run"),
        "A9FE_BIND_PORT": "29696",
        "A9FE_SERVER_URL": URL,
        "A9FE_METADATA_LISTEN_PORT": "28775",
        "A9FE_NOVA_METADATA_PORT": "28775",
    }
    with ApiClient(URL) as api:
        house = House(state=BASE / "state", variables=variables, api=api)
        yield house
        if house.up is not None:
            house.stop()
        house.a9fe("clean")
    shutil.rmtree(BASE)


def test_two_installations_and_a_neutron_on_one_host(cloud: Cloud, neighbour: House) -> None:
    mine = cloud.isolated()
    vm = cloud.vm(mine).start("udhcpc")
    neighbour.start()
    assert "left alone objects with a9fe's names" in neighbour.log.read_text()
    next_door = Cloud(house=neighbour)
    theirs = next_door.isolated()
    other = next_door.vm(theirs).start("udhcpc")
    cloud.house.kill_process("dhcp-agent")  # its sweep runs again
    doomed = cloud.isolated()
    cloud.house.a9fe("network", "delete", doomed)
    ours, other_space = cloud.dhcp_space(mine), next_door.dhcp_space(theirs)
    assert vm.reads_its_own()
    assert other.reads_its_own()
    assert {ours, other_space} | SPACES <= host.namespaces()
    assert host.links() >= LINKS

    neighbour.stop()
    cleaned = neighbour.a9fe.run("clean")
    for left in (*SPACES, *LINKS, ours):
        assert f" {left}: left, it is " in cleaned.stderr
    assert host.namespaces() >= SPACES | {ours}
    assert other_space not in host.namespaces()
    assert "table bridge somebody" in host.output("nft", "list", "tables")
    assert vm.reads_its_own()
