"""The client of our own API: calls for the command line, reports and the change feed for agents.

It speaks Neutron's API v2.0 under /v2.0 and our own calls under /a9fe/v1; it decides nothing and
keeps nothing. Documents of the API are plain JSON objects here; the feed's are resources.
"""

from a9fe.api_client.client import ApiClient as ApiClient
from a9fe.api_client.errors import AmbiguousName as AmbiguousName
from a9fe.api_client.errors import ApiError as ApiError
from a9fe.api_client.errors import ServerUnreachable as ServerUnreachable
