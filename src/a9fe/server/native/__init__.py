"""a9fe's own API, /a9fe/v1: instances, agents, feed, guest data, keys, tokens, usage."""

from a9fe.server.native import (
    agent_reports,
    api_tokens,
    collections,
    config_drives,
    feed,
    guest_data,
    identity_keys,
    imds_usage,
    status,
)

OPERATIONS = (
    *agent_reports.OPERATIONS,
    *status.OPERATIONS,
    *feed.OPERATIONS,
    *collections.OPERATIONS,
    *guest_data.OPERATIONS,
    *config_drives.OPERATIONS,
    *imds_usage.OPERATIONS,
    *identity_keys.OPERATIONS,
    *api_tokens.OPERATIONS,
)
