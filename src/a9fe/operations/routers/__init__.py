"""Routers, their interfaces and gateways, and floating IPs."""
