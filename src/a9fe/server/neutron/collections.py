"""Operations on Neutron's collections and their tags, with examples.

An example's variable, such as {network}, is the id of the resource that another example creates
under this key.
"""

from a9fe.operations.collections import COLLECTIONS, OURS
from a9fe.server.asgi import NEUTRON, CollectionExamples, operations_of
from a9fe.server.neutron import tags

CHAPTER = "Network"

EXAMPLES = {
    "networks": CollectionExamples(
        create={
            "network": {"name": "lab"},
            "pooled": {"name": "pooled"},
            "external": {"name": "outside", "router:external": True},
        },
        query="name=lab&fields=id&fields=name",
        update={"description": "of the lab"},
    ),
    "subnets": CollectionExamples(
        create={
            "subnet": {"network_id": "{network}", "ip_version": 4, "cidr": "10.1.0.0/24"},
            "pooled_subnet": {
                "network_id": "{pooled}",
                "ip_version": 4,
                "subnetpool_id": "{subnetpool}",
            },
            "external_subnet": {
                "network_id": "{external}",
                "ip_version": 4,
                "cidr": "203.0.113.0/24",
                "enable_dhcp": False,
            },
        },
        query="network_id={network}",
        update={"dns_nameservers": ["192.0.2.53"]},
    ),
    "ports": CollectionExamples(
        create={
            "port": {
                "network_id": "{network}",
                "name": "web1",
                "fixed_ips": [{"subnet_id": "{subnet}", "ip_address": "10.1.0.20"}],
            }
        },
        query="network_id={network}&limit=10",
        update={"device_id": "vm1", "device_owner": "compute:nova"},
    ),
    "routers": CollectionExamples(create={"router": {"name": "r1"}}, update={"name": "edge"}),
    "security_groups": CollectionExamples(
        create={"group": {"name": "web", "description": "web servers"}},
        query="name=web",
        update={"name": "front"},
    ),
    "security_group_rules": CollectionExamples(
        create={
            "rule": {
                "security_group_id": "{group}",
                "direction": "ingress",
                "protocol": "tcp",
                "port_range_min": 443,
                "port_range_max": 443,
            }
        },
        query="security_group_id={group}",
        update={"description": "HTTPS"},
    ),
    "subnetpools": CollectionExamples(
        create={
            "subnetpool": {
                "name": "lab",
                "prefixes": ["10.64.0.0/16"],
                "default_prefixlen": 24,
                "address_scope_id": "{address_scope}",
            }
        },
        query="name=lab",
        update={"description": "of the lab"},
    ),
    "address_scopes": CollectionExamples(
        create={"address_scope": {"name": "lab", "ip_version": 4}},
        query="ip_version=4",
        update={"name": "labs"},
    ),
    "floatingips": CollectionExamples(
        create={
            "floatingip": {"floating_network_id": "{external}"},
        },
        query="floating_network_id={external}",
        update={"description": "of web1"},
    ),
    "rbac_policies": CollectionExamples(
        create={
            "rbac_policy": {
                "object_type": "network",
                "object_id": "{pooled}",
                "action": "access_as_shared",
                "target_tenant": "web",
            }
        },
        query="object_id={pooled}",
        update={"target_tenant": "db"},
    ),
    "address_groups": CollectionExamples(
        create={"address_group": {"name": "offices", "addresses": ["192.0.2.0/28"]}},
        query="name=offices",
        update={"description": "ours"},
    ),
    "agents": CollectionExamples(
        of="dhcp_agent", query="agent_type=DHCP+agent", update={"description": "rack 1"}
    ),
}

OPERATIONS = (
    *(
        operation
        for plural, collection in COLLECTIONS.items()
        if plural not in OURS
        for operation in operations_of(NEUTRON, CHAPTER, collection, EXAMPLES[plural])
    ),
    *(
        operation
        for plural, collection in COLLECTIONS.items()
        if collection.table.tagged
        for operation in tags.operations(NEUTRON, CHAPTER, collection, EXAMPLES[plural].name)
    ),
)
