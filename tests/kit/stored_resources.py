"""One resource of each kind, with its references, for tests of the store."""

from a9fe.model.compute import Flavor, Image, KeypairRecord
from a9fe.model.rbac import RbacPolicy
from a9fe.model.resources import (
    AddressPair,
    Agent,
    AllocationPool,
    Binding,
    DhcpOption,
    FixedIp,
    HostRoute,
    Instance,
    Keypair,
    Network,
    Port,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from a9fe.model.subnet_pools import AddressGroup, AddressScope, FloatingIp, SubnetPool
from a9fe.store import Store

NETWORK = Network(id="n1", name="lab", project_id="p", mtu=1400, external=True)
SUBNET = Subnet(
    id="s1",
    network_id="n1",
    cidr="10.1.0.0/24",
    gateway_ip="10.1.0.1",
    allocation_pools=(AllocationPool(start="10.1.0.2", end="10.1.0.254"),),
    dns_nameservers=("192.0.2.1",),
    host_routes=(HostRoute(destination="192.0.2.0/24", nexthop="10.1.0.9"),),
)


PORT = Port(
    id="p1",
    network_id="n1",
    mac_address="fa:16:3e:00:00:01",
    fixed_ips=(FixedIp(subnet_id="s1", ip_address="10.1.0.5"),),
    allowed_address_pairs=(AddressPair(ip_address="10.9.0.0/24"),),
    extra_dhcp_opts=(DhcpOption(opt_name="tag:x", opt_value="1"),),
)


OTHERS = (
    SecurityGroup(id="g1", name="web", project_id="p"),
    SecurityGroupRule(id="gr1", security_group_id="g1", protocol="tcp", port_range_min=22),
    Router(id="r1", routes=(HostRoute(destination="0.0.0.0/0", nexthop="10.1.0.1"),)),
    Instance(
        id="i1",
        name="web1",
        number=7,
        user_data=b"\0\xff#!",
        keypairs=(Keypair(name="k", public_key="ssh-ed25519 AAAA"),),
        metadata={"a": "b"},
    ),
    Agent(
        id="a1",
        agent_type="DHCP agent",
        binary="neutron-dhcp-agent",
        host="h1",
        configurations={"x": 1, "y": True},
        created_at="2026-11-22T15:00:00Z",
    ),
    Binding(id="dhcp:a1:n1", kind="dhcp", agent_id="a1", host="h1", resource_id="n1"),
    Flavor(id="large", name="large", vcpus=2, extra_specs={"hw:x": "1"}),
    Image(id="m1", name="debian", tags=("a",), properties={"os": "linux"}),
    KeypairRecord(id="k1", name="me", project_id="p", public_key="ssh-ed25519 AAAA"),
    AddressScope(id="as1", name="s"),
    SubnetPool(id="sp1", prefixes=("10.0.0.0/8", "11.0.0.0/8"), address_scope_id="as1"),
    AddressGroup(id="ag1", addresses=("192.0.2.0/28",)),
    RbacPolicy(id="b1", object_id="n1", action="access_as_shared", target_project="p"),
    FloatingIp(
        id="f1",
        floating_network_id="n1",
        floating_ip_address="203.0.113.9",
        floating_port_id="p9",
        port_id="p1",
    ),
)


ALL = (NETWORK, SUBNET, PORT, *OTHERS)


def fill(store: Store):
    with store.write() as writing:
        return [writing.insert(resource) for resource in ALL]
