"""a9fe's own API, /a9fe/v1: what Neutron's, Nova's and Glance's APIs do not have.

Each module has the rows of its operations (OPERATIONS) with their handlers. May import
`operations`, `api_tables` and the server's `asgi`, `auth` and `feed`.
"""

from a9fe.server.native import (
    agent_reports,
    api_tokens,
    collections,
    config_drives,
    feed,
    guest_data,
    identity_keys,
    imds_usage,
    resource_status,
    status,
)

OPERATIONS = (
    *agent_reports.OPERATIONS,
    *status.OPERATIONS,
    *resource_status.OPERATIONS,
    *feed.OPERATIONS,
    *collections.OPERATIONS,
    *guest_data.OPERATIONS,
    *config_drives.OPERATIONS,
    *imds_usage.OPERATIONS,
    *identity_keys.OPERATIONS,
    *api_tokens.OPERATIONS,
)
