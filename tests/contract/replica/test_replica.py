"""The reads of a replica: what its fakes and Replica both answer."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from a9fe.model.resources import KIND_OF, Instance, Port, Resource
from a9fe.replica import Replica
from tests.kit.fake_model import FakeModel, network, port, subnet
from tests.kit.fake_ports import FakePorts, fresh
from tests.kit.fake_replica import FakeReplica
from tests.kit.feed_events import delete, feed, snapshot, upsert
from tests.kit.service_world import FakeSource

NOW = 1000.0
LAN, OTHER = network(1), network(2)
SUBNET = subnet(1, LAN, "10.1.0.0/24", "10.1.0.1")
WEB = port(1, LAN, (SUBNET, "10.1.0.5"))
BARE = port(2, LAN, (SUBNET, "10.1.0.6"), device_id="")
TWIN = port(3, OTHER, (SUBNET, "10.1.0.5"), device_id=WEB.device_id)
VM = Instance(id=WEB.device_id, name="web1", user_data=b"#!")
PORTS = (WEB, BARE, TWIN)
RESOURCES: tuple[Resource, ...] = (LAN, OTHER, SUBNET, *PORTS, VM)


def replica(resources: Iterable[Resource] = RESOURCES) -> Replica:
    made = Replica()
    feed(made, *snapshot(1, *resources))
    return made


MODELS = {
    "FakeModel": lambda: FakeModel(RESOURCES),
    "FakeReplica": lambda: FakeReplica(RESOURCES),
    "Replica": replica,
}
PORT_VIEWS = {"FakePorts": lambda: FakePorts(*PORTS), "Replica": replica}
SOURCES = {"FakeSource": lambda: FakeSource(RESOURCES, fresh()), "Replica": replica}


def ids(found: Iterable[Resource]) -> set[str]:
    return {each.id for each in found}


# -- What planning reads -------------------------------------------------------------------


@pytest.mark.parametrize("view", MODELS)
def test_resources_are_found_by_kind_and_id(view: str) -> None:
    model = MODELS[view]()
    for each in RESOURCES:
        if not isinstance(each, Instance):
            assert model.get(KIND_OF[type(each)], each.id) == each
    assert model.get("port", LAN.id) is None
    assert ids(model.all("port")) == ids(PORTS)
    assert ids(model.all("router")) == set()


@pytest.mark.parametrize("view", MODELS)
def test_ports_are_found_by_device_and_network(view: str) -> None:
    model = MODELS[view]()
    assert ids(model.ports_by_device(WEB.device_id)) == {WEB.id, TWIN.id}
    assert ids(model.ports_by_network(LAN.id)) == {WEB.id, BARE.id}
    assert ids(model.ports_by_device("nothing")) == ids(model.ports_by_network("")) == set()


@pytest.mark.parametrize("view", MODELS)
def test_no_port_is_on_the_empty_device(view: str) -> None:
    assert ids(MODELS[view]().ports_by_device("")) == set()


# -- What the metadata agent reads ---------------------------------------------------------


@pytest.mark.parametrize("view", PORT_VIEWS)
def test_a_port_is_found_by_its_network_with_its_address_or_mac(view: str) -> None:
    ports = PORT_VIEWS[view]()
    assert ids(ports.ports_by_address(LAN.id, "10.1.0.5")) == {WEB.id}
    assert ids(ports.ports_by_address(OTHER.id, "10.1.0.6")) == set()
    assert ids(ports.ports_by_mac(LAN.id, WEB.mac_address)) == {WEB.id}
    assert ids(ports.ports_by_mac(OTHER.id, WEB.mac_address)) == set()
    assert ids(ports.ports_by_device(WEB.device_id)) == {WEB.id, TWIN.id}


@pytest.mark.parametrize("view", PORT_VIEWS)
def test_a_port_is_found_by_its_id(view: str) -> None:
    ports = PORT_VIEWS[view]()
    assert ports.port(WEB.id) == WEB
    assert ports.port("nothing") is None
    assert ports.unchanged_since("nothing") == 0.0


# -- What the metadata service reads -------------------------------------------------------


@pytest.mark.parametrize("view", SOURCES)
def test_the_service_finds_an_instance_and_its_ports(view: str) -> None:
    source = SOURCES[view]()
    found = source.instance(VM.id)
    assert found is not None
    assert found.instance.name == "web1"
    assert source.instance("nothing") is None
    assert source.get("network", LAN.id) == LAN
    assert ids(source.ports_by_device(VM.id)) == {WEB.id, TWIN.id}
    assert source.freshness(NOW) == fresh()


# -- What the converging loop follows ------------------------------------------------------


class Followed:
    """A FakeReplica or a Replica, changed as the feed changes it."""

    def __init__(self, made: Any) -> None:
        self.replica = made

    def sync(self) -> None:
        if isinstance(self.replica, Replica):
            feed(self.replica, *snapshot(1))
        else:
            self.replica.sync()

    def put(self, resource: Port) -> None:
        if isinstance(self.replica, Replica):
            feed(self.replica, upsert(self.replica.revision + 1, resource))
        else:
            self.replica.put(resource)

    def drop(self, resource: Port) -> None:
        if isinstance(self.replica, Replica):
            feed(self.replica, delete(self.replica.revision + 1, "port", resource.id))
        else:
            self.replica.drop(resource)


NEVER_SYNCED: dict[str, Callable[[], Any]] = {
    "FakeReplica": lambda: FakeReplica(synced=False),
    "Replica": Replica,
}


@pytest.mark.parametrize("kind", NEVER_SYNCED)
def test_a_replica_is_fresh_from_its_first_whole_snapshot(kind: str) -> None:
    async def main() -> None:
        followed = Followed(NEVER_SYNCED[kind]())
        assert not followed.replica.freshness(NOW).ever_synced
        followed.sync()
        assert followed.replica.freshness(NOW) == fresh()

    asyncio.run(main())


@pytest.mark.parametrize("kind", NEVER_SYNCED)
def test_each_change_is_told_with_the_resource_before_and_after(kind: str) -> None:
    followed = Followed(NEVER_SYNCED[kind]())
    told: list[object] = []
    forget = followed.replica.tell(told.append)
    followed.sync()
    assert told == [None]
    moved = replace(WEB, device_id="other")
    followed.put(WEB)
    followed.put(moved)
    followed.drop(moved)
    assert told[1:] == [("port", None, WEB), ("port", WEB, moved), ("port", moved, None)]
    forget()
    followed.put(WEB)
    assert len(told) == 4
