"""Routers with their interfaces and gateways, and floating IPs."""
