"""Neutron's API v2.0: the rows of its operations with their handlers.

May import `operations`, `api_tables` and the server's `asgi`.
"""

from a9fe.server.neutron import actions, agent_schedulers, collections, discovery, quotas

OPERATIONS = (
    *discovery.OPERATIONS,
    *collections.OPERATIONS,
    *actions.OPERATIONS,
    *agent_schedulers.OPERATIONS,
    *quotas.OPERATIONS,
)
