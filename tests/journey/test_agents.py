"""An agent that an operator disables, with the commands of OpenStack: what it serves goes, and
comes back; the VMs and their networks stay."""

from pathlib import Path
from typing import Any

from tests.conditions import eventually
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
