"""Router namespaces and their iptables rules."""
