"""JSON Schemas of the compute API's requests and answers, from its tables of fields."""

from collections.abc import Iterable
from typing import Any

from a9fe.api_tables.schemas import Component, Schema, members, taken_by
from a9fe.server.nova import fields as nova
from a9fe.server.nova.server_request import MEMBERS, REQUIRED


def _component(name: str, fields: Iterable[nova.Field[Any]]) -> Component:
    """Return the schema of an answer; a field with two rows may match either row's schema."""
    properties: dict[str, Any] = {}
    for field in fields:
        schema = dict(field.schema)
        if field.since > 1:
            schema["description"] = f"Since 2.{field.since}"
        if field.name in properties:
            schema = {"anyOf": [properties[field.name], schema]}
        properties[field.name] = schema
    return Component(name, {"type": "object", "properties": properties})


SERVER = _component("Server", nova.DETAIL)
SERVER_SUMMARY = _component("ServerSummary", nova.SUMMARY)
FLAVOR = _component("ServerFlavor", nova.FLAVOR_DETAIL)
FLAVOR_SUMMARY = _component("ServerFlavorSummary", nova.FLAVOR_SUMMARY)
KEYPAIR = _component("ServerKeypair", nova.KEYPAIR_DETAIL)
KEYPAIR_SUMMARY = _component("ServerKeypairSummary", nova.KEYPAIR_SUMMARY)

SERVER_REQUEST: Schema = members(
    tuple(MEMBERS.keys() - set(REQUIRED)),
    **{name: taken_by(m.read) for name, m in MEMBERS.items()},
)
PAGE = {
    "limit": "Largest number of resources to return",
    "marker": "Id (key pairs: name) of the last resource of the previous page",
}
SERVER_FILTERS = {
    "name": "Part of the name; ^ and $ match its start and end",
    "status": "All servers are ACTIVE; another status finds none",
    "all_tenants": "1: list the servers of all projects (admins only)",
    "deleted": "true finds none, as deleted servers are not kept",
    "ip": "Part of an IPv4 address",
    "ip6": "Part of an IPv6 address",
    "image": "Id of the image",
    "flavor": "Id of the flavor",
    "changes-since": "Only servers changed at or after this ISO 8601 time",
    **PAGE,
}
