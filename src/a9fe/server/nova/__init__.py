"""Nova's compute API v2.1, as far as clients need it to record servers; nothing starts a VM."""

from a9fe.server.nova import handlers, records, server_metadata, service, versions

OPERATIONS = (
    *versions.OPERATIONS,
    *service.OPERATIONS,
    *records.OPERATIONS,
    *handlers.OPERATIONS,
    *server_metadata.OPERATIONS,
)
