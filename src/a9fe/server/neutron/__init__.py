"""Neutron's API v2.0: the operations of its resources, and their handlers."""

from a9fe.server.neutron import actions, agent_schedulers, collections, discovery, quotas

OPERATIONS = (
    *discovery.OPERATIONS,
    *collections.OPERATIONS,
    *actions.OPERATIONS,
    *agent_schedulers.OPERATIONS,
    *quotas.OPERATIONS,
)
