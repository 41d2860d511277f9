"""What each operation takes and answers: derived for collections, a table for all others."""

from a9fe.api_tables import converters as to
from a9fe.api_tables import schemas
from a9fe.model.rules import addresses as rules
from a9fe.operations.collections import COLLECTIONS, OURS, Collection
from a9fe.server.asgi import faults
from a9fe.server.glance.images import MEMBERS as IMAGE_MEMBERS
from a9fe.server.glance.images import PATCH_TYPE
from a9fe.server.native import identity_keys as identity
from a9fe.server.native import imds_usage
from a9fe.server.nova import server_request as compute_request
from a9fe.server.nova.records import FLAVOR_MEMBERS, KEYPAIR_MEMBERS
from a9fe.server.openapi import guests as openapi_guests
from a9fe.server.openapi.schemas import Json, name_of, ref

NEUTRON, OWN = "/v2.0", "/a9fe/v1"
OPEN = frozenset(
    {"/", "/v2.1", "/v2.1/", "/image", "/image/", "/docs", "/openapi.json", "/v2.0", "/v2.0/"}
)
"""Paths that say what there is: nothing about them can be wrong."""
ALSO: dict[str, tuple[int, ...]] = {
    "POST /v2.1/os-keypairs": (200, 201),
    "DELETE /v2.1/os-keypairs/{name}": (202, 204),
}
"""Statuses besides those of the examples: they depend on the microversion."""
TYPES = {"PATCH /image/v2/images/{id}": PATCH_TYPE}
"""Media types of bodies that are not application/json."""


def _path_of(collection: Collection) -> str:
    base = OWN if collection.table.plural in OURS else NEUTRON
    return f"{base}/{collection.table.path}"


def _collections() -> dict[str, Collection]:
    return {_path_of(collection): collection for collection in COLLECTIONS.values()}


def _whose(path: str) -> tuple[Collection, bool] | None:
    """The collection of a path, and whether the path is of one of it."""
    known = _collections()
    if path in known:
        return known[path], False
    single = path.removesuffix("/{id}")
    return (known[single], True) if single != path and single in known else None


def tag_of(path: str) -> str:
    """The chapter that a path is in."""
    if faults.below(path, faults.COMPUTE):
        word = path.removeprefix(faults.COMPUTE).strip("/").partition("/")[0]
        return f"Compute: {word}" if word in ("servers", "flavors", "os-keypairs") else "Compute"
    if faults.below(path, faults.IMAGE):
        return "Images"
    for base, prefix in ((NEUTRON, "Network: "), (OWN, "a9fe: ")):
        word = path.removeprefix(base).strip("/").partition("/")[0]
        if path.startswith(base + "/") and f"{base}/{word}" in _collections():
            return prefix + word
        if path.startswith(base + "/") and word in (
            "tokens",
            "quotas",
            "extensions",
            "identity",
        ):
            return prefix + word
    return "About the server"


def summary_of(method: str, path: str) -> str:
    """What an operation does; "" where its handler says it."""
    found = _whose(path)
    if found is None:
        return _summary_of_other(method, path)
    table, one = found[0].table, found[1]
    kind, many = table.kind.replace("_", " "), table.plural.replace("_", " ")
    article = "an" if kind[0] in "aei" else "a"
    verbs = {"GET": "Show", "PUT": "Change", "DELETE": "Delete"}
    if one:
        return f"{verbs[method]} {article} {kind}"
    return f"List {many}" if method == "GET" else f"Create {article} {kind}"


_OF_TAGS = {
    "GET tags": "List the tags",
    "PUT tags": "Replace the tags",
    "DELETE tags": "Remove all tags",
    "GET {tag}": "Whether it has the tag",
    "PUT {tag}": "Add a tag",
    "DELETE {tag}": "Remove a tag",
}
SUMMARIES = {
    "GET /": "The versions of the network API",
    "GET /metrics": "Counters, for Prometheus",
    "GET /v2.0": "The resources of the network API",
    "GET /v2.0/": "The resources of the network API",
    "GET /v2.0/extensions": "List extensions",
    "GET /v2.0/extensions/{alias}": "Show an extension",
    "GET /v2.0/availability_zones": "List availability zones",
    "GET /v2.0/agents/{id}/dhcp-networks": "List the networks that a DHCP agent serves",
    "POST /v2.0/agents/{id}/dhcp-networks": "Let a DHCP agent serve a network",
    "DELETE /v2.0/agents/{id}/dhcp-networks/{network_id}": "Take a network from a DHCP agent",
    "GET /v2.0/agents/{id}/l3-routers": "List the routers that an L3 agent serves",
    "POST /v2.0/agents/{id}/l3-routers": "Let an L3 agent serve a router",
    "DELETE /v2.0/agents/{id}/l3-routers/{router_id}": "Take a router from an L3 agent",
    "GET /v2.0/networks/{id}/dhcp-agents": "List the DHCP agents that serve a network",
    "GET /v2.0/routers/{id}/l3-agents": "List the L3 agents that serve a router",
    "PUT /v2.0/routers/{id}/add_router_interface": "Put a router on a subnet",
    "PUT /v2.0/routers/{id}/remove_router_interface": "Take a router from a subnet",
    "PUT /v2.0/address-groups/{id}/add_addresses": "Put addresses into an address group",
    "PUT /v2.0/address-groups/{id}/remove_addresses": "Take addresses from an address group",
    "GET /v2.0/quotas": "List the quotas that differ from the defaults",
    "GET /v2.0/quotas/tenant": "The caller's own project",
    "GET /v2.0/quotas/project": "The caller's own project",
    "GET /v2.0/quotas/{project_id}": "Show a project's quotas",
    "GET /v2.0/quotas/{project_id}/default": "Show the default quotas",
    "GET /v2.0/quotas/{project_id}/details": "Show a project's quotas, and what is used",
    "GET /v2.0/quotas/{project_id}/details.json": "Show a project's quotas, and what is used",
    "PUT /v2.0/quotas/{project_id}": "Set a project's quotas",
    "DELETE /v2.0/quotas/{project_id}": "Return a project to the default quotas",
    "POST /a9fe/v1/agents/report": "An agent's heartbeat, with the status of its ports",
    "GET /a9fe/v1/feed": "Follow what changes: a snapshot, then one JSON object a line",
    "GET /a9fe/v1/status": "The revision, how many there are of each kind, who follows",
    "POST /a9fe/v1/tokens": "Create a token; only this answer has it",
    "GET /a9fe/v1/tokens": "List tokens",
    "DELETE /a9fe/v1/tokens/{id}": "Revoke a token",
}
"""Of operations that are not a collection's, nor told by their handler."""


def _summary_of_other(method: str, path: str) -> str:
    last = path.rpartition("/")[2]
    known = SUMMARIES.get(f"{method} {path}", "")
    return known or (_OF_TAGS.get(f"{method} {last}", "") if "/tags" in path else "")


def query_of(method: str, path: str) -> list[Json]:
    """The parameters of a query."""
    found = _whose(path)
    if method != "GET":
        return []
    names = QUERIES.get(path, {})
    if found and not found[1]:
        names = {**_PAGE, **_filters(found[0])}
    elif found:
        names = {"fields": _PAGE["fields"]}
    required = REQUIRED_QUERIES.get(path, ())
    return [
        {
            "name": name,
            "in": "query",
            "schema": {"type": "string"},
            "description": about,
            **({"required": True} if name in required else {}),
        }
        for name, about in names.items()
    ]


def _filters(collection: Collection) -> dict[str, str]:
    return {
        a.name: f"Only resources with this {a.name}"
        for a in collection.table.attributes
        if a.filter or a.conditions
    }


_PAGE = {
    "fields": "Attributes to answer; may be repeated",
    "limit": "At most so many",
    "marker": "The id after which the page begins",
    "sort_key": "Attribute to sort by; may be repeated",
    "sort_dir": "asc or desc, one for each sort_key",
    "page_reverse": "true: the page before the marker",
}
_SERVERS = {
    "name": "Part of the name; ^ and $ are its ends",
    "status": "Every server is ACTIVE",
    "all_tenants": "1: of all projects, for admins",
    "deleted": "Deleted servers are not kept",
    "ip": "Part of an IPv4 address",
    "ip6": "Part of an IPv6 address",
    "image": "Id of the image",
    "flavor": "Id of the flavor",
    "changes-since": "Changed since then, ISO 8601",
    "limit": "At most so many",
    "marker": "The id after which the page begins",
}
_LIMITS = {name: _PAGE[name] for name in ("limit", "marker")}
QUERIES: dict[str, dict[str, str]] = {
    **openapi_guests.QUERIES,
    "/v2.1/servers": _SERVERS,
    "/v2.1/servers/detail": _SERVERS,
    "/v2.1/flavors": {"is_public": "None: also those that are not, for admins", **_LIMITS},
    "/v2.1/flavors/detail": {"is_public": "None: also those that are not, for admins", **_LIMITS},
    "/v2.1/os-keypairs": _LIMITS,
    "/image/v2/images": {
        "name": "Only those with this name",
        "owner": "Only those of this project",
        "visibility": "public, private, shared, community or all",
        "status": "Every image is active",
        **_LIMITS,
    },
    "/a9fe/v1/feed": {
        "host": "The agent's host",
        "agent": "l3, dhcp, metadata or service",
        "from": "Send changes after this revision; without it, a snapshot",
        "once": "1: send the changes committed after `from`, then end",
    },
}
REQUIRED_QUERIES = {"/a9fe/v1/feed": ("host", "agent")}


def _object(required: tuple[str, ...] = (), **properties: Json) -> Json:
    found: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


def _wrapped(name: str, schema: Json) -> Json:
    return _object((name,), **{name: schema})


UUID: Json = {"type": "string", "format": "uuid"}
TEXT: Json = {"type": "string"}
ITEMS: Json = dict(schemas.taken_by(to.string_map))
_SERVER: Json = _object(
    compute_request.REQUIRED,
    **{name: dict(schemas.taken_by(m.read)) for name, m in compute_request.MEMBERS.items()},
)
_FLAVOR: Json = _object(
    ("name", "ram", "vcpus", "disk"),
    **{name: dict(schemas.taken_by(read)) for name, (_, read) in FLAVOR_MEMBERS.items()},
)
_KEYPAIR: Json = _object(
    ("name", "public_key"),
    **{name: dict(schemas.taken_by(read)) for name, read in KEYPAIR_MEMBERS.items()},
)
_IMAGE: Json = {
    "type": "object",
    "properties": {name: dict(schemas.taken_by(read)) for name, read in IMAGE_MEMBERS.items()},
    "additionalProperties": {"type": "string", "maxLength": 255},
}
_PATCH: Json = {
    "type": "array",
    "items": _object(
        ("op", "path"),
        op={"type": "string", "enum": ["add", "replace", "remove"]},
        path={"type": "string", "examples": ["/name"]},
        value={},
    ),
}
_REPORT: Json = _object(
    ("agent_type", "binary", "host"),
    agent_type=dict(schemas.text_of(255)),
    binary=dict(schemas.text_of(255)),
    host=dict(schemas.text_of(255)),
    configurations=dict(schemas.taken_by(to.simple_map)),
    start={"type": "boolean"},
    ports_up={"type": "array", "items": UUID},
    ports_down={"type": "array", "items": UUID},
)
_INTERFACE: Json = {
    **_object(subnet_id=UUID, port_id=UUID),
    "description": "One of the two; both on removal where they belong together",
}
_ADDRESSES: Json = {"type": "array", "maxItems": 1000, "items": dict(schemas.taken_by(rules.cidr))}
_TAG_LIST: Json = _wrapped(
    "tags", {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255}}
)
BODIES: dict[str, Json] = {
    **{key: dict(schema) for key, schema in openapi_guests.BODIES.items()},
    **{key: dict(schema) for key, schema in imds_usage.BODIES.items()},
    **{key: dict(schema) for key, schema in identity.BODIES.items()},
    "POST /v2.1/servers": _wrapped("server", _SERVER),
    "PUT /v2.1/servers/{id}": _wrapped("server", _object(name=TEXT, description=TEXT)),
    "POST /v2.1/servers/{id}/metadata": _wrapped("metadata", ITEMS),
    "PUT /v2.1/servers/{id}/metadata": _wrapped("metadata", ITEMS),
    "PUT /v2.1/servers/{id}/metadata/{key}": _wrapped("meta", ITEMS),
    "POST /v2.1/flavors": _wrapped("flavor", _FLAVOR),
    "POST /v2.1/os-keypairs": _wrapped("keypair", _KEYPAIR),
    "POST /image/v2/images": _IMAGE,
    "PATCH /image/v2/images/{id}": _PATCH,
    "POST /a9fe/v1/agents/report": _REPORT,
    "POST /a9fe/v1/tokens": _wrapped(
        "token",
        _object(
            project_id=dict(schemas.text_of(255)),
            role={"type": "string", "enum": ["admin", "member"], "default": "member"},
            host=dict(schemas.text_of(255)),
            description={"type": "string", "maxLength": 255},
        ),
    ),
    "PUT /v2.0/quotas/{project_id}": _wrapped(
        "quota",
        {"type": "object", "additionalProperties": {"type": "integer", "minimum": -1}},
    ),
    "PUT /v2.0/address-groups/{id}/add_addresses": _wrapped("addresses", _ADDRESSES),
    "PUT /v2.0/address-groups/{id}/remove_addresses": _wrapped("addresses", _ADDRESSES),
    "PUT /v2.0/routers/{id}/add_router_interface": _INTERFACE,
    "PUT /v2.0/routers/{id}/remove_router_interface": _INTERFACE,
    "POST /v2.0/agents/{id}/dhcp-networks": _object(("network_id",), network_id=UUID),
    "POST /v2.0/agents/{id}/l3-routers": _object(("router_id",), router_id=UUID),
}


def request_of(method: str, path: str) -> Json | None:
    """The schema of a body; None where there is none, or nobody described it."""
    found = _whose(path)
    if found is None:
        tags = _TAG_LIST if f"{method} {path}".endswith("/tags") and method == "PUT" else None
        return BODIES.get(f"{method} {path}", tags)
    table = found[0].table
    if method == "PUT":
        return _wrapped(table.kind, ref(f"{name_of(table)}Update"))
    if method != "POST":
        return None
    one = ref(f"{name_of(table)}Create")
    many: Json = {"type": "array", "items": one, "minItems": 1, "maxItems": 1000}
    return {"oneOf": [_wrapped(table.kind, one), _wrapped(table.plural, many)]}


def _of(name: str, schema: Json) -> Json:
    return {"type": "object", "properties": {name: schema}, "required": [name]}


def _list(name: str, schema: Json) -> Json:
    return _of(name, {"type": "array", "items": schema})


_META, _METADATA = _of("meta", {"type": "object"}), _of("metadata", {"type": "object"})
ANSWERS: dict[str, Json] = {
    **{key: dict(schema) for key, schema in openapi_guests.ANSWERS.items()},
    **{key: dict(schema) for key, schema in imds_usage.ANSWERS.items()},
    **{key: dict(schema) for key, schema in identity.ANSWERS.items()},
    "GET /v2.1/servers": _list("servers", ref("ServerSummary")),
    "GET /v2.1/servers/detail": _list("servers", ref("Server")),
    "GET /v2.1/servers/{id}": _of("server", ref("Server")),
    "PUT /v2.1/servers/{id}": _of("server", ref("Server")),
    "POST /v2.1/servers": _of("server", {"type": "object", "required": ["id", "links"]}),
    "GET /v2.1/servers/{id}/metadata": _METADATA,
    "POST /v2.1/servers/{id}/metadata": _METADATA,
    "PUT /v2.1/servers/{id}/metadata": _METADATA,
    "GET /v2.1/servers/{id}/metadata/{key}": _META,
    "PUT /v2.1/servers/{id}/metadata/{key}": _META,
    "GET /v2.1/flavors": _list("flavors", ref("ServerFlavorSummary")),
    "GET /v2.1/flavors/detail": _list("flavors", ref("ServerFlavor")),
    "GET /v2.1/flavors/{id}": _of("flavor", ref("ServerFlavor")),
    "POST /v2.1/flavors": _of("flavor", ref("ServerFlavor")),
    "GET /v2.1/os-keypairs": _list("keypairs", _of("keypair", ref("ServerKeypairSummary"))),
    "GET /v2.1/os-keypairs/{name}": _of("keypair", ref("ServerKeypair")),
    "POST /v2.1/os-keypairs": _of("keypair", ref("ServerKeypairSummary")),
    "GET /image/v2/images": _list("images", {"type": "object"}),
    "GET /v2.0/agents/{id}/dhcp-networks": _list("networks", ref("Network")),
    "GET /v2.0/agents/{id}/l3-routers": _list("routers", ref("Router")),
    "GET /v2.0/networks/{id}/dhcp-agents": _list("agents", ref("Agent")),
    "GET /v2.0/routers/{id}/l3-agents": _list("agents", ref("Agent")),
    "POST /a9fe/v1/agents/report": _of("agent_id", UUID),
    "POST /v2.0/agents/{id}/dhcp-networks": {"type": "null"},
    "POST /v2.0/agents/{id}/l3-routers": {"type": "null"},
}


def answer_of(method: str, path: str) -> Json:
    """The schema of a good answer."""
    found = _whose(path)
    if found is None and method == "PUT" and path.endswith("/{tag}"):
        return {"type": "null"}
    if found is None:
        return ANSWERS.get(f"{method} {path}", {"type": "object"})
    table, one = found[0].table, found[1]
    schema = ref(name_of(table))
    many = _list(table.plural, schema)
    if one:
        return _of(table.kind, schema)
    return many if method == "GET" else {"anyOf": [_of(table.kind, schema), many]}
