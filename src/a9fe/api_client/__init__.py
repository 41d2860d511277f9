"""The clients of our own API: for the command line, for agents, and of the change feed.

Paths are Neutron's below /v2.0, and our own below /a9fe/v1. Resources of the API are plain JSON
objects here; those of the feed are model resources. transport builds every HTTP client, servers
fails over.
"""

from a9fe.api_client.client import ApiClient as ApiClient
from a9fe.api_client.errors import AmbiguousName as AmbiguousName
from a9fe.api_client.errors import ApiError as ApiError
from a9fe.api_client.errors import ServerUnreachable as ServerUnreachable
