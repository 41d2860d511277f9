"""Agents: their reports, which networks and routers they serve, and failover."""
