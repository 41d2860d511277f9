"""The policy: tables of kinds and attributes, and the decisions over them. Pure.

It follows Neutron's default policy. An admin may do everything. A member sees its project's
resources and shared ones, and changes only its project's. A resource that a member may not see is
404 for it; a change of a resource that it sees but may not change is 403.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from a9fe.model.errors import Forbidden, InvalidInput, NotFound
from a9fe.model.resources import KIND_OF, Network, Port, Resource, is_network_owner

ADMIN, MEMBER, READER, AGENT = "admin", "member", "reader", "agent"
ROLES = (ADMIN, MEMBER)
"""Roles of API tokens that a9fe issues; Keystone's tokens may have any."""
ANY_HOST = "*"
DEFAULT_PROJECT = "default"  # of callers without a project, if auth_strategy is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The caller of the API. `host` is the host of an agent's token, "" for other callers, and
    ANY_HOST if auth_strategy is none or the token is for all hosts.
    """

    project_id: str
    roles: frozenset[str] = frozenset()
    is_admin: bool = False
    host: str = ""

    @property
    def may_write(self) -> bool:
        """Whether the caller has more than Keystone's reader role."""
        return self.is_admin or bool(self.roles - {READER})


def trusted(project_id: str) -> Caller:
    """Return the caller if auth_strategy is none, where every caller is admin."""
    return Caller(project_id=project_id, roles=frozenset({ADMIN}), is_admin=True, host=ANY_HOST)


NOBODY = Caller(project_id="")
"""The caller of operations that need no authentication."""

HIDDEN = frozenset({"agent", "binding"})
"""Kinds that only admins see."""

PUBLIC = frozenset({"flavor"})
"""Kinds without a project, which every caller sees and only admins change."""

OURS = frozenset({"instance", "flavor", "image", "keypair"})
"""Kinds that Neutron's API does not have."""

SHARED = frozenset({"subnetpool", "address_scope"})
"""Kinds whose resources every project sees if they are `shared`."""

ON_NETWORK = frozenset({"subnet", "port"})
"""Kinds that the owner of their network also sees and changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The attributes of a kind that only admins may set, change or see.

    They come from the attribute tables. Members may set those in `changes` on create.
    """

    sets: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    sees: frozenset[str] = frozenset()


ADMIN_VALUES: Mapping[str, Mapping[str, frozenset[str]]] = {
    "image": {"visibility": frozenset({"public"})}
}
"""Values that only admins may give to an attribute that members may set, by kind."""

PARTS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "router": {"external_gateway_info": frozenset({"enable_snat", "external_fixed_ips"})}
}
"""Members of an attribute's object that only admins may give, by kind."""

NETWORK_OWNER_SETS: Mapping[str, frozenset[str]] = {
    "port": frozenset(
        {"mac_address", "fixed_ips", "port_security_enabled", "allowed_address_pairs"}
    )
}
"""Attributes that, on another project's network, only its owner or an admin may set."""

UNSET: tuple[object, ...] = (None, "", False, "false", "False", {}, [])
"""Values of an admin's attribute that a member may send on create, as they change nothing."""


def owns(caller: Caller, resource: Resource) -> bool:
    """Return whether the resource is of the caller's project."""
    return bool(caller.project_id) and _project(resource) == caller.project_id


def sees(caller: Caller, resource: Resource, network: Network | None = None) -> bool:
    """Return whether the caller sees the resource. `network` is the resource's network."""
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
    """Return whether the caller may change or delete a resource that it sees."""
    if caller.is_admin or owns(caller, resource):
        return True
    return KIND_OF[type(resource)] in ON_NETWORK and network is not None and owns(caller, network)


def check_change(caller: Caller, resource: Resource, network: Network | None = None) -> None:
    """Raise NotFound for a resource that the caller does not see, Forbidden for one that it sees
    but may not change."""
    kind = KIND_OF[type(resource)]
    if not sees(caller, resource, network):
        raise NotFound(kind, resource.id)
    if not changes(caller, resource, network):
        raise Forbidden(f"{kind} {resource.id} belongs to another project")


def check_given(
    caller: Caller, kind: str, marks: Marks, given: Mapping[str, object], *, create: bool
) -> None:
    """Raise Forbidden for an attribute that the caller may not set, and InvalidInput for another
    project in one of Neutron's kinds, whether or not that project exists.
    """
    if caller.is_admin:
        return
    if kind in PUBLIC:
        raise Forbidden(f"only admins may create {kind}s")
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
            raise Forbidden(f"{name}: only admins may set this")
    _check_values(kind, given)
    _check_owner(given.get("device_owner"))


def _check_values(kind: str, given: Mapping[str, object]) -> None:
    for name, values in ADMIN_VALUES.get(kind, {}).items():
        value = given.get(name)
        if isinstance(value, str) and value in values:
            raise Forbidden(f"{name}: only admins may set {value}")
    for name, parts in PARTS.get(kind, {}).items():
        inside = given.get(name)
        for part in sorted(parts & inside.keys()) if isinstance(inside, Mapping) else ():
            raise Forbidden(f"{name}.{part}: only admins may set this")


def _check_owner(device_owner: object) -> None:
    """Raise Forbidden for the device owner of a port that only the server creates."""
    if isinstance(device_owner, str) and is_network_owner(device_owner.lower()):
        raise Forbidden(f"device_owner: only admins may set {device_owner[:64]!r}")


def check_on_network(
    caller: Caller, kind: str, given: Iterable[str], network: Network, *, create: bool
) -> None:
    """Raise NotFound or Forbidden unless the caller may have this subnet or port there."""
    if caller.is_admin or owns(caller, network):
        return
    if create and not network.shared:
        if not network.external:
            raise NotFound("network", network.id)
        raise Forbidden(f"network {network.id} is external: only routers have ports on it")
    if create and kind == "subnet":
        raise Forbidden(f"network {network.id}: only its owner may add subnets")
    for name in sorted(NETWORK_OWNER_SETS.get(kind, frozenset()) & set(given)):
        raise Forbidden(f"{name}: only the owner of network {network.id} may set this")


def check_port_update(port: Port, given: Iterable[str]) -> None:
    """Raise Forbidden if a member would change the device of a router's or DHCP agent's port."""
    if is_network_owner(port.device_owner):
        for name in ("device_id", "device_owner"):
            if name in given:
                raise Forbidden(f"{name}: only admins may set this on a {port.device_owner} port")


def check_host(caller: Caller, host: object) -> None:
    """Raise Forbidden unless the caller is an agent of the host."""
    if caller.host not in (ANY_HOST, host):  # `host` comes from a request and may have any type
        raise Forbidden(f"host: the token is not for host {str(host)[:255]!r}")


def check_reports(caller: Caller, host: object) -> None:
    """Raise Forbidden unless the caller may report the state of the host's agents.

    The token of a metadata service for all hosts may read for each host but report for none.
    """
    check_host(caller, host)
    if host == ANY_HOST or (caller.host == ANY_HOST and not caller.is_admin):
        raise Forbidden("host: agents report with a token that is bound to their own host")


def hidden(caller: Caller, marks: Marks) -> frozenset[str]:
    """Return the attributes that answers to the caller leave out."""
    return frozenset() if caller.is_admin else marks.sees


def check_filters(caller: Caller, marks: Marks, names: Iterable[str]) -> None:
    """Raise Forbidden for a filter by an attribute that the caller may not see."""
    for name in sorted(hidden(caller, marks) & set(names)):
        raise Forbidden(f"{name}: only admins may filter by this")


def _project(resource: Resource) -> str:
    return str(getattr(resource, "project_id", ""))
