"""No VM reads another's metadata: overlapping subnets, forged headers, the proxy's port."""

import json
import os
import signal
from collections import Counter

import pytest

from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import Cloud

CIDR, ADDRESS = "10.1.0.0/24", "10.1.0.77"


def test_the_same_address_on_four_networks_is_four_instances(cloud: Cloud) -> None:
    networks = [cloud.isolated(CIDR), cloud.isolated(CIDR), cloud.routed(CIDR), cloud.routed(CIDR)]
    vms = [cloud.vm(network, "--fixed-ip", ADDRESS) for network in networks]
    for vm in vms:
        vm.start("udhcpc")
    for _ in range(3):
        assert all(vm.reads_its_own() for vm in vms)
    assert {vm.address for vm in vms} == {ADDRESS}


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_forged_headers_change_nothing(cloud: Cloud, kind: str) -> None:
    victim = cloud.vm(cloud.isolated())
    vm = cloud.vm(cloud.on(kind)).start("udhcpc")
    forged = {
        "X-Forwarded-For": victim.address,
        "x_forwarded_for": victim.address,
        "X-Neutron-Network-ID": victim.port["network_id"],
        "X-Neutron-Router-ID": cloud.name("router"),
        "X-Instance-ID": victim.instance["id"],
        "X-Tenant-ID": victim.instance["project_id"],
        "X-Instance-ID-Signature": "0" * 64,
        "X-A9fe-Port-Id": victim.port["id"],
    }
    options = [part for name, value in forged.items() for part in ("-H", f"{name}: {value}")]
    document = json.loads(vm.fetch("/openstack/latest/meta_data.json", *options))
    assert document["uuid"] == vm.instance["id"]


def test_a_direct_hit_on_the_proxys_port_is_dropped(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.routed()).start("udhcpc")
    assert vm.reads_its_own()
    assert vm.status("/", url="http://10.1.0.1:9697") == "000"
    assert vm.status("/") == "200"


READS = 80  # when requests were not bound to one router interface, all of these were crossed
INSTANCE = "/latest/meta-data/instance-id"


def test_while_two_routers_exchange_their_networks_no_answer_is_crossed(cloud: Cloud) -> None:
    """The agents are stopped: links and filters are old, the model is new."""
    networks = [cloud.network(CIDR), cloud.network(CIDR)]
    routers = [cloud.router(network) for network in networks]
    for router, network in zip(routers, networks, strict=True):
        cloud.settled_routed(router, network)
    vms = [cloud.vm(network, "--fixed-ip", ADDRESS).start("udhcpc") for network in networks]
    assert all(vm.reads_its_own() for vm in vms)
    agents = [*cloud.house.pids("l3-agent"), *cloud.house.pids("dhcp-agent")]
    for agent in agents:
        os.kill(agent, signal.SIGSTOP)
    try:
        exchange(cloud, routers, networks)
        eventually(lambda: vms[0].status(INSTANCE) == "503", what="503 where both disagree")
        seen = Counter(vm.status(INSTANCE) for _ in range(READS // 2) for vm in vms)
        assert seen == {"503": READS}
    finally:
        for agent in agents:
            os.kill(agent, signal.SIGCONT)
    for vm in vms:  # a connection may be refused while the links are made again
        eventually(lambda vm=vm: vm.status(INSTANCE) == "200", what="an answer")
        assert vm.reads_its_own()


def exchange(cloud: Cloud, routers: list[str], networks: list[str]) -> None:
    """Exchange the interfaces of the two routers at the server."""
    api = cloud.house.api
    subnets = [{"subnet_id": api.find("networks", name)["subnets"][0]} for name in networks]
    ids = [cloud.id("routers", name) for name in routers]
    for id, subnet in zip(ids, subnets, strict=True):
        api.action("routers", id, "remove_router_interface", subnet)
    for id, subnet in zip(ids, reversed(subnets), strict=True):
        api.action("routers", id, "add_router_interface", subnet)
    for name, network in zip(routers, reversed(networks), strict=True):
        cloud.routers[name] = [network]


def test_an_address_without_a_port_is_a_certain_404(cloud: Cloud) -> None:
    """A guest cannot send from one; requests from inside the DHCP namespace do."""
    space = cloud.settled_isolated(cloud.network())

    def status() -> str:
        asked = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "5")
        return host.within(space, *asked, "http://169.254.169.254/")

    eventually(lambda: status() == "404", what="404 for an address that no port has")
