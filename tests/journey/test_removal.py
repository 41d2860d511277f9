"""Deleted resources leave nothing; a network taken from an agent comes back when it is added."""

from pathlib import Path

from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import Cloud


def test_deleting_a_network_removes_all_that_was_its(cloud: Cloud) -> None:
    namespaces, links, served = host.namespaces(), host.our_links(), set(host.dnsmasqs())
    network = cloud.isolated()
    assert host.namespaces() > namespaces
    assert host.our_links() > links
    cloud.house.a9fe("network", "delete", network)
    eventually(lambda: host.namespaces() == namespaces, what="no namespace left")
    eventually(lambda: host.our_links() == links, what="no link left")
    eventually(lambda: set(host.dnsmasqs()) == served, what="no dnsmasq left")


def test_deleting_a_router_removes_its_namespace_and_isolates_its_network(cloud: Cloud) -> None:
    network = cloud.network()
    router = cloud.router(network)
    space = cloud.settled_routed(router, network)
    vm = cloud.vm(network).start("udhcpc")
    assert vm.reads_its_own()
    cloud.house.a9fe("router", "remove-interface", router, network)
    cloud.house.a9fe("router", "delete", router)
    eventually(lambda: space not in host.namespaces(), what="no router namespace")
    cloud.settled_isolated(network)
    cloud.house.a9fe("guest", "stop", vm.name)
    vm.start("udhcpc")
    assert "169.254.169.254 via" in vm.routes()
    assert vm.reads_its_own()


def test_deleting_a_vm_ends_its_metadata_and_its_lease(cloud: Cloud) -> None:
    network = cloud.isolated()
    vm, other = cloud.vm(network).start("udhcpc"), cloud.vm(network).start("udhcpc")
    assert vm.reads_its_own()
    assert f"guest {vm.name}: still runs" in cloud.house.a9fe("vm", "delete", vm.name)
    eventually(lambda: vm.status("/latest/") in ("404", "000"), what="its metadata is gone")
    assert other.reads_its_own()
    cloud.house.a9fe("guest", "stop", vm.name)
    assert vm.tap not in host.links()


def test_deleting_a_vm_removes_the_tap_of_its_pasted_lines(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated())
    lines = cloud.house.a9fe("vm", "boot-lines", vm.name).splitlines()
    host.output("sh", "-ec", "\n".join(line for line in lines if line.startswith("ip ")))
    assert vm.tap in host.links()
    assert f"{vm.tap}: removed" in cloud.house.a9fe("vm", "delete", vm.name)
    assert vm.tap not in host.links()


def test_a_network_taken_from_its_dhcp_agent_comes_back_when_it_is_added(cloud: Cloud) -> None:
    network = cloud.isolated()
    space = cloud.dhcp_space(network)
    vm = cloud.vm(network).start("udhcpc")
    (agent,) = cloud.house.api.list("agents", binary="neutron-dhcp-agent")
    cloud.house.a9fe("agent", "network-remove", agent["id"], network)
    eventually(lambda: space not in host.namespaces(), what="the DHCP namespace is gone")
    assert vm.status("/") == "000"
    cloud.house.a9fe("agent", "network-add", agent["id"], network)
    cloud.settled_isolated(network)
    assert vm.reads_its_own()


def test_clean_removes_all_of_ours_and_nothing_else(cloud: Cloud) -> None:
    cloud.vm(cloud.isolated()).start("udhcpc")
    cloud.vm(cloud.routed()).start("udhcpc")
    host.output("ip", "netns", "add", "somebody")
    host.output("ip", "link", "add", "br-somebody", "type", "bridge")
    try:
        assert cloud.house.stop() == 0
        assert host.dnsmasqs(), "Ctrl-C leaves DHCP in place"
        assert host.our_links(), "Ctrl-C leaves links in place"
        cloud.house.a9fe("clean")
        assert host.namespaces() == {"somebody"}
        assert host.links() == {"lo", "br-somebody"}
        assert host.dnsmasqs() == {}
        assert not Path("/run/a9fe").exists(), "the run path"
    finally:
        host.output("ip", "netns", "delete", "somebody")
        host.output("ip", "link", "delete", "br-somebody")
