"""The effects of commands, read from the API, and their removal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from a9fe.api_client.client import ApiClient


@contextmanager
def cleared(api: ApiClient) -> Iterator[ApiClient]:
    """Yield the API; remove what commands left on networks after the block."""
    yield api
    for network in api.list("networks"):
        for port in api.list("ports", network_id=network["id"]):
            if not port["device_owner"].startswith("network:"):
                api.delete("ports", port["id"])
        api.delete("networks", network["id"])


def one(api: ApiClient, collection: str, name: str) -> Any:
    """Return the one resource of that name."""
    (found,) = api.list(collection, name=name)
    return found


def agent_id(api: ApiClient, agent_type: str) -> str:
    """Return the id of the one agent of that type."""
    (agent,) = api.list("agents", agent_type=agent_type)
    return str(agent["id"])
