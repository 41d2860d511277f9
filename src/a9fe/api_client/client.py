"""The API client of the command line: Neutron's API v2.0 and our own, synchronous."""

from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from a9fe.api_client.errors import AmbiguousName, ApiError
from a9fe.api_client.transport import Sender, json_of, not_our_server

Document = dict[str, Any]
Documents = list[Document]

TIMEOUT = 30.0  # s: the slowest operation, deleting a large network, takes a few
# Our own collections are not below /v2.0.
OWN = frozenset({"instances", "flavors", "images", "keypairs"})


def path_of(collection: str) -> str:
    """Return the path of a collection by its plural name, e.g. "networks"."""
    return f"/a9fe/v1/{collection}" if collection in OWN else f"/v2.0/{collection}"


def _one(collection: str, id: str) -> str:
    return f"{path_of(collection)}/{quote(id, safe='')}"


def singular(collection: str) -> str:
    """Return the key of one resource in a body, e.g. "network"."""
    return collection.removesuffix("s").replace("-", "_")


def _after(links: object, page: Documents, filters: dict[str, str]) -> dict[str, str] | None:
    """Return the query of the next page, None if the answer links to no next page."""
    relations = [link.get("rel") for link in links] if isinstance(links, list) else []
    if "next" not in relations or not page:
        return None
    return {**filters, "marker": str(page[-1]["id"])}


class ApiClient:
    """Sends requests to the servers of the option server_url.

    `collection` is a plural name: networks, subnets, ports, routers, agents, instances, flavors,
    images, keypairs. Every request raises ApiError if the server refuses it, ServerUnreachable if
    none answers.
    """

    def __init__(
        self, url: str, transport: httpx.BaseTransport | None = None, *, token: str = ""
    ) -> None:
        """`url` as in the option server_url; `transport` replaces the network in tests."""
        self._sender = Sender(url, transport, token=token, timeout=TIMEOUT)

    def __enter__(self) -> "ApiClient":
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self._sender.close()

    def list(self, collection: str, **filters: str) -> Documents:
        """Return all resources whose attributes have the values of `filters`, from all pages."""
        key, found = collection.rpartition("/")[2].replace("-", "_"), []
        params: dict[str, str] | None = filters
        while params is not None:
            answer = self.call("GET", path_of(collection), params=params)
            page = self._list(answer, key)
            found += page
            params = _after(answer.get(f"{key}_links"), page, filters)
        return found

    def show(self, collection: str, id: str) -> Document:
        """Return a resource by its id."""
        answer = self.call("GET", _one(collection, id))
        return self._object(answer.get(singular(collection)))

    def status(self, collection: str, id: str, wait: int = 0) -> Document:
        """Return the status of a network, router, port or agent, with its problems.

        `wait`: seconds, at most 25, that the server waits until a port is ACTIVE.
        """
        path = f"/a9fe/v1/{collection}/{quote(id, safe='')}/status"
        answer = self.call("GET", path, params={"wait": str(wait)} if wait else None)
        return self._object(answer.get("status"))

    def create(self, collection: str, attributes: Document) -> Document:
        """Create a resource; return it with all its attributes."""
        key = singular(collection)
        return self._object(self.call("POST", path_of(collection), {key: attributes}).get(key))

    def update(self, collection: str, id: str, attributes: Document) -> Document:
        """Change attributes of a resource; return it."""
        key, path = singular(collection), _one(collection, id)
        return self._object(self.call("PUT", path, {key: attributes}).get(key))

    def delete(self, collection: str, id: str) -> None:
        """Delete a resource."""
        self.call("DELETE", _one(collection, id))

    def action(self, collection: str, id: str, action: str, body: Document) -> Document:
        """Do an action, e.g. routers, id, "add_router_interface", {"subnet_id": ...}."""
        return self.call("PUT", f"{_one(collection, id)}/{action}", body)

    def find(self, collection: str, name_or_id: str) -> Document:
        """Return a resource by id or name. Raises AmbiguousName if several have the name."""
        try:
            if name_or_id and "/" not in name_or_id:
                return self.show(collection, name_or_id)
        except ApiError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
        found = [d for d in self.list(collection, name=name_or_id) if d["name"] == name_or_id]
        what = singular(collection)
        if not found:
            raise ApiError(404, "NotFound", f"{what}: no {what} has the name or id {name_or_id!r}")
        if len(found) > 1:
            raise AmbiguousName(what, name_or_id, [str(d["id"]) for d in found])
        return found[0]

    def call(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        params: dict[str, str] | None = None,
    ) -> Document:
        """Send a request; return the answer's body, {} if it has none or is Neutron's null."""
        answer = json_of(self._sender.send(method, path, body, params))
        return {} if answer is None else self._object(answer)

    def _object(self, value: object) -> Document:
        if not isinstance(value, dict):
            raise self._not_our_server()
        return value

    def _list(self, answer: Document, key: str) -> Documents:
        part = answer.get(key)
        if not isinstance(part, list):
            raise self._not_our_server()
        return part

    def _not_our_server(self) -> ApiError:
        return not_our_server(self._sender.servers.current)
