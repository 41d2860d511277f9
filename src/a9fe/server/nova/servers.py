"""Servers, as Nova's clients see instances: made, found, listed, shown. Inside one transaction."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from a9fe.api_tables import converters as to
from a9fe.api_tables.attributes import Values
from a9fe.api_tables.requests import NetworkCard
from a9fe.model.compute import Flavor, Image, KeypairRecord
from a9fe.model.errors import Conflict, Forbidden, InvalidInput, NotFound
from a9fe.model.resources import Instance, Keypair, Network, Port, SecurityGroup
from a9fe.operations import access
from a9fe.operations.instances import instances
from a9fe.operations.transaction import Transaction
from a9fe.server.nova.fields import DETAIL, SUMMARY, Json, ServerView, addresses, render
from a9fe.server.nova.server_request import NONE, ServerRequest

PAGE_MAX = 1000  # servers of one answer (Nova's max_limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """What an answer depends on besides the server: microversion, and the root's URL."""

    version: int
    base: str


def require(tx: Transaction, id: str, *, change: bool = False) -> Instance:
    """The instance, if the caller sees it (and may change it). Raises NotFound, Forbidden."""
    found: Instance = access.require(tx, Instance, id, "server")
    if change:
        access.check_change(tx, found)
    return found


def create(tx: Transaction, request: ServerRequest) -> list[Instance]:
    """As many instances as asked for. Raises InvalidInput for a reference that leads nowhere."""
    try:
        values = _values(tx, request)
        names = _names_of(request)
        return [
            instances.create(tx, {**values, "name": name, "launch_index": index})
            for index, name in enumerate(names)
        ]
    except NotFound as error:
        expected = "the id of one that exists"
        raise InvalidInput(f"networks.{error.kind}", error.id, expected) from error


def _names_of(request: ServerRequest) -> list[str]:
    """Of several servers each has its number at the end (Nova)."""
    if request.most == 1:
        return [request.name]
    return [f"{request.name}-{number}" for number in range(1, request.most + 1)]


def _values(tx: Transaction, request: ServerRequest) -> Values:
    if request.host and not tx.caller.is_admin:
        raise Forbidden("host: is for admins to set")
    flavor = _flavor(tx, request.flavor)
    image = _image(tx, request.image)
    given = {"availability_zone": request.availability_zone, "host": request.host}
    return {
        "flavor": flavor.name,
        "flavor_id": flavor.id,
        "image": image.name or image.id if image else "",
        "image_id": image.id if image else "",
        "user_data": request.user_data,
        "metadata": request.metadata,
        "description": request.description,
        "keypairs": _keypairs(tx, request.key_name),
        "networks": _cards(tx, request),
        "security_groups": _groups(tx, request.groups),
        "project_id": tx.project_id,
        **{name: value for name, value in given.items() if value},
    }


def _flavor(tx: Transaction, id: str) -> Flavor:
    found = tx.session.get(Flavor, id)
    if found is None or not access.seen(tx, found):
        raise InvalidInput("flavorRef", id, "the id of a flavor that exists")
    return found


def _image(tx: Transaction, id: str) -> Image | None:
    if not id:
        return None
    found = tx.session.get(Image, id.lower())
    if found is None or not access.seen(tx, found):
        raise InvalidInput("imageRef", id, "the id of an image that exists")
    return found


def _keypairs(tx: Transaction, name: str) -> tuple[Keypair, ...]:
    if not name:
        return ()
    found = tx.session.find(KeypairRecord, name=name, project_id=tx.project_id)
    if not found:
        raise InvalidInput("key_name", name, "the name of a key pair of the project's")
    return tuple(Keypair(name=k.name, public_key=k.public_key, type=k.type) for k in found)


def _groups(tx: Transaction, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The ids of security groups named; None: the project's default, as for any port."""
    if names is None:
        return None
    groups = tx.session.find(SecurityGroup, project_id=tx.project_id)
    ids = {**{g.name: g.id for g in groups}, **{g.id: g.id for g in groups}}
    for name in names:
        if name not in ids and name != "default":
            raise InvalidInput("security_groups", name, "a security group of the project's")
    return tuple(dict.fromkeys(ids[name] for name in names if name in ids)) or None


def _cards(tx: Transaction, request: ServerRequest) -> tuple[NetworkCard, ...]:
    if not isinstance(request.networks, str):
        return request.networks
    if request.networks == NONE:
        return ()
    found = [n for n in tx.session.find(Network) if n.project_id == tx.project_id or n.shared]
    inside = [n for n in found if not n.external]
    if len(inside) > 1:
        message = "Several networks are there for this project; say which, as networks"
        raise Conflict("NetworkAmbiguous", message)
    return tuple(NetworkCard(network=n.id) for n in inside)


def update(tx: Transaction, instance: Instance, document: object) -> Instance:
    """PUT: a new name or description."""
    server = document.get("server") if isinstance(document, dict) else None
    if not isinstance(server, dict):
        raise InvalidInput("body", document, 'an object {"server": ...}')
    readers = {"name": to.one_line(minimum=1), "description": to.nullable(to.string())}
    for name in server:
        if name not in readers:
            raise InvalidInput(str(name), server[name], f"one of {', '.join(readers)}")
    values: Values = {name: readers[name](name, value) or "" for name, value in server.items()}
    return tx.session.update(replace(instance, **values))


def set_metadata(tx: Transaction, instance: Instance, metadata: Mapping[str, str]) -> Instance:
    """Replace an instance's metadata."""
    checked = to.string_map("metadata", dict(metadata))
    return tx.session.update(replace(instance, metadata=checked))


def views(tx: Transaction, found: list[Instance], asker: Asker) -> list[ServerView]:
    """The servers with their ports, networks' names and flavors."""
    ids = [instance.id for instance in found]
    named: dict[str, list[Port]] = {id: [] for id in ids}
    for port in tx.session.find(Port, device_id=ids) if ids else []:
        named[port.device_id].append(port)
    of = {instance.id: instances.own(instance, named[instance.id]) for instance in found}
    ports = [port for owned in of.values() for port in owned]
    networks = _names(tx, Network, (port.network_id for port in ports))
    groups = _names(tx, SecurityGroup, (id for port in ports for id in port.security_groups))
    flavors = tx.session.find(Flavor)
    by_id = {f.id: f for f in flavors}
    by_name = {f.name: f for f in flavors if access.seen(tx, f)}  # anyone may write a name
    return [
        ServerView(
            instance=instance,
            version=asker.version,
            base=asker.base,
            is_admin=tx.caller.is_admin,
            ports=tuple(of[instance.id]),
            networks=networks,
            groups=groups,
            flavor=by_id.get(instance.flavor_id) or by_name.get(instance.flavor),
        )
        for instance in found
    ]


def _names(
    tx: Transaction, cls: type[Network] | type[SecurityGroup], ids: Iterable[str]
) -> dict[str, str]:
    wanted = sorted(set(ids))
    return {found.id: found.name for found in tx.session.find(cls, id=wanted)} if wanted else {}


def groups_of(tx: Transaction, instance: Instance, asker: Asker) -> list[Json]:
    """The security groups of a server's ports, as its own call answers them."""
    view = views(tx, [instance], asker)[0]
    ids = dict.fromkeys(id for port in view.ports for id in port.security_groups)
    return [
        {
            "id": group.id,
            "name": group.name,
            "description": group.description,
            "tenant_id": group.project_id,
            "rules": [],
        }
        for group in tx.session.find(SecurityGroup, id=list(ids))
    ]


def interface(port: Port) -> Json:
    """A port as an interface of its server."""
    fixed = [{"subnet_id": f.subnet_id, "ip_address": f.ip_address} for f in port.fixed_ips]
    return {
        "port_id": port.id,
        "net_id": port.network_id,
        "mac_addr": port.mac_address,
        "fixed_ips": fixed,
        "port_state": port.status,
    }


def shown(tx: Transaction, instance: Instance, asker: Asker) -> Json:
    """The whole answer for one."""
    return render(DETAIL, views(tx, [instance], asker)[0])


_EXACT = {
    "uuid": "id",
    "image": "image_id",
    "flavor": "flavor_id",
    "availability_zone": "availability_zone",
    "project_id": "project_id",
    "tenant_id": "project_id",
    "description": "description",
}
"""Filters that compare a field; others are taken and ignored, as Nova does with a user's."""


def listed(
    tx: Transaction, query: Mapping[str, list[str]], asker: Asker, *, detail: bool
) -> tuple[list[Json], str]:
    """The page of servers asked for, newest first, and the marker of the next page or ""."""
    last = {name: values[-1] for name, values in query.items()}
    limit = _limit(last.get("limit"))
    found = _marked(_filtered(tx, last), last.get("marker"))
    page = views(tx, found[:limit], asker)
    fields = DETAIL if detail else SUMMARY
    following = page[-1].instance.id if len(found) > limit and page else ""
    return [render(fields, view) for view in page], following


def _filtered(tx: Transaction, query: Mapping[str, str]) -> list[Instance]:
    where = {_EXACT[name]: value for name, value in query.items() if name in _EXACT}
    if not _all_projects(tx, query):
        where["project_id"] = tx.project_id
    if to.boolean("deleted", query.get("deleted", "false")):
        return []
    if query.get("status", "ACTIVE").upper() != "ACTIVE":
        return []
    found = tx.session.find(Instance, **where)
    found = [i for i in found if _matches(query.get("name"), i.name)]
    if "key_name" in query:
        found = [i for i in found if query["key_name"] in {key.name for key in i.keypairs}]
    if "changes-since" in query:
        since = _time("changes-since", query["changes-since"])
        found = [i for i in found if _time("updated_at", i.updated_at) >= since]
    return sorted(_addressed(tx, found, query), key=lambda i: i.number, reverse=True)


def _all_projects(tx: Transaction, query: Mapping[str, str]) -> bool:
    """all_tenants, also without a value; for admins, as is a list of another project's."""
    if "all_tenants" not in query:
        return False
    wanted = to.boolean("all_tenants", query["all_tenants"] or "true")
    if wanted and not tx.caller.is_admin:
        raise Forbidden("all_tenants: is for admins to ask")
    return wanted


def _addressed(tx: Transaction, found: list[Instance], query: Mapping[str, str]) -> list[Instance]:
    host = query.get("host") if tx.caller.is_admin else None
    wanted = {4: query.get("ip"), 6: query.get("ip6"), 0: host}
    if not any(wanted.values()):
        return found
    return [
        view.instance
        for view in views(tx, found, Asker(version=1, base=""))
        if all(_on(view, version, text) for version, text in wanted.items() if text)
    ]


def _on(view: ServerView, version: int, text: str) -> bool:
    if not version:
        return view.host == text
    cards = (card for of in addresses(view).values() for card in of)
    return any(c["version"] == version and _matches(text, c["addr"]) for c in cards)


def _matches(pattern: str | None, text: str) -> bool:
    """Part of the text; ^ and $ are its ends. Nova's are regular expressions of the database."""
    if pattern is None:
        return True
    plain = re.sub(r"\\(.)", r"\1", pattern.removeprefix("^").removesuffix("$")).casefold()
    whole = text.casefold()
    if pattern.startswith("^") and pattern.endswith("$"):
        return whole == plain
    if pattern.startswith("^"):
        return whole.startswith(plain)
    return whole.endswith(plain) if pattern.endswith("$") else plain in whole


def _time(field: str, text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
        return found.timestamp() if found.tzinfo else found.replace(tzinfo=_UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise InvalidInput(field, text, "a time such as 2026-11-22T15:00:00Z") from error


_UTC = datetime.fromisoformat("2026-01-01T00:00:00Z").tzinfo


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE_MAX
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidInput("limit", text, "a whole number")
    return min(int(text), PAGE_MAX)


def _marked(found: list[Instance], marker: str | None) -> list[Instance]:
    if not marker:
        return found
    at = next((i for i, instance in enumerate(found) if instance.id == marker), None)
    if at is None:
        raise InvalidInput("marker", marker, "the id of a server in the list")
    return found[at + 1 :]
