"""Networks, subnets, subnet pools, address scopes and RBAC policies."""
