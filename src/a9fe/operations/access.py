"""What the caller sees and may change: the decisions of model.policy over stored resources."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from a9fe.api_tables.admin_attributes import ADMIN_ATTRIBUTES
from a9fe.api_tables.typed_requests import Request, given_fields
from a9fe.model import policy
from a9fe.model.errors import Forbidden, NotFound
from a9fe.model.rbac import ACCESS_AS_SHARED, RbacPolicy
from a9fe.model.resources import KIND_OF, KINDS, Network, Port, Resource, Router, Subnet
from a9fe.operations.transaction import Json, Transaction

R = TypeVar("R", bound=Resource)

REFERENCES = {
    "subnet_id": "subnet",
    "port_id": "port",
    "router_id": "router",
    "security_group_id": "security_group",
    "remote_group_id": "security_group",
    "remote_address_group_id": "address_group",
    "security_groups": "security_group",
    "subnetpool_id": "subnetpool",
    "address_scope_id": "address_scope",
}
"""Fields with ids of resources that the caller must see. Networks have their own rules."""


def network_of(tx: Transaction, resource: Resource) -> Network | None:
    """Return the network that a subnet or a port is on."""
    if not isinstance(resource, Subnet | Port):
        return None
    return tx.session.get(Network, resource.network_id)


def seen(tx: Transaction, resource: Resource) -> bool:
    """Whether the caller sees the resource; for others it does not exist (404)."""
    if tx.caller.is_admin or policy.owns(tx.caller, resource):
        return True
    return policy.sees(tx.caller, resource, network_of(tx, resource)) or _granted(tx, resource)


def _granted(tx: Transaction, resource: Resource) -> bool:
    """Whether an RBAC policy names the caller's project for the resource."""
    if isinstance(resource, Network):
        return bool(_grants(tx, resource.id))
    return isinstance(resource, Subnet) and ACCESS_AS_SHARED in _grants(tx, resource.network_id)


def _grants(tx: Transaction, network_id: str) -> frozenset[str]:
    if not tx.project_id:
        return frozenset()
    named = {"object_id": network_id, "target_project": tx.project_id}
    return frozenset(p.action for p in tx.session.find(RbacPolicy, **named))


def effective(tx: Transaction, network: Network) -> Network:
    """Return the network, with `shared` set if an RBAC policy shares it with the caller.

    For decisions only; never store it.
    """
    if network.shared or tx.caller.is_admin or ACCESS_AS_SHARED not in _grants(tx, network.id):
        return network
    return replace(network, shared=True)


def require(tx: Transaction, cls: type[R], id: str, name: str = "") -> R:
    """Return the resource, if the caller sees it.

    Raises NotFound, with the API's `name` of its kind.
    """
    found = tx.session.get(cls, id)
    if found is None or not seen(tx, found):
        raise NotFound(name or KIND_OF[cls], id)
    return found


def require_admin(tx: Transaction, what: str) -> None:
    """Raise Forbidden unless the caller is an admin."""
    if not tx.caller.is_admin:
        raise Forbidden(f"{what}: only admins may do this")


def scope(tx: Transaction) -> dict[str, str]:
    """Return the condition that limits a search to what the caller sees."""
    return {} if tx.caller.is_admin else {"visible_to": tx.project_id}


def check_create(tx: Transaction, kind: str, document: object) -> None:
    """Raise Forbidden for attributes of a body that the caller may not set."""
    if isinstance(document, dict):
        policy.check_given(tx.caller, kind, ADMIN_ATTRIBUTES[kind], document, create=True)


def check_request(tx: Transaction, kind: str, request: Request) -> None:
    """Raise NotFound or Forbidden unless the caller may create the resource that it asks for."""
    if tx.caller.is_admin:
        return
    values = given_fields(request)
    network_id = values.get("network_id")
    if isinstance(network_id, str):
        network = effective(tx, require(tx, Network, network_id))
        chosen = [name for name, value in values.items() if value != ()]
        policy.check_on_network(tx.caller, kind, chosen, network, create=True)
    _check_references(tx, values)


def check_update(tx: Transaction, resource: Resource, document: object) -> None:
    """Raise NotFound or Forbidden unless the caller may change these attributes."""
    check_change(tx, resource)
    if tx.caller.is_admin or not isinstance(document, dict):
        return
    kind = KIND_OF[type(resource)]
    policy.check_given(tx.caller, kind, ADMIN_ATTRIBUTES[kind], document, create=False)
    network = network_of(tx, resource)
    if network is not None:
        policy.check_on_network(tx.caller, kind, document, network, create=False)
    if isinstance(resource, Port):
        policy.check_port_update(resource, document)


def check_change(tx: Transaction, resource: Resource) -> None:
    """Raise NotFound or Forbidden unless the caller may change or delete the resource."""
    if not tx.caller.is_admin:
        policy.check_change(tx.caller, resource, network_of(tx, resource))


def check_references(tx: Transaction, change: Request) -> None:
    """Raise NotFound if the change refers to a resource that the caller does not see."""
    if not tx.caller.is_admin:
        _check_references(tx, given_fields(change))


def _check_references(tx: Transaction, values: Mapping[str, object]) -> None:
    for field, kind in REFERENCES.items():
        for id in _ids(values.get(field)):
            require(tx, KINDS[kind], id)


def _ids(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [v for v in value if isinstance(v, str)] if isinstance(value, tuple | list) else []


def check_interface(tx: Transaction, router: Router, subnet_id: str, port_id: str) -> None:
    """Raise NotFound or Forbidden unless the caller may change the router, subnet and port."""
    check_change(tx, router)
    if tx.caller.is_admin:
        return
    for cls, id in ((Subnet, subnet_id), (Port, port_id)):
        if id:
            check_change(tx, require(tx, cls, id))


def check_filters(tx: Transaction, kind: str, names: Iterable[str]) -> None:
    """Raise Forbidden for a filter by an attribute that the caller may not see."""
    policy.check_filters(tx.caller, ADMIN_ATTRIBUTES[kind], names)


def without_hidden(tx: Transaction, kind: str, answers: list[Json]) -> list[Json]:
    """Return the answers without attributes that the caller may not see."""
    hidden = policy.hidden(tx.caller, ADMIN_ATTRIBUTES[kind])
    if not hidden:
        return answers
    return [{k: v for k, v in answer.items() if k not in hidden} for answer in answers]
