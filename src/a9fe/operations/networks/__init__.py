"""Networks and subnets, ports, subnet pools, sharing, security groups and address groups."""
