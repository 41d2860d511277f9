"""The examples of Neutron's API and of ours."""

from a9fe.server.openapi.examples import Example, delete, get, post, put

AGENTS = (
    post(
        "/a9fe/v1/agents/report",
        {
            "agent_type": "DHCP agent",
            "binary": "neutron-dhcp-agent",
            "host": "node1",
            "start": True,
        },
        200,
        dhcp_agent="agent_id",
    ),
    post(
        "/a9fe/v1/agents/report",
        {"agent_type": "L3 agent", "binary": "neutron-l3-agent", "host": "node1"},
        200,
        l3_agent="agent_id",
    ),
    get("/v2.0/agents?agent_type=DHCP+agent"),
    get("/v2.0/agents/{dhcp_agent}"),
    put("/v2.0/agents/{dhcp_agent}", {"agent": {"description": "rack 1"}}),
)

NETWORKS = (
    post("/v2.0/networks", {"network": {"name": "lab"}}, network="network.id"),
    get("/v2.0/networks?name=lab&fields=id&fields=name"),
    get("/v2.0/networks/{network}"),
    put("/v2.0/networks/{network}", {"network": {"description": "of the lab"}}),
    post(
        "/v2.0/subnets",
        {"subnet": {"network_id": "{network}", "ip_version": 4, "cidr": "10.1.0.0/24"}},
        subnet="subnet.id",
    ),
    get("/v2.0/subnets?network_id={network}"),
    get("/v2.0/subnets/{subnet}"),
    put("/v2.0/subnets/{subnet}", {"subnet": {"dns_nameservers": ["192.0.2.53"]}}),
    post(
        "/v2.0/ports",
        {
            "port": {
                "network_id": "{network}",
                "name": "web1",
                "fixed_ips": [{"subnet_id": "{subnet}", "ip_address": "10.1.0.20"}],
            }
        },
        port="port.id",
    ),
    get("/v2.0/ports?network_id={network}&limit=10"),
    get("/v2.0/ports/{port}"),
    put("/v2.0/ports/{port}", {"port": {"device_id": "vm1", "device_owner": "compute:nova"}}),
)

ROUTERS = (
    post("/v2.0/routers", {"router": {"name": "r1"}}, router="router.id"),
    get("/v2.0/routers"),
    get("/v2.0/routers/{router}"),
    put("/v2.0/routers/{router}", {"router": {"name": "edge"}}),
    put("/v2.0/routers/{router}/add_router_interface", {"subnet_id": "{subnet}"}),
    get("/v2.0/routers/{router}/l3-agents"),
    get("/v2.0/agents/{l3_agent}/l3-routers"),
    delete("/v2.0/agents/{l3_agent}/l3-routers/{router}"),
    post("/v2.0/agents/{l3_agent}/l3-routers", {"router_id": "{router}"}),
    get("/v2.0/networks/{network}/dhcp-agents"),
    get("/v2.0/agents/{dhcp_agent}/dhcp-networks"),
    delete("/v2.0/agents/{dhcp_agent}/dhcp-networks/{network}"),
    post("/v2.0/agents/{dhcp_agent}/dhcp-networks", {"network_id": "{network}"}),
)

ABOUT = (
    get("/"),
    get("/v2.0"),
    get("/v2.0/"),
    get("/v2.0/extensions"),
    get("/v2.0/extensions/router"),
    get("/metrics"),
    get("/a9fe/v1/status"),
    get("/a9fe/v1/feed?host=node1&agent=dhcp"),
    get("/openapi.json"),
    get("/docs"),
)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKpj3vZ6Tn9w0Jq1cX0m5Yx0T3uWm1gk3b5kq0s0f0aB me@desk"

OURS = (
    post(
        "/a9fe/v1/instances",
        {
            "instance": {
                "name": "web1",
                "networks": [{"uuid": "{network}"}],
                "user_data": "I2Nsb3VkLWNvbmZpZwo=",
                "keypairs": [{"name": "desk", "public_key": KEY, "type": "ssh"}],
                "metadata": {"role": "web"},
                "flavor": "m1.tiny",
                "image": "debian-12",
            }
        },
        instance="instance.id",
    ),
    get("/a9fe/v1/instances?name=web1"),
    get("/a9fe/v1/instances/{instance}"),
    put("/a9fe/v1/instances/{instance}", {"instance": {"metadata": {"role": "db"}}}),
    post(
        "/a9fe/v1/flavors",
        {"flavor": {"name": "web.small", "vcpus": 2, "ram": 2048, "disk": 20}},
        flavor="flavor.id",
    ),
    get("/a9fe/v1/flavors"),
    get("/a9fe/v1/flavors/{flavor}"),
    put("/a9fe/v1/flavors/{flavor}", {"flavor": {"description": "for web servers"}}),
    post("/a9fe/v1/images", {"image": {"name": "debian-12"}}, image="image.id"),
    get("/a9fe/v1/images?name=debian-12"),
    get("/a9fe/v1/images/{image}"),
    put("/a9fe/v1/images/{image}", {"image": {"properties": {"os_distro": "debian"}}}),
    post(
        "/a9fe/v1/keypairs", {"keypair": {"name": "desk", "public_key": KEY}}, keypair="keypair.id"
    ),
    get("/a9fe/v1/keypairs"),
    get("/a9fe/v1/keypairs/{keypair}"),
    put("/a9fe/v1/keypairs/{keypair}", {"keypair": {}}),
)

END: tuple[Example, ...] = (
    delete("/a9fe/v1/instances/{instance}"),
    delete("/a9fe/v1/flavors/{flavor}"),
    delete("/a9fe/v1/images/{image}"),
    delete("/a9fe/v1/keypairs/{keypair}"),
    put("/v2.0/routers/{router}/remove_router_interface", {"subnet_id": "{subnet}"}),
    delete("/v2.0/routers/{router}"),
    delete("/v2.0/ports/{port}"),
    delete("/v2.0/subnets/{subnet}"),
    delete("/v2.0/networks/{network}"),
    delete("/v2.0/agents/{dhcp_agent}"),
)
