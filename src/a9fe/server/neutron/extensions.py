"""Extensions of Neutron's API that this server implements."""

EXTENSIONS: dict[str, str] = {
    "agent": "Agents and their state",
    "availability_zone": "Availability zones of agents",
    "dns-integration": "DNS names of ports",
    "ext-gw-mode": "Source NAT of router gateways",
    "extraroute": "Static routes of routers",
    "filter-validation": "Unknown filters are refused",
    "network_availability_zone": "Availability zones wanted for a network",
    "pagination": "Pages of lists",
    "quotas": "Quotas of projects",
    "quota_details": "Use of quotas by a project",
    "revision-if-match": "Updates of a given revision (If-Match)",
    "router_availability_zone": "Availability zones wanted for a router",
    "security-group": "Security groups",
    "sorting": "Sorted lists",
    "standard-attr-tag": "Tags of resources",
    "stateful-security-group": "Stateless security groups",
    "empty-string-filtering": "Filters by an empty string",
    "ip-substring-filtering": "Filters of ports by a part of their address",
    "port-security-groups-filtering": "Filters of ports by security group",
    "allowed-address-pairs": "Further addresses that a port may use",
    "binding": "Host and binding profile of ports",
    "dhcp_agent_scheduler": "Bindings of networks to DHCP agents",
    "external-net": "External networks",
    "extra_dhcp_opt": "DHCP options of ports",
    "l3_agent_scheduler": "Bindings of routers to L3 agents",
    "net-mtu": "MTUs of networks",
    "port-security": "Port security of networks and ports",
    "project-id": "project_id as well as tenant_id",
    "provider": "Provider attributes of networks",
    "rbac-policies": "Networks shared with chosen projects",
    "router": "Routers",
    "address-group": "Address groups",
    "security-groups-remote-address-group": "Security group rules with a remote address group",
    "address-scope": "Address scopes: subnet pools that do not overlap",
    "default-subnetpools": "Default subnet pools",
    "fip-port-details": "Port details of floating IPs",
    "net-mtu-writable": "Writable MTUs of networks",
    "subnet-service-types": "Device owners that a subnet serves",
    "subnet_allocation": "Subnets allocated from subnet pools",
    "standard-attr-description": "Descriptions of resources",
    "standard-attr-revisions": "Revision numbers of resources",
    "standard-attr-timestamp": "Times of creation and change",
}
"""Names by alias."""
UPDATED = "2026-11-22T00:00:00Z"


def shown(alias: str) -> dict[str, object]:
    """Return the extension as Neutron's API shows it."""
    name = EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": name, "updated": UPDATED, "links": []}
