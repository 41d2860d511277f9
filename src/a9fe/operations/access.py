"""What of the store a caller sees and may change: model.policy, asked inside a call."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from a9fe.model import policy
from a9fe.model.errors import Forbidden, NotFound
from a9fe.model.rbac import ACCESS_AS_SHARED, RbacPolicy
from a9fe.model.resources import KIND_OF, KINDS, Network, Port, Resource, Router, Subnet
from a9fe.operations.admin_attributes import MARKS
from a9fe.operations.transaction import Transaction

Json = dict[str, Any]

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
"""Fields that name resources, which the caller must see. Networks have rules of their own."""


def network_of(tx: Transaction, resource: Resource) -> Network | None:
    """The network that a subnet or a port is on."""
    if not isinstance(resource, Subnet | Port):
        return None
    return tx.session.get(Network, resource.network_id)


def seen(tx: Transaction, resource: Resource) -> bool:
    """Whether it exists for the caller."""
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
    """The network as the caller's project has it: shared if an RBAC policy shares it with that.

    To decide by, not to store.
    """
    if network.shared or tx.caller.is_admin or ACCESS_AS_SHARED not in _grants(tx, network.id):
        return network
    return replace(network, shared=True)


def require(tx: Transaction, cls: type[Any], id: str, name: str = "") -> Any:  # noqa: ANN401 - its class
    """The resource, if it exists for the caller. Raises NotFound, with the API's `name`."""
    found = tx.session.get(cls, id)
    if found is None or not seen(tx, found):
        raise NotFound(name or KIND_OF[cls], id)
    return found


def require_admin(tx: Transaction, what: str) -> None:
    """Raises Forbidden for all but admins."""
    if not tx.caller.is_admin:
        raise Forbidden(f"{what}: for admins alone")


def scope(tx: Transaction) -> dict[str, Any]:
    """What a search must be limited by, to find what exists for the caller."""
    return {} if tx.caller.is_admin else {"visible_to": tx.project_id}


def check_create(tx: Transaction, kind: str, document: object) -> None:
    """Raises Forbidden for attributes of a body that are not the caller's to set."""
    if isinstance(document, dict):
        policy.check_given(tx.caller, kind, MARKS[kind], document, create=True)


def check_made(tx: Transaction, kind: str, values: Mapping[str, Any]) -> None:
    """Raises NotFound or Forbidden for what a new resource would refer to."""
    if tx.caller.is_admin:
        return
    network_id = values.get("network_id")
    if isinstance(network_id, str):
        network = effective(tx, require(tx, Network, network_id))
        given = [name for name, value in values.items() if value != ()]
        policy.check_on_network(tx.caller, kind, given, network, create=True)
    _check_references(tx, values)


def check_update(tx: Transaction, resource: Resource, document: object) -> None:
    """Raises NotFound or Forbidden unless the caller may change this of the resource."""
    check_change(tx, resource)
    if tx.caller.is_admin or not isinstance(document, dict):
        return
    kind = KIND_OF[type(resource)]
    policy.check_given(tx.caller, kind, MARKS[kind], document, create=False)
    network = network_of(tx, resource)
    if network is not None:
        policy.check_on_network(tx.caller, kind, document, network, create=False)
    if isinstance(resource, Port):
        policy.check_port_update(resource, document)


def check_change(tx: Transaction, resource: Resource) -> None:
    """Raises NotFound or Forbidden unless the caller may change or delete the resource."""
    if not tx.caller.is_admin:
        policy.check_change(tx.caller, resource, network_of(tx, resource))


def check_values(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Raises NotFound for what an update refers to and does not exist for the caller."""
    if not tx.caller.is_admin:
        _check_references(tx, values)


def _check_references(tx: Transaction, values: Mapping[str, Any]) -> None:
    for field, kind in REFERENCES.items():
        for id in _ids(values.get(field)):
            require(tx, KINDS[kind], id)


def _ids(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [v for v in value if isinstance(v, str)] if isinstance(value, tuple | list) else []


def check_interface(tx: Transaction, router: Router, subnet_id: str, port_id: str) -> None:
    """Raises unless the caller may change the router, and has the subnet or the port."""
    check_change(tx, router)
    if tx.caller.is_admin:
        return
    for cls, id in ((Subnet, subnet_id), (Port, port_id)):
        if id:
            check_change(tx, require(tx, cls, id))


def check_filters(tx: Transaction, kind: str, names: Iterable[str]) -> None:
    """Raises Forbidden for a filter by what the caller may not see."""
    policy.check_filters(tx.caller, MARKS[kind], names)


def without_hidden(tx: Transaction, kind: str, answers: list[Json]) -> list[Json]:
    """The answers without what the caller may not see."""
    hidden = policy.hidden(tx.caller, MARKS[kind])
    if not hidden:
        return answers
    return [{k: v for k, v in answer.items() if k not in hidden} for answer in answers]
