"""The `neutron` command: the effect of each step is read from our API."""

import pytest

from a9fe.api_client.client import ApiClient
from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.openstack import Client, neutron
from tests.lab.typed import agent_id, one

DEVICE = "33333333-3333-4333-8333-333333333333"
DHCP_PORT_FIELDS = {
    "admin_state_up", "allowed_address_pairs", "binding:host_id", "binding:profile",
    "binding:vif_details", "binding:vif_type", "binding:vnic_type", "device_id", "device_owner",
    "extra_dhcp_opts", "fixed_ips", "id", "mac_address", "name", "network_id", "security_groups",
    "status", "tenant_id",
}  # fmt: skip


@pytest.fixture
def client() -> Client:
    return neutron()


def test_networks_subnets_and_agents(client: Client, api: ApiClient) -> None:
    dhcp = agent_id(api, "DHCP agent")
    shown = client(
        "ext-list -f json -c alias",
        "agent-list -f json",
        f"agent-show {dhcp} -f json",
        "net-create net1",
        "net-create ext1 --router:external=True --provider:network_type flat"
        " --provider:physical_network public",
        "net-list --name net1 -F id -F name -f json",
        "net-show net1 -f json",
        "net-update net1 --admin-state-up False",
        "subnet-create net1 10.10.0.0/24 --name s4 --dns-nameserver 9.9.9.9"
        " --host-route destination=10.99.0.0/24,nexthop=10.10.0.254",
        "subnet-create net1 2001:db8:1::/64 --name s6 --ip-version 6 --ipv6-ra-mode slaac"
        " --ipv6-address-mode slaac",
        "subnet-create net1 10.11.0.0/24 --name iso --no-gateway --disable-dhcp",
        "subnet-create ext1 203.0.113.0/24 --name exts --disable-dhcp",
        "subnet-update s4 --name s4b",
        "subnet-show s4b -f json",
        f"dhcp-agent-network-add {dhcp} net1",
        f"net-list-on-dhcp-agent {dhcp} -f json",
        "dhcp-agent-list-hosting-net net1 -f json",
    )
    extensions, agents, agent, named, net, subnet, hosted, hosting = shown
    assert {"quotas", "security-group", "dhcp_agent_scheduler"} <= {e["alias"] for e in extensions}
    assert dhcp in {a["id"] for a in agents}
    assert (agent["binary"], agent["alive"]) == ("neutron-dhcp-agent", True)
    assert [n["name"] for n in named] == ["net1"]
    net1, ext1 = one(api, "networks", "net1"), one(api, "networks", "ext1")
    assert (net["id"], net1["admin_state_up"]) == (net1["id"], False)
    assert (ext1["router:external"], ext1["provider:physical_network"]) == (True, "public")
    s4, s6, iso = (one(api, "subnets", name) for name in ("s4b", "s6", "iso"))
    assert subnet["id"] == s4["id"]
    assert s4["host_routes"] == [{"destination": "10.99.0.0/24", "nexthop": "10.10.0.254"}]
    assert s4["dns_nameservers"] == ["9.9.9.9"]
    assert (s6["ipv6_ra_mode"], s6["ipv6_address_mode"]) == ("slaac", "slaac")
    assert (iso["gateway_ip"], iso["enable_dhcp"]) == (None, False)
    assert net1["id"] in {n["id"] for n in hosted}
    assert [a["id"] for a in hosting] == [dhcp]
    client(f"dhcp-agent-network-remove {dhcp} net1", f"agent-update --description x {dhcp}")
    assert api.show("agents", dhcp)["description"] == "x"
    client("net-delete net1", "net-delete ext1")
    assert api.list("networks") == []
    assert api.list("subnets") == []


def test_routers(client: Client, api: ApiClient) -> None:
    client(
        "net-create net1",
        "net-create ext1 --router:external=True",
        "subnet-create net1 10.10.0.0/24 --name s4",
        "subnet-create net1 10.11.0.0/24 --name iso --no-gateway --disable-dhcp",
        "subnet-create ext1 203.0.113.0/24 --name exts --disable-dhcp",
        "router-create r1",
        "router-gateway-set r1 ext1",
        "router-interface-add r1 subnet=s4",
        "router-interface-add r1 iso",
    )
    router = one(api, "routers", "r1")
    assert router["external_gateway_info"]["network_id"] == one(api, "networks", "ext1")["id"]
    interfaces = api.list("ports", device_owner="network:router_interface")
    assert {p["fixed_ips"][0]["ip_address"] for p in interfaces} == {"10.10.0.1", "10.11.0.1"}
    ports, hosting = client(
        "router-port-list r1 -f json",
        "l3-agent-list-hosting-router r1 -f json",
        "router-interface-delete r1 iso",
        "router-gateway-clear r1",
    )
    assert len(ports) == 3
    assert [a["id"] for a in hosting] == [agent_id(api, "L3 agent")]
    assert len(api.list("ports", device_id=router["id"])) == 1
    assert api.show("routers", router["id"])["external_gateway_info"] is None
    client("router-interface-delete r1 s4", "router-delete r1", "net-delete net1 ext1")
    assert api.list("routers") == []
    assert api.list("networks") == []


def test_ports(client: Client, api: ApiClient) -> None:
    client("net-create net1", "subnet-create net1 10.10.0.0/24 --name s4")
    net1 = one(api, "networks", "net1")["id"]
    client(
        "port-create net1 --name p1 --fixed-ip subnet_id=s4,ip_address=10.10.0.77"
        f" --device-id {DEVICE} --binding:host_id host1",
        "port-create net1 --name p0",
    )
    p1 = one(api, "ports", "p1")
    assert (p1["device_id"], p1["binding:host_id"]) == (DEVICE, "host1")
    assert [f["ip_address"] for f in p1["fixed_ips"]] == ["10.10.0.77"]
    everything, of_net, at, by_one, in_order, chosen, shown, by_name = client(
        "port-list -f json",
        f"port-list --network-id {net1} -f json",
        "port-list --fixed-ips ip_address=10.10.0.77 -f json",
        "port-list -P 1 -f json",
        "port-list --sort-key name --sort-dir desc -f json",
        "port-list -F id -F fixed_ips -F device_id -f json",
        f"port-show {p1['id']} -f json",
        "port-show p1 -f json",
    )
    ids = {port["id"] for port in api.list("ports")}
    for listed in (everything, of_net, by_one, in_order, chosen):
        assert {port["id"] for port in listed} == ids
    assert [port["id"] for port in at] == [p1["id"]]
    assert [port["name"] for port in in_order] == ["p1", "p0", ""]
    assert all(
        {"id", "fixed_ips"} <= port.keys() <= {"id", "fixed_ips", "device_id"} for port in chosen
    )
    assert shown["id"] == by_name["id"] == p1["id"]
    client(f"port-update {p1['id']} --name p1b")
    assert one(api, "ports", "p1b")["id"] == p1["id"]
    assert client.run("port-show nosuchport").complaints == [
        "Unable to find port with name or id 'nosuchport'"
    ]
    client("port-delete p1b", "port-delete p0", "net-delete net1")
    assert api.list("ports") == []


def test_security_groups_and_quotas(client: Client, api: ApiClient) -> None:
    shown = client(
        "security-group-create sg1",
        "security-group-rule-create sg1 --protocol tcp --port-range-min 22 --port-range-max 22"
        " --direction ingress",
        "security-group-list -f json",
        "security-group-rule-list -f json",
        "quota-show -f json",
        "quota-update --port 77",
        "quota-list -f json",
    )
    groups, listed, quota, of_projects = shown
    assert {group["name"] for group in groups} == {"default", "sg1"}
    sg1 = one(api, "security-groups", "sg1")
    rules = api.list("security-group-rules", security_group_id=sg1["id"])
    ingress = [rule for rule in rules if rule["direction"] == "ingress"]
    assert [(r["protocol"], r["port_range_min"]) for r in ingress] == [("tcp", 22)]
    assert {rule["id"] for rule in rules} <= {rule["id"] for rule in listed}
    assert quota["port"] == 500
    assert [int(project["port"]) for project in of_projects] == [77]
    client("quota-delete", "security-group-delete sg1")
    assert api.list("security-groups", name="sg1") == []
    assert api.call("GET", "/v2.0/quotas")["quotas"] == []


def test_a_dhcp_port_is_shown_as_it_is(client: Client, api: ApiClient) -> None:
    client("net-create net1", "subnet-create net1 10.10.0.0/24 --name s4")
    network = one(api, "networks", "net1")
    (port,) = api.list("ports", network_id=network["id"], device_owner="network:dhcp")
    eventually(lambda: api.show("ports", port["id"])["status"] == "ACTIVE", what="it is up")
    (shown,) = client(f"port-show {port['id']} -f json")
    assert shown.keys() >= DHCP_PORT_FIELDS
    (agent,) = api.list("agents", agent_type="DHCP agent")
    namespace, tap = f"qdhcp-{network['id']}", f"tap{port['id'][:11]}"
    link = host.within(namespace, "ip", "-4", "address", "show")
    (fixed,) = port["fixed_ips"]
    assert (shown["binding:host_id"], shown["binding:vif_type"]) == (agent["host"], "bridge")
    assert shown["device_id"].endswith(network["id"])
    assert f"brq{network['id'][:11]}" in host.our_links()
    assert tap in host.our_links()
    assert f"inet {fixed['ip_address']}/24" in link
    assert shown["mac_address"] in host.within(namespace, "ip", "link")
    client("net-delete net1")


def listener(namespace: str) -> str:
    """Return the inode of the proxy's socket in the namespace."""
    shown = host.within(namespace, "ss", "-Hlnte", "sport = :80")
    return next((word for word in shown.split() if word.startswith("ino:")), "")


def test_the_proxy_goes_and_comes_back_with_its_network(client: Client, api: ApiClient) -> None:
    client("net-create net1", "subnet-create net1 10.10.0.0/24 --name s4")
    network, dhcp = one(api, "networks", "net1")["id"], agent_id(api, "DHCP agent")
    namespace = f"qdhcp-{network}"

    def listens() -> str:
        return listener(namespace) if namespace in host.namespaces() else ""

    before = eventually(listens, what="the proxy listens")
    address = api.list("ports", network_id=network)[0]["fixed_ips"]
    client(f"dhcp-agent-network-remove {dhcp} net1")
    eventually(lambda: namespace not in host.namespaces(), what="the namespace goes")
    (reserved,) = api.list("ports", network_id=network)
    assert (reserved["device_id"], reserved["fixed_ips"]) == ("reserved_dhcp_port", address)
    again = client.run(f"dhcp-agent-network-remove {dhcp} net1")
    assert len(again.complaints) == 1
    client(f"dhcp-agent-network-add {dhcp} net1")
    after = eventually(listens, what="the proxy listens again")
    assert after != before
    (port,) = api.list("ports", network_id=network)
    assert (port["id"], port["fixed_ips"]) == (reserved["id"], address)
    client("net-delete net1")
