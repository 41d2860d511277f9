"""Agents: their reports, the networks and routers they are bound to, and failover."""
