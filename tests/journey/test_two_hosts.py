"""Two hosts with one server: both DHCP agents of a network serve their VMs, and no VM is answered
404 while its network or router moves between the hosts.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import METADATA, Cloud, Vm
from tests.lab.house import House
from tests.lab.openstack import neutron
from tests.lab.second_host import NAME, SecondHost, second_host

PATH = "/latest/meta-data/instance-id"
FALSE = {"404", "403", "500", "502"}
MOVES = 3  # there and back
LISTS = {"networks": ("dhcp-agents", "dhcp-networks"), "routers": ("l3-agents", "l3-routers")}


@pytest.fixture(scope="module")
def second(running_house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondHost]:
    running_house.start()
    log = tmp_path_factory.mktemp("second") / "up.log"
    with second_host(running_house, str(log)) as made:
        yield made


def agent(house: House, agent_type: str, *, there: bool) -> str:
    found = house.api.list("agents", agent_type=agent_type)
    return str(next(a["id"] for a in found if (a["host"] == NAME) == there))


def serve(house: House, plural: str, id: str, wanted: set[str]) -> None:
    """Bind a network or router to these agents, and to no others."""
    serving, served = LISTS[plural]
    found = house.api.call("GET", f"/v2.0/{plural}/{id}/{serving}")["agents"]
    for other in {one["id"] for one in found} - wanted:
        house.api.call("DELETE", f"/v2.0/agents/{other}/{served}/{id}")
    for one in wanted - {one["id"] for one in found}:
        house.api.call("POST", f"/v2.0/agents/{one}/{served}", {f"{plural[:-1]}_id": id})


@contextmanager
def asking(vm: Vm) -> Iterator["Counter[str]"]:
    """Ask for metadata all the time; count the statuses, "000" for no answer."""
    statuses: Counter[str] = Counter()
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            statuses[vm.status(PATH, "-m", "2")] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield statuses
    finally:
        ended.set()
        thread.join()
        assert FALSE.isdisjoint(statuses), statuses


def moved_about(cloud: Cloud, second: SecondHost, vm: Vm, plural: str, id: str) -> None:
    """Move a network or router to the second host and back while the VM asks."""
    house = cloud.house
    kind = "DHCP agent" if plural == "networks" else "L3 agent"
    here, there = (agent(house, kind, there=away) for away in (False, True))
    space = f"{'qdhcp' if plural == 'networks' else 'qrouter'}-{id}"
    with asking(vm) as statuses:
        for _ in range(MOVES):
            serve(house, plural, id, {there})
            eventually(lambda: second.has(space), what=f"{space} is there")
            before = statuses["200"]
            serve(house, plural, id, {here})
            eventually(lambda old=before: statuses["200"] > old + 3, 60, "served again")
    assert statuses["200"] > MOVES


def served_here(cloud: Cloud, network: str) -> str:
    """Let this host's DHCP agent serve the network; return its id."""
    id, here = cloud.id("networks", network), agent(cloud.house, "DHCP agent", there=False)
    serve(cloud.house, "networks", id, {here})
    return id


def test_both_dhcp_agents_of_a_network_serve_their_vms(cloud: Cloud, second: SecondHost) -> None:
    house, network = cloud.house, cloud.network()
    id = served_here(cloud, network)
    neutron()(f"dhcp-agent-network-add {agent(house, 'DHCP agent', there=True)} {id}")
    cloud.settled_isolated(network)
    eventually(lambda: second.has(f"qdhcp-{id}"), what="its namespace there")
    ports = house.api.list("ports", network_id=id, device_owner="network:dhcp")
    addresses = {p["binding:host_id"] == NAME: p["fixed_ips"][0]["ip_address"] for p in ports}
    mine, theirs = cloud.vm(network).start("udhcpc"), cloud.vm(network)
    house.api.update("ports", theirs.port["id"], {"binding:host_id": NAME})
    second.a9fe("guest", "start", theirs.name, "--client", "udhcpc")

    assert f"169.254.169.254 via {addresses[False]}" in mine.routes()
    inside = ("guest", "exec", theirs.name, "--")
    assert f"169.254.169.254 via {addresses[True]}" in second.a9fe(*inside, "ip", "-4", "route")
    assert mine.reads_its_own()
    curl = ("curl", "-sSf", "--retry", "9", f"{METADATA}/openstack/latest/meta_data.json")
    assert theirs.instance["id"] in second.a9fe(*inside, *curl)
    for files in ((house.state / "dhcp" / id / "host").read_text(), second.leases(id)):
        assert {mine.mac, theirs.mac} <= set(files.replace("\n", ",").split(",")), "of both"
    options = (house.state / "dhcp" / id / "opts").read_text()
    servers = next(line for line in options.splitlines() if "dns-server" in line)
    assert set(addresses.values()) <= set(servers.split(",")), "DNS of both"

    def active() -> set[str]:
        return {p["id"] for p in house.api.list("ports", network_id=id, status="ACTIVE")}

    both = {mine.port["id"], theirs.port["id"]}
    eventually(lambda: both <= active(), what="both are ACTIVE, each by its own host")
    second.a9fe("guest", "stop", theirs.name)
    eventually(lambda: active() & both == {mine.port["id"]}, what="one is DOWN")


def test_a_network_that_moves_and_comes_back_is_never_answered_404(
    cloud: Cloud, second: SecondHost
) -> None:
    """A port bound to this host keeps the network in this host's replicas, but not those of VMs
    without a host.
    """
    house, network = cloud.house, cloud.network()
    id = served_here(cloud, network)
    cloud.settled_isolated(network)
    vm, beside = cloud.vm(network), cloud.vm(network)
    assert beside.port["binding:host_id"], "`vm create` binds to this host"
    house.api.update("ports", vm.port["id"], {"binding:host_id": ""})
    assert vm.start("udhcpc").reads_its_own()
    with asking(vm) as statuses, house.standing_still("dhcp-agent"):
        serve(house, "networks", id, {agent(house, "DHCP agent", there=True)})
        eventually(lambda: statuses["503"] > 3, what="503 while the namespace stands")
    moved_about(cloud, second, vm, "networks", id)


def test_a_router_that_moves_and_comes_back_is_never_answered_404(
    cloud: Cloud, second: SecondHost
) -> None:
    network, router = cloud.network(), cloud.router()
    id = cloud.id("routers", router)
    served_here(cloud, network)
    serve(cloud.house, "routers", id, {agent(cloud.house, "L3 agent", there=False)})
    cloud.routers[router].append(network)
    cloud.house.a9fe("router", "add-interface", router, network)
    cloud.settled_routed(router, network)
    vm = cloud.vm(network).start("udhcpc")
    assert vm.reads_its_own()
    moved_about(cloud, second, vm, "routers", id)
    assert f"qrouter-{id}" in host.namespaces()
