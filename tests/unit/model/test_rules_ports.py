"""Deletion of networks, subnets and ports; subnets of routers; choice of agents."""

import pytest

from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import Agent, Port, Subnet
from a9fe.model.rules import ports as rules_ports
from a9fe.model.rules import scheduling as rules_scheduling

SUBNET = Subnet(id="s1", network_id="n1", cidr="10.1.0.0/24")
SLAAC = Subnet(id="s6", network_id="n1", cidr="fd00::/64", ip_version=6, ipv6_address_mode="slaac")


def port(owner: str, id: str = "p1", device_id: str = "d1") -> Port:
    return Port(id=id, network_id="n1", mac_address="m", device_owner=owner, device_id=device_id)


@pytest.mark.parametrize("owner", ["network:dhcp", "network:distributed"])
def test_a_network_is_deleted_with_its_own_ports(owner: str):
    rules_ports.check_network_delete("n1", [port(owner)])
    rules_ports.check_subnet_delete(SUBNET, [port(owner)])


@pytest.mark.parametrize("owner", ["", "compute:nova", "network:router_interface"])
def test_other_ports_prevent_deletion_of_a_network_and_a_subnet(owner: str):
    with pytest.raises(Conflict, match="still in use on the network: port p1; delete") as error:
        rules_ports.check_network_delete("n1", [port("network:dhcp", "p0"), port(owner)])
    assert error.value.type == "NetworkInUse"
    with pytest.raises(Conflict) as error:
        rules_ports.check_subnet_delete(SUBNET, [port(owner)])
    assert error.value.type == "SubnetInUse"


def test_only_routers_eui64_addresses_prevent_deletion_of_a_subnet():
    rules_ports.check_subnet_delete(SLAAC, [port("compute:nova")])
    with pytest.raises(Conflict):
        rules_ports.check_subnet_delete(SLAAC, [port("network:router_interface")])


def test_a_long_list_of_ports_is_shortened():
    with pytest.raises(Conflict, match=r"ports p0, p1, p2 and 2 more"):
        rules_ports.check_network_delete("n1", [port("", f"p{i}") for i in range(5)])


def test_a_routers_port_is_not_deleted_as_a_port():
    rules_ports.check_port_delete(port("compute:nova"))
    rules_ports.check_port_delete(port("network:router_interface", device_id=""))
    with pytest.raises(Conflict) as error:
        rules_ports.check_port_delete(port("network:router_interface"))
    assert error.value.type == "ServicePortInUse"


def test_a_router_takes_a_subnet_once_and_none_that_overlaps():
    rules_ports.check_router_subnet(SLAAC, [SUBNET])
    with pytest.raises(InvalidInput, match="not yet on"):
        rules_ports.check_router_subnet(SUBNET, [SUBNET])
    other = Subnet(id="s2", network_id="n2", cidr="10.1.0.128/25")
    with pytest.raises(InvalidInput, match="overlap"):
        rules_ports.check_router_subnet(other, [SUBNET])


NOW = 1_795_000_000.0


def agent(id: str, *, age: float = 0, up: bool = True) -> Agent:
    return Agent(
        id=id,
        agent_type="DHCP agent",
        binary="neutron-dhcp-agent",
        host=f"host-{id}",
        admin_state_up=up,
        heartbeat_timestamp=rules_scheduling.timestamp(NOW - age),
    )


@pytest.mark.parametrize(
    ("agents", "load", "count", "chosen"),
    [
        ([], {}, 1, []),
        ([agent("a"), agent("b")], {}, 1, ["a"]),
        ([agent("a"), agent("b")], {"a": 1}, 1, ["b"]),
        ([agent("a"), agent("b")], {"a": 1}, 2, ["b", "a"]),
        ([agent("a", age=75), agent("b")], {"b": 9}, 1, ["a"]),
        ([agent("a", age=76), agent("b")], {"b": 9}, 1, ["b"]),
        ([agent("a", up=False)], {}, 1, []),
    ],
)
def test_the_alive_agent_with_the_fewest_bindings_is_chosen(agents, load, count, chosen):
    found = rules_scheduling.choose(agents, load, count, now=NOW, down_time=75)
    assert [a.id for a in found] == chosen


def test_times_survive_the_round_trip():
    assert rules_scheduling.timestamp(0) == "1970-01-01T00:00:00Z"
    assert rules_scheduling.seconds(rules_scheduling.timestamp(NOW)) == NOW
    assert rules_scheduling.seconds("") == 0
