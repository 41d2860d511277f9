"""The examples of subnet pools, address scopes and floating IPs."""

from a9fe.server.openapi.examples import Example, delete, get, post, put

POOLS: tuple[Example, ...] = (
    post(
        "/v2.0/address-scopes",
        {"address_scope": {"name": "lab", "ip_version": 4}},
        address_scope="address_scope.id",
    ),
    get("/v2.0/address-scopes?ip_version=4"),
    get("/v2.0/address-scopes/{address_scope}"),
    put("/v2.0/address-scopes/{address_scope}", {"address_scope": {"name": "labs"}}),
    post(
        "/v2.0/subnetpools",
        {
            "subnetpool": {
                "name": "lab",
                "prefixes": ["10.64.0.0/16"],
                "default_prefixlen": 24,
                "address_scope_id": "{address_scope}",
            }
        },
        subnetpool="subnetpool.id",
    ),
    get("/v2.0/subnetpools?name=lab"),
    get("/v2.0/subnetpools/{subnetpool}"),
    put("/v2.0/subnetpools/{subnetpool}", {"subnetpool": {"description": "of the lab"}}),
    post("/v2.0/networks", {"network": {"name": "pooled"}}, pooled="network.id"),
    post(
        "/v2.0/subnets",
        {"subnet": {"network_id": "{pooled}", "ip_version": 4, "subnetpool_id": "{subnetpool}"}},
        pooled_subnet="subnet.id",
    ),
)

FLOATING_IPS: tuple[Example, ...] = (
    post(
        "/v2.0/networks",
        {"network": {"name": "outside", "router:external": True}},
        external="network.id",
    ),
    post(
        "/v2.0/subnets",
        {
            "subnet": {
                "network_id": "{external}",
                "ip_version": 4,
                "cidr": "203.0.113.0/24",
                "enable_dhcp": False,
            }
        },
        external_subnet="subnet.id",
    ),
    post(
        "/v2.0/floatingips",
        {"floatingip": {"floating_network_id": "{external}"}},
        floatingip="floatingip.id",
    ),
    get("/v2.0/floatingips?floating_network_id={external}"),
    get("/v2.0/floatingips/{floatingip}"),
    put("/v2.0/floatingips/{floatingip}", {"floatingip": {"description": "of web1"}}),
)

SHARING: tuple[Example, ...] = (
    post(
        "/v2.0/rbac-policies",
        {
            "rbac_policy": {
                "object_type": "network",
                "object_id": "{pooled}",
                "action": "access_as_shared",
                "target_tenant": "web",
            }
        },
        rbac_policy="rbac_policy.id",
    ),
    post(
        "/v2.0/address-groups",
        {"address_group": {"name": "offices", "addresses": ["192.0.2.0/28"]}},
        address_group="address_group.id",
    ),
    get("/v2.0/address-groups?name=offices"),
    get("/v2.0/address-groups/{address_group}"),
    put("/v2.0/address-groups/{address_group}", {"address_group": {"description": "ours"}}),
    put("/v2.0/address-groups/{address_group}/add_addresses", {"addresses": ["192.0.2.64/28"]}),
    put("/v2.0/address-groups/{address_group}/remove_addresses", {"addresses": ["192.0.2.64/28"]}),
    get("/v2.0/rbac-policies?object_id={pooled}"),
    get("/v2.0/rbac-policies/{rbac_policy}"),
    put("/v2.0/rbac-policies/{rbac_policy}", {"rbac_policy": {"target_tenant": "db"}}),
)

END: tuple[Example, ...] = (
    delete("/v2.0/rbac-policies/{rbac_policy}"),
    delete("/v2.0/address-groups/{address_group}"),
    delete("/v2.0/floatingips/{floatingip}"),
    delete("/v2.0/networks/{external}"),
    delete("/v2.0/networks/{pooled}"),
    delete("/v2.0/subnetpools/{subnetpool}"),
    delete("/v2.0/address-scopes/{address_scope}"),
)
