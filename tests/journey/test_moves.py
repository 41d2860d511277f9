"""Routers come, move and go under running VMs, which keep their metadata."""

from tests.conditions import eventually
from tests.lab.cloud import Cloud, Vm

PATH = "/latest/meta-data/instance-id"
SOON = 20  # s; a neighbour cache that nobody corrects is wrong for 31 s and more


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
