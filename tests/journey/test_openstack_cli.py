"""The `openstack` command: the effect of each step is read from our API.

Some of its commands print nothing and end with 0 when the server refuses, so their output proves
nothing.
"""

from pathlib import Path

import pytest

from a9fe.api_client.client import ApiClient
from tests.lab.openstack import Client, openstack
from tests.lab.typed import agent_id, one

DEVICE = "33333333-3333-4333-8333-333333333333"


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return openstack(tmp_path)


def test_networks_subnets_and_agents(client: Client, api: ApiClient) -> None:
    dhcp = agent_id(api, "DHCP agent")
    shown = client(
        "extension list --network -f json -c Alias",
        "network agent list -f json",
        f"network agent show {dhcp} -f json",
        "network create net1",
        "network create ext1 --external --provider-network-type flat"
        " --provider-physical-network public",
        "network list --external -f json",
        "network list --name net1 --long -f json",
        "network show net1 -f json",
        "network set net1 --description d",
        "network set net1 --tag red",
        "subnet create s4 --network net1 --subnet-range 10.10.0.0/24 --dns-nameserver 9.9.9.9"
        " --host-route destination=10.99.0.0/24,gateway=10.10.0.254",
        "subnet create s6 --network net1 --subnet-range 2001:db8:1::/64 --ip-version 6"
        " --ipv6-ra-mode slaac --ipv6-address-mode slaac",
        "subnet create iso --network net1 --subnet-range 10.11.0.0/24 --gateway none --no-dhcp",
        "subnet create exts --network ext1 --subnet-range 203.0.113.0/24 --no-dhcp",
        "subnet list --network net1 -f json",
        "subnet show s4 -f json",
        "subnet set s4 --dhcp",
        "network agent list --network net1 -f json",
        f"network list --agent {dhcp} -f json",
    )
    extensions, agents, agent, external, named, net, subnets, s4, hosting, hosted = shown
    assert {"quotas", "security-group", "router"} <= {e["Alias"] for e in extensions}
    assert dhcp in {a["ID"] for a in agents}
    assert agent["binary"] == "neutron-dhcp-agent"
    net1, ext1 = one(api, "networks", "net1"), one(api, "networks", "ext1")
    assert [n["ID"] for n in external] == [ext1["id"]]
    assert [n["ID"] for n in named] == [net1["id"]] == [net["id"]]
    assert (net1["description"], net1["tags"]) == ("d", ["red"])
    assert {s["Name"] for s in subnets} == {"s4", "s6", "iso"}
    assert one(api, "subnets", "s4")["host_routes"] == [
        {"destination": "10.99.0.0/24", "nexthop": "10.10.0.254"}
    ]
    assert s4["dns_nameservers"] == ["9.9.9.9"]
    assert one(api, "subnets", "iso")["gateway_ip"] is None
    assert [a["ID"] for a in hosting] == [dhcp]
    assert net1["id"] in {n["ID"] for n in hosted}
    of_net = f"networks/{net1['id']}/dhcp-agents"
    client(f"network agent remove network --dhcp {dhcp} net1")
    assert api.call("GET", f"/v2.0/{of_net}")["agents"] == []
    client(f"network agent add network --dhcp {dhcp} net1")
    assert [a["id"] for a in api.call("GET", f"/v2.0/{of_net}")["agents"]] == [dhcp]
    client("subnet delete s4 s6 iso", "network delete net1 ext1")
    assert api.list("networks") == []
    assert api.list("subnets") == []


def test_routers(client: Client, api: ApiClient) -> None:
    shown = client(
        "network create net1",
        "network create ext1 --external",
        "subnet create s4 --network net1 --subnet-range 10.10.0.0/24",
        "subnet create iso --network net1 --subnet-range 10.11.0.0/24 --gateway none --no-dhcp",
        "subnet create exts --network ext1 --subnet-range 203.0.113.0/24 --no-dhcp",
        "router create r1",
        "router set r1 --external-gateway ext1",
        "router add subnet r1 s4",
        "port create ip --network net1 --fixed-ip subnet=iso,ip-address=10.11.0.9",
        "router add port r1 ip",
        "router show r1 -f json",
        "router list -f json",
        "port list --router r1 -f json",
    )
    router, routers, ports = shown
    ext1 = one(api, "networks", "ext1")["id"]
    assert router["external_gateway_info"]["network_id"] == ext1
    assert [r["Name"] for r in routers] == ["r1"]
    assert len(ports) == len(api.list("ports", device_id=router["id"])) == 3
    client("router remove subnet r1 iso", "router unset r1 --external-gateway")
    assert api.list("ports", name="ip") == []
    assert api.show("routers", router["id"])["external_gateway_info"] is None
    client("router remove subnet r1 s4", "router delete r1", "network delete net1 ext1")
    assert api.list("routers") == []


def test_ports(client: Client, api: ApiClient) -> None:
    shown = client(
        "network create net1",
        "subnet create s4 --network net1 --subnet-range 10.10.0.0/24",
        "port create p1 --network net1 --fixed-ip subnet=s4,ip-address=10.10.0.77"
        f" --device {DEVICE} --host host1",
        "port list -f json",
        "port list --network net1 --fixed-ip ip-address=10.10.0.77 -f json",
        f"port list --device-id {DEVICE} --long -f json",
        "port show p1 -f json",
        "port set p1 --name p1b",
    )
    everything, at, of_device, port = shown
    p1 = one(api, "ports", "p1b")
    assert {p["ID"] for p in everything} == {p["id"] for p in api.list("ports")}
    assert [p["ID"] for p in at] == [p["ID"] for p in of_device] == [port["id"]] == [p1["id"]]
    assert (p1["device_id"], p1["binding:host_id"]) == (DEVICE, "host1")
    assert port["fixed_ips"] == p1["fixed_ips"]
    unknown = client.run("port show nosuchport").complaints
    assert unknown == ["No Port found for nosuchport"]
    client("port delete p1b", "network delete net1")
    assert api.list("ports") == []


def test_security_groups(client: Client, api: ApiClient) -> None:
    groups, listed = client(
        "security group create sg1",
        "security group list -f json",
        "security group rule create sg1 --protocol tcp --dst-port 22 --ingress",
        "security group rule list sg1 -f json",
    )
    assert {group["Name"] for group in groups} == {"default", "sg1"}
    sg1 = one(api, "security-groups", "sg1")
    rules = api.list("security-group-rules", security_group_id=sg1["id"])
    assert {rule["ID"] for rule in listed} == {rule["id"] for rule in rules}
    ingress = [rule for rule in rules if rule["direction"] == "ingress"]
    assert [(r["port_range_min"], r["port_range_max"]) for r in ingress] == [(22, 22)]
    client("security group delete sg1")
    assert api.list("security-groups", name="sg1") == []


def test_subnet_pools_and_address_scopes(client: Client, api: ApiClient) -> None:
    scopes, scope, pools, pool, subnet = client(
        "address scope create scope4 --ip-version 4",
        "address scope list -f json",
        "address scope show scope4 -f json",
        "subnet pool create pool4 --pool-prefix 10.64.0.0/16 --default-prefix-length 24"
        " --min-prefix-length 20 --max-prefix-length 28 --address-scope scope4",
        "subnet pool set pool4 --description d --tag red",
        "subnet pool list -f json",
        "subnet pool show pool4 -f json",
        "network create net1",
        "subnet create s4 --network net1 --subnet-pool pool4",
        "subnet create s28 --network net1 --subnet-pool pool4 --prefix-length 28"
        " --service-type compute:nova",
        "subnet show s28 -f json",
    )
    kept = one(api, "subnetpools", "pool4")
    assert [s["ID"] for s in scopes] == [scope["id"]] == [kept["address_scope_id"]]
    assert [p["ID"] for p in pools] == [pool["id"]] == [kept["id"]]
    assert (kept["description"], kept["tags"], kept["max_prefixlen"]) == ("d", ["red"], "28")
    assert one(api, "subnets", "s4")["cidr"] == "10.64.0.0/24"
    assert (subnet["cidr"], subnet["service_types"]) == ("10.64.1.0/28", ["compute:nova"])
    assert one(api, "networks", "net1")["ipv4_address_scope"] == scope["id"]
    client("network delete net1", "subnet pool delete pool4", "address scope delete scope4")
    assert (api.list("subnetpools"), api.list("address-scopes")) == ([], [])


def test_floating_ips(client: Client, api: ApiClient) -> None:
    client(
        "network create net1",
        "network create ext1 --external",
        "subnet create s4 --network net1 --subnet-range 10.10.0.0/24",
        "subnet create exts --network ext1 --subnet-range 203.0.113.0/24 --no-dhcp",
        "router create r1 --external-gateway ext1",
        "router add subnet r1 s4",
        "port create p1 --network net1 --fixed-ip subnet=s4,ip-address=10.10.0.77",
        "floating ip create ext1 --floating-ip-address 203.0.113.9 --description d",
        "floating ip set 203.0.113.9 --port p1",
    )
    listed, shown = client("floating ip list -f json", "floating ip show 203.0.113.9 -f json")
    [kept] = api.list("floatingips")
    assert [f["Floating IP Address"] for f in listed] == ["203.0.113.9"]
    assert (shown["id"], shown["description"]) == (kept["id"], "d")
    assert kept["port_id"] == one(api, "ports", "p1")["id"]
    assert kept["router_id"] == one(api, "routers", "r1")["id"]
    assert kept["fixed_ip_address"] == "10.10.0.77"
    client("floating ip unset 203.0.113.9 --port")
    assert api.list("floatingips")[0]["port_id"] is None
    client("floating ip delete 203.0.113.9")
    assert api.list("floatingips") == []
    client(
        "router remove subnet r1 s4",
        "router delete r1",
        "port delete p1",
        "network delete net1 ext1",
    )
    assert api.list("ports") == []


def test_networks_shared_by_policies(client: Client, api: ApiClient) -> None:
    listed, shown = client(
        "network create net1",
        "network rbac create --type network --action access_as_shared --target-all-projects net1",
        "network rbac list -f json",
        "network rbac list --long -f json",
    )
    [kept] = api.list("rbac-policies")
    assert [p["ID"] for p in listed] == [p["ID"] for p in shown] == [kept["id"]]
    assert (kept["target_tenant"], kept["object_id"]) == (
        "*",
        one(api, "networks", "net1")["id"],
    )
    [policy] = client(f"network rbac show {kept['id']} -f json")
    assert policy["action"] == "access_as_shared"
    client(f"network rbac delete {kept['id']}", "network delete net1")
    assert api.list("rbac-policies") == []


def test_address_groups(client: Client, api: ApiClient) -> None:
    listed, shown = client(
        "address group create offices --address 192.0.2.0/28",
        "address group set offices --description d --address 192.0.2.64/28",
        "address group unset offices --address 192.0.2.0/28",
        "security group create sg1",
        "security group rule create sg1 --ingress --protocol tcp --remote-address-group offices",
        "address group list -f json",
        "address group show offices -f json",
    )
    [kept] = api.list("address-groups")
    assert [g["ID"] for g in listed] == [shown["id"]] == [kept["id"]]
    assert (kept["description"], kept["addresses"]) == ("d", ["192.0.2.64/28"])
    [rule] = api.list("security-group-rules", remote_address_group_id=kept["id"])
    assert rule["direction"] == "ingress"
    client("security group delete sg1", "address group delete offices")
    assert api.list("address-groups") == []
