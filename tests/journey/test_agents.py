"""An operator disables an agent with the commands of OpenStack: its namespaces go and come back,
the VMs and their networks stay."""

from pathlib import Path
from typing import Any

from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import Cloud
from tests.lab.house import House
from tests.lab.openstack import neutron, openstack


def agent(house: House, agent_type: str) -> dict[str, Any]:
    (found,) = house.api.list("agents", agent_type=agent_type)
    return found


def test_a_disabled_agents_namespaces_go_and_come_back(
    house: House, cloud: Cloud, tmp_path: Path
) -> None:
    network = cloud.network()
    router = cloud.router(network)
    routed = cloud.settled_routed(router, network)
    vm = cloud.vm(network).start()
    spaces = {routed, cloud.dhcp_space(network)}
    dhcp, l3 = agent(house, "DHCP agent")["id"], agent(house, "L3 agent")["id"]
    new, old = openstack(tmp_path), neutron()
    try:
        new(f"network agent set --disable {dhcp}")
        old(f"agent-update --admin-state-down {l3}")
        assert not agent(house, "DHCP agent")["admin_state_up"]
        assert not agent(house, "L3 agent")["admin_state_up"]
        eventually(lambda: spaces.isdisjoint(host.namespaces()), what=f"the end of {spaces}")
        assert vm.tap in host.links()
        another = cloud.network("10.9.0.0/24")
        assert house.a9fe.json("agent", "networks", dhcp)[0]["name"] == network
    finally:
        new(f"network agent set --enable {dhcp}")
        old(f"agent-update --admin-state-up {l3}")
    eventually(lambda: spaces <= host.namespaces(), what=f"{spaces} come back")
    cloud.settled_isolated(another)
    cloud.settled_routed(router, network)
    assert vm.reads_its_own()


def test_agent_list_shows_what_runs(cloud: Cloud) -> None:
    a9fe, network = cloud.house.a9fe, cloud.network()
    router = cloud.router(network)
    cloud.settled_routed(router, network)
    vm = cloud.vm(network)

    def status() -> object:
        return a9fe.json("port", "show", vm.port["id"])["status"]

    def state() -> object:
        return next(one["state"] for one in a9fe.json("vm", "list") if one["name"] == vm.name)

    assert (status(), state()) == ("DOWN", "DOWN")
    vm.start("udhcpc")
    eventually(lambda: (status(), state()) == ("ACTIVE", "ACTIVE"), what="its port is ACTIVE")
    a9fe("guest", "stop", vm.name)
    eventually(lambda: (status(), state()) == ("DOWN", "DOWN"), what="its port is DOWN")

    (shown,) = a9fe.json("router", "show", router)["interfaces"]
    assert shown["fixed_ips"][0]["ip_address"] == "10.1.0.1"
    assert shown["id"] in a9fe("router", "show", router)
    types = {"L3 agent", "DHCP agent", "Metadata agent", "Metadata proxy", "Metadata service"}
    eventually(
        lambda: {a["agent_type"] for a in a9fe.json("agent", "list") if a["alive"]} >= types,
        what="all agents are listed",
    )
    hop = agent(cloud.house, "Metadata agent")
    assert hop["binary"] == "neutron-metadata-agent"
    assert hop["configurations"]["metadata_shape"] == cloud.house.shape
    eventually(
        lambda: agent(cloud.house, "Metadata agent")["configurations"]["networks"] > 0,
        what="its counts are reported",
    )
    refused = a9fe.run("agent", "networks", "neutron-l3-agent")
    assert "is of type L3 agent, expected DHCP agent" in refused.stderr


def test_requests_of_wait_ready_are_not_counted_as_the_vms(cloud: Cloud) -> None:
    vm = cloud.vm(cloud.isolated())
    for _ in range(2):
        cloud.house.a9fe("vm", "wait-ready", vm.name, "--timeout", "60")
    asked = cloud.vm(cloud.networks[0]).start("udhcpc")
    assert asked.reads_its_own()

    def counted() -> set[str]:
        usage = cloud.house.api.call("GET", "/a9fe/v1/imds-usage")["usage"]
        return {one["instance_id"] for one in usage}

    eventually(lambda: asked.instance["id"] in counted(), what="usage is told")
    assert vm.instance["id"] not in counted()
