"""Who may do what: tables of kinds, and the decisions over them and over attributes. Pure.

As Neutron's default policy has it: an admin may do all; a member sees its own project's and what
is shared, and changes its own. What a member may not see does not exist for it (404); what it
sees and may not change is refused (403).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from a9fe.model.errors import Forbidden, InvalidInput, NotFound
from a9fe.model.resources import KIND_OF, Network, Port, Resource, is_network_owner

ADMIN, MEMBER, READER, AGENT = "admin", "member", "reader", "agent"
ROLES = (ADMIN, MEMBER)
"""Those that a token of ours may have; Keystone's may have any."""
ANY_HOST = "*"
DEFAULT_PROJECT = "default"  # of callers who name none, where everyone is trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls. `host` is that of an agent's credential: "" for all others, ANY_HOST where
    everyone is trusted.
    """

    project_id: str
    roles: frozenset[str] = frozenset()
    is_admin: bool = False
    host: str = ""

    @property
    def may_write(self) -> bool:
        """Whether it has more than Keystone's reader role."""
        return self.is_admin or bool(self.roles - {READER})


def trusted(project_id: str) -> Caller:
    """The caller where everyone is admin."""
    return Caller(project_id=project_id, roles=frozenset({ADMIN}), is_admin=True, host=ANY_HOST)


NOBODY = Caller(project_id="")
"""The caller of what is for anyone."""

HIDDEN = frozenset({"agent", "binding"})
"""Kinds that only admins see."""

PUBLIC = frozenset({"flavor"})
"""Kinds of no project, that everyone sees and admins change."""

OURS = frozenset({"instance", "flavor", "image", "keypair"})
"""Kinds that Neutron's API does not have."""

SHARED = frozenset({"subnetpool", "address_scope"})
"""Kinds that every project sees if `shared` is set."""

ON_NETWORK = frozenset({"subnet", "port"})
"""Kinds whose network's owner has them too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The attributes of a kind that are for admins: to set, to change, to see.

    The server's attribute tables say which. `changes`: those that a member may choose on create.
    """

    sets: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    sees: frozenset[str] = frozenset()


ADMIN_VALUES: Mapping[str, Mapping[str, frozenset[str]]] = {
    "image": {"visibility": frozenset({"public"})}
}
"""Values that only admins give to attributes that others set too, by kind."""

PARTS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "router": {"external_gateway_info": frozenset({"enable_snat", "external_fixed_ips"})}
}
"""Members of attributes' values that only admins give, by kind."""

NETWORK_OWNER_SETS: Mapping[str, frozenset[str]] = {
    "port": frozenset(
        {"mac_address", "fixed_ips", "port_security_enabled", "allowed_address_pairs"}
    )
}
"""Attributes that, on somebody else's network, are that one's or an admin's to choose."""

UNSET: tuple[object, ...] = (None, "", False, "false", "False", {}, [])
"""What a create may say of an admin's attribute, as it changes nothing."""


def owns(caller: Caller, resource: Resource) -> bool:
    """Whether it is of the caller's project."""
    return bool(caller.project_id) and _project(resource) == caller.project_id


def sees(caller: Caller, resource: Resource, network: Network | None = None) -> bool:
    """Whether the resource exists for the caller. `network`: the one that it is on."""
    kind = KIND_OF[type(resource)]
    if caller.is_admin or (kind in PUBLIC and getattr(resource, "is_public", True)):
        return True
    if kind in HIDDEN:
        return False
    return owns(caller, resource) or _is_shared(caller, kind, resource, network)


def _is_shared(caller: Caller, kind: str, resource: Resource, network: Network | None) -> bool:
    if isinstance(resource, Network):
        return resource.shared or (resource.external and not resource.external_to_some)
    if kind in SHARED:
        return bool(getattr(resource, "shared", False))
    if kind == "image":
        return getattr(resource, "visibility", "") in {"public", "community"}
    if kind not in ON_NETWORK or network is None:
        return False
    return owns(caller, network) or (kind == "subnet" and network.shared)


def changes(caller: Caller, resource: Resource, network: Network | None = None) -> bool:
    """Whether the caller may change or delete the resource, which it sees."""
    if caller.is_admin or owns(caller, resource):
        return True
    return KIND_OF[type(resource)] in ON_NETWORK and network is not None and owns(caller, network)


def check_change(caller: Caller, resource: Resource, network: Network | None = None) -> None:
    """Raises NotFound or Forbidden unless the caller may change the resource."""
    kind = KIND_OF[type(resource)]
    if not sees(caller, resource, network):
        raise NotFound(kind, resource.id)
    if not changes(caller, resource, network):
        raise Forbidden(f"{kind} {resource.id} is shared with your project, not its own")


def check_given(
    caller: Caller, kind: str, marks: Marks, given: Mapping[str, object], *, create: bool
) -> None:
    """Raises Forbidden for an attribute that the caller may not set, and InvalidInput for another
    project in one of Neutron's kinds, whether or not that project exists.
    """
    if caller.is_admin:
        return
    if kind in PUBLIC:
        raise Forbidden(f"{kind}s are for admins to make")
    for name in ("project_id", "tenant_id"):
        if given.get(name, caller.project_id) != caller.project_id:
            if kind in OURS:
                raise Forbidden(f"{name}: only admins may set this to another project")
            words = "other than the authenticated project in request requires admin privileges"
            words = f"Specifying 'project_id' or 'tenant_id' {words}"
            expected, error = "your own project", "HTTPBadRequest"
            raise InvalidInput(name, given[name], expected, type=error, words=words)
    limited = marks.sets if create else marks.sets | marks.changes
    for name in sorted(limited & given.keys()):
        if not (create and given[name] in UNSET):
            raise Forbidden(f"{name}: is for admins to set")
    _check_values(kind, given)
    _check_owner(given.get("device_owner"))


def _check_values(kind: str, given: Mapping[str, object]) -> None:
    for name, values in ADMIN_VALUES.get(kind, {}).items():
        value = given.get(name)
        if isinstance(value, str) and value in values:
            raise Forbidden(f"{name}: {value} is for admins to set")
    for name, parts in PARTS.get(kind, {}).items():
        inside = given.get(name)
        for part in sorted(parts & inside.keys()) if isinstance(inside, Mapping) else ():
            raise Forbidden(f"{name}.{part}: is for admins to set")


def _check_owner(device_owner: object) -> None:
    """Ports of the network itself are made by the server: a router's, a DHCP agent's."""
    if isinstance(device_owner, str) and is_network_owner(device_owner.lower()):
        raise Forbidden(f"device_owner: {device_owner[:64]!r} is for admins to set")


def check_on_network(
    caller: Caller, kind: str, given: Iterable[str], network: Network, *, create: bool
) -> None:
    """Raises unless the caller may have such a port or subnet on the network."""
    if caller.is_admin or owns(caller, network):
        return
    if create and not network.shared:
        if not network.external:
            raise NotFound("network", network.id)
        raise Forbidden(f"network {network.id} is external: only routers go there")
    if create and kind == "subnet":
        raise Forbidden(f"network {network.id} is another project's: its subnets are too")
    for name in sorted(NETWORK_OWNER_SETS.get(kind, frozenset()) & set(given)):
        raise Forbidden(f"{name}: is for the owner of network {network.id} to choose")


def check_port_update(port: Port, given: Iterable[str]) -> None:
    """Raises Forbidden where a member would change whose a port of the network itself is."""
    if is_network_owner(port.device_owner):
        for name in ("device_id", "device_owner"):
            if name in given:
                raise Forbidden(f"{name}: of a {port.device_owner} port is for admins to set")


def check_host(caller: Caller, host: object) -> None:
    """Raises Forbidden unless the caller is an agent of that host."""
    if caller.host not in (ANY_HOST, host):  # host is of any type
        raise Forbidden(f"host: the token is bound to another host than {str(host)[:255]!r}")


def check_reports(caller: Caller, host: object) -> None:
    """Raises Forbidden unless the caller may say what that host's agents do.

    A credential of every host is a metadata service's, which reads all and speaks for none.
    """
    check_host(caller, host)
    if host == ANY_HOST or (caller.host == ANY_HOST and not caller.is_admin):
        raise Forbidden("host: agents report with a token that is bound to their own host")


def hidden(caller: Caller, marks: Marks) -> frozenset[str]:
    """The attributes that are absent in answers to the caller."""
    return frozenset() if caller.is_admin else marks.sees


def check_filters(caller: Caller, marks: Marks, names: Iterable[str]) -> None:
    """Raises Forbidden for a filter by what the caller may not see."""
    for name in sorted(hidden(caller, marks) & set(names)):
        raise Forbidden(f"{name}: is for admins to filter by")


def _project(resource: Resource) -> str:
    return str(getattr(resource, "project_id", ""))
