"""Nova's servers: create, find, list and show instances inside a transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from a9fe.api_tables import converters as to
from a9fe.api_tables.requests import NetworkCard
from a9fe.api_tables.typed_requests import UNSET
from a9fe.model.compute import Flavor, Image, KeypairRecord
from a9fe.model.errors import Conflict, Forbidden, InvalidInput, NotFound
from a9fe.model.pages import Filter, Page
from a9fe.model.resources import Instance, Keypair, Network, Port, SecurityGroup
from a9fe.operations import access
from a9fe.operations.instances import instances
from a9fe.operations.instances.instances import InstanceChange, NewInstance
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.nova import server_list
from a9fe.server.nova.fields import DETAIL, SUMMARY, ServerView, render
from a9fe.server.nova.server_request import NONE, ServerRequest
from a9fe.server.nova.versions import AnswerFormat


def require(tx: Transaction, id: str, *, change: bool = False) -> Instance:
    """Return the instance. Raises NotFound if the caller may not see it.

    With `change`, raises Forbidden if the caller may not change it.
    """
    found: Instance = access.require(tx, Instance, id, "server")
    if change:
        access.check_change(tx, found)
    return found


def create(tx: Transaction, request: ServerRequest) -> list[Instance]:
    """Create the instances of a request. Raises InvalidInput for an id that is not found."""
    try:
        new = _new_instance(tx, request)
        return [
            instances.create(tx, replace(new, name=name, launch_index=index))
            for index, name in enumerate(_names_of(request))
        ]
    except NotFound as error:
        expected = "the id of an existing resource"
        raise InvalidInput(f"networks.{error.kind}", error.id, expected) from error


def _names_of(request: ServerRequest) -> list[str]:
    """Return a name for each server; several servers get the suffixes -1, -2, ... (Nova)."""
    if request.most == 1:
        return [request.name]
    return [f"{request.name}-{number}" for number in range(1, request.most + 1)]


def _new_instance(tx: Transaction, request: ServerRequest) -> NewInstance:
    if request.host and not tx.caller.is_admin:
        raise Forbidden("host: only admins may set this")
    flavor = _flavor(tx, request.flavor)
    image = _image(tx, request.image)
    return NewInstance(
        name=request.name,
        project_id=tx.project_id,
        flavor=flavor.name,
        flavor_id=flavor.id,
        image=image.name or image.id if image else "",
        image_id=image.id if image else "",
        user_data=request.user_data,
        metadata=request.metadata,
        description=request.description,
        keypairs=_keypairs(tx, request.key_name),
        networks=_cards(tx, request),
        security_groups=_groups(tx, request.groups),
        availability_zone=request.availability_zone or UNSET,
        host=request.host or UNSET,
    )


def _flavor(tx: Transaction, id: str) -> Flavor:
    found = tx.session.get(Flavor, id)
    if found is None or not access.seen(tx, found):
        raise InvalidInput("flavorRef", id, "the id of an existing flavor")
    return found


def _image(tx: Transaction, id: str) -> Image | None:
    if not id:
        return None
    found = tx.session.get(Image, id.lower())
    if found is None or not access.seen(tx, found):
        raise InvalidInput("imageRef", id, "the id of an existing image")
    return found


def _keypairs(tx: Transaction, name: str) -> tuple[Keypair, ...]:
    if not name:
        return ()
    found = tx.session.find(KeypairRecord, name=name, project_id=tx.project_id)
    if not found:
        raise InvalidInput("key_name", name, "the name of a key pair of the project")
    return tuple(Keypair(name=k.name, public_key=k.public_key, type=k.type) for k in found)


def _groups(tx: Transaction, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the ids of security groups given by name or id; None means the default group."""
    if names is None:
        return None
    own = {"project_id": tx.project_id}
    named = tx.session.find(SecurityGroup, name=names, **own)
    given = tx.session.find(SecurityGroup, id=names, **own)
    ids = {**{g.name: g.id for g in named}, **{g.id: g.id for g in given}}
    for name in names:
        if name not in ids and name != "default":
            raise InvalidInput("security_groups", name, "a security group of the project")
    return tuple(dict.fromkeys(ids[name] for name in names if name in ids)) or None


def _cards(tx: Transaction, request: ServerRequest) -> tuple[NetworkCard, ...]:
    if not isinstance(request.networks, str):
        return request.networks
    if request.networks == NONE:
        return ()
    inside = _usable_networks(tx)
    if len(inside) > 1:
        message = "The project has several networks; specify them in networks"
        raise Conflict("NetworkAmbiguous", message)
    return tuple(NetworkCard(network=n.id) for n in inside)


def _usable_networks(tx: Transaction) -> list[Network]:
    """Return internal networks, at most two of the project and two shared ones."""
    internal = Filter(field="external", values=(False,))
    own = Filter(field="project_id", values=(tx.project_id,))
    shared = Filter(field="shared", values=(True,))
    pages = [Page(filters=(internal, which), limit=2) for which in (own, shared)]
    found = (network for page in pages for network in tx.session.page(Network, page))
    return list({network.id: network for network in found}.values())


def update(tx: Transaction, instance: Instance, document: object) -> Instance:
    """Change a server's name or description, and return it. Raises InvalidInput."""
    server = document.get("server") if isinstance(document, dict) else None
    if not isinstance(server, dict):
        raise InvalidInput("body", document, 'an object {"server": ...}')
    readers = {"name": to.one_line(minimum=1), "description": to.nullable(to.string())}
    for name in server:
        if name not in readers:
            raise InvalidInput(str(name), server[name], f"one of {', '.join(readers)}")
    read = {name: readers[name](name, value) or "" for name, value in server.items()}
    change = InstanceChange(
        name=read.get("name", UNSET), description=read.get("description", UNSET)
    )
    return instances.update(tx, instance, change)


def set_metadata(tx: Transaction, instance: Instance, metadata: Mapping[str, str]) -> Instance:
    """Replace an instance's metadata, and return the instance. Raises InvalidInput."""
    checked = to.string_map("metadata", dict(metadata))
    return instances.update(tx, instance, InstanceChange(metadata=checked))


def views(tx: Transaction, found: list[Instance], form: AnswerFormat) -> list[ServerView]:
    """Return the views of the servers, from which `render` makes answers."""
    of = instances.ports_by_instance(tx, found)
    ports = [port for owned in of.values() for port in owned]
    networks = _names(tx, Network, (port.network_id for port in ports))
    groups = _names(tx, SecurityGroup, (id for port in ports for id in port.security_groups))
    by_id, by_name = _flavors_of(tx, found)
    return [
        ServerView(
            instance=instance,
            version=form.version,
            base=form.base,
            is_admin=tx.caller.is_admin,
            ports=tuple(of[instance.id]),
            networks=networks,
            groups=groups,
            flavor=by_id.get(instance.flavor_id) or by_name.get(instance.flavor),
        )
        for instance in found
    ]


def _flavors_of(
    tx: Transaction, found: list[Instance]
) -> tuple[dict[str, Flavor], dict[str, Flavor]]:
    """Return the servers' flavors by id, and by name.

    By name only flavors that the caller may see, as a member may record any flavor name.
    """
    ids = sorted({instance.flavor_id for instance in found} - {""})
    by_id = {flavor.id: flavor for flavor in tx.session.find(Flavor, id=ids)} if ids else {}
    names = sorted({i.flavor for i in found if i.flavor_id not in by_id} - {""})
    named = tx.session.find(Flavor, name=names) if names else []
    return by_id, {flavor.name: flavor for flavor in named if access.seen(tx, flavor)}


def _names(
    tx: Transaction, cls: type[Network] | type[SecurityGroup], ids: Iterable[str]
) -> dict[str, str]:
    wanted = sorted(set(ids))
    return {found.id: found.name for found in tx.session.find(cls, id=wanted)} if wanted else {}


def groups_of(tx: Transaction, instance: Instance, form: AnswerFormat) -> list[Json]:
    """Return Nova's answer for the security groups of a server's ports."""
    view = views(tx, [instance], form)[0]
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
    """Return Nova's answer for a port of a server."""
    fixed = [{"subnet_id": f.subnet_id, "ip_address": f.ip_address} for f in port.fixed_ips]
    return {
        "port_id": port.id,
        "net_id": port.network_id,
        "mac_addr": port.mac_address,
        "fixed_ips": fixed,
        "port_state": port.status,
    }


def shown(tx: Transaction, instance: Instance, form: AnswerFormat) -> Json:
    """Return the detailed answer for a server."""
    return render(DETAIL, views(tx, [instance], form)[0])


def list_servers(
    tx: Transaction, query: Mapping[str, str], form: AnswerFormat, *, detail: bool
) -> tuple[list[Json], str]:
    """Return the answers for a page of servers, newest first, and the next page's marker or ""."""
    found = server_list.list_servers(tx, query)
    page = views(tx, list(found.rows), form)
    fields = DETAIL if detail else SUMMARY
    marker = page[-1].instance.id if found.more and page else ""
    return [render(fields, view) for view in page], marker
