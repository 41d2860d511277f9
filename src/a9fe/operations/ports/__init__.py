"""Ports: their addresses and MACs, and the floating IPs that depend on them."""
