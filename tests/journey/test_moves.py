"""Routers come, move and go under running VMs, which keep their metadata."""

from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import Cloud, Vm
from tests.lab.poller import Poller

PATH = "/latest/meta-data/instance-id"
SOON = 20  # s; without an announcement a neighbour cache is wrong for 31 s and more


def answers(vm: Vm) -> None:
    eventually(lambda: vm.status(PATH) == "200", SOON, f"{vm.name} is answered")


def test_a_router_interface_that_moves_takes_metadata_along(cloud: Cloud) -> None:
    network = cloud.network()
    first = cloud.router(network)
    cloud.settled_routed(first, network)
    vm = cloud.vm(network).start("udhcpc")
    assert vm.reads_its_own()
    second = cloud.router()
    cloud.house.a9fe("router", "remove-interface", first, network)
    cloud.routers[second].append(network)
    cloud.house.a9fe("router", "add-interface", second, network)
    cloud.settled_routed(second, network)
    answers(vm)
    assert vm.reads_its_own()


def test_running_vms_keep_metadata_when_a_router_comes_and_goes(cloud: Cloud) -> None:
    """In the order of README: the network, its VMs, then a router. Agents are killed meanwhile."""
    network = cloud.isolated()
    clients = ("udhcpc", "dhclient", "dhcpcd")
    before = [cloud.vm(network).start(client) for client in clients]
    dhcp, told = cloud.dhcp_space(network), options(cloud, network)
    pollers = [Poller(vm=vm).start() for vm in before]
    router = cloud.router(network)
    space = f"qrouter-{cloud.id('routers', router)}"
    eventually(lambda: space in host.namespaces(), what="the router")
    eventually(lambda: host.listening(space, 9697), what="the router's listener")
    eventually(lambda: options(cloud, network) != told, what="DHCP tells of the router")
    for agent in ("dhcp-agent", "l3-agent"):
        cloud.house.kill_process(agent)
    beside = cloud.vm(network).start("dhclient")
    assert "169.254.169.254 via 10.1.0.1" in beside.routes()
    assert beside.reads_its_own()
    assert host.listening(dhcp, 80), "for leases from before"
    assert {key for poller in pollers for key in poller.stop()} == {"200"}

    cloud.house.a9fe("router", "remove-interface", router, network)
    eventually(lambda: options(cloud, network) == told, what="DHCP tells of itself again")
    for vm in (*before, beside):
        answers(vm)
        assert vm.reads_its_own()

    cloud.house.a9fe("router", "add-interface", router, network)
    eventually(lambda: "10.1.0.1/32" not in host.within(dhcp, "ip", "address"), what="given back")
    for vm in (*before, beside):
        answers(vm)
        assert vm.reads_its_own()


def options(cloud: Cloud, network: str) -> str:
    """Return the DHCP options of the network's dnsmasq."""
    state = cloud.house.state / "dhcp" / cloud.id("networks", network)
    return (state / "opts").read_text()
