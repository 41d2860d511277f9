"""The part of Nova's compute API v2.1 with which clients record servers; it starts no VM."""

from a9fe.server.nova import handlers, records, server_metadata, service, versions

OPERATIONS = (
    *versions.OPERATIONS,
    *service.OPERATIONS,
    *records.OPERATIONS,
    *handlers.OPERATIONS,
    *server_metadata.OPERATIONS,
)
