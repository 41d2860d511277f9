"""DHCP namespaces and dnsmasq: what they look like, options, leases, isolated metadata."""
