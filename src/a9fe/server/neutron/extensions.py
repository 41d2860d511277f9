"""The extensions of Neutron's API that this server has, by alias."""

EXTENSIONS: dict[str, str] = {
    "agent": "Agents and their state",
    "availability_zone": "Where agents are",
    "dns-integration": "Names of ports",
    "ext-gw-mode": "Source NAT of a router's gateway",
    "extraroute": "Static routes of a router",
    "filter-validation": "Filters that no attribute has are refused",
    "network_availability_zone": "Where a network should be served",
    "pagination": "Lists by pages",
    "quotas": "Limits of what a project makes",
    "quota_details": "How much of its limits a project uses",
    "revision-if-match": "Changes of a certain revision only",
    "router_availability_zone": "Where a router should be served",
    "security-group": "Groups of rules for ports",
    "sorting": "Lists in order",
    "standard-attr-tag": "Tags of resources",
    "stateful-security-group": "Stateless security groups",
    "empty-string-filtering": "Filters by an empty text",
    "ip-substring-filtering": "Ports by a part of their address",
    "port-security-groups-filtering": "Ports by their security groups",
    "allowed-address-pairs": "Addresses a port may use besides its own",
    "binding": "Where a port is plugged",
    "dhcp_agent_scheduler": "Which DHCP agents serve a network",
    "external-net": "Networks that lead outside",
    "extra_dhcp_opt": "DHCP options of a port",
    "l3_agent_scheduler": "Which L3 agents serve a router",
    "net-mtu": "The MTU of a network",
    "port-security": "Port security of networks and ports",
    "project-id": "project_id beside tenant_id",
    "provider": "How a network is realised",
    "rbac-policies": "Networks that are shared with single projects",
    "router": "Routers",
    "address-group": "Groups of addresses for rules of security groups",
    "security-groups-remote-address-group": "Rules of security groups for address groups",
    "address-scope": "Sets of subnet pools that do not overlap",
    "default-subnetpools": "Default subnet pools",
    "fip-port-details": "The port that a floating IP leads to",
    "net-mtu-writable": "The MTU of a network can be set",
    "subnet-service-types": "Which ports a subnet's addresses are for",
    "subnet_allocation": "Subnets allocated from subnet pools",
    "standard-attr-description": "Descriptions of resources",
    "standard-attr-revisions": "Revision numbers of resources",
    "standard-attr-timestamp": "Times of creation and change",
}
UPDATED = "2026-11-22T00:00:00Z"


def shown(alias: str) -> dict[str, object]:
    """Neutron's body of an extension."""
    name = EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": name, "updated": UPDATED, "links": []}
