"""What of the store a caller sees and may change: model.policy, asked inside a call."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from a9fe.model import policy
from a9fe.model.errors import Forbidden, NotFound
from a9fe.model.resources import KIND_OF, KINDS, Network, Port, Resource, Router, Subnet
from a9fe.model.sharing import SHARED, RbacPolicy
from a9fe.operations.admin_attributes import MARKS
from a9fe.operations.call import Call

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


def network_of(call: Call, resource: Resource) -> Network | None:
    """The network that a subnet or a port is on."""
    if not isinstance(resource, Subnet | Port):
        return None
    return call.session.get(Network, resource.network_id)


def seen(call: Call, resource: Resource) -> bool:
    """Whether it exists for the caller."""
    if call.caller.is_admin or policy.owns(call.caller, resource):
        return True
    return policy.sees(call.caller, resource, network_of(call, resource)) or _granted(
        call, resource
    )


def _granted(call: Call, resource: Resource) -> bool:
    """Whether an RBAC policy names the caller's project for the resource."""
    if isinstance(resource, Network):
        return bool(_grants(call, resource.id))
    return isinstance(resource, Subnet) and SHARED in _grants(call, resource.network_id)


def _grants(call: Call, network_id: str) -> frozenset[str]:
    if not call.project_id:
        return frozenset()
    named = {"object_id": network_id, "target_project": call.project_id}
    return frozenset(p.action for p in call.session.find(RbacPolicy, **named))


def effective(call: Call, network: Network) -> Network:
    """The network as the caller's project has it: shared if an RBAC policy shares it with that.

    To decide by, not to store.
    """
    if network.shared or call.caller.is_admin or SHARED not in _grants(call, network.id):
        return network
    return replace(network, shared=True)


def require(call: Call, cls: type[Any], id: str, name: str = "") -> Any:  # noqa: ANN401 - its class
    """The resource, if it exists for the caller. Raises NotFound, with the API's `name`."""
    found = call.session.get(cls, id)
    if found is None or not seen(call, found):
        raise NotFound(name or KIND_OF[cls], id)
    return found


def require_admin(call: Call, what: str) -> None:
    """Raises Forbidden for all but admins."""
    if not call.caller.is_admin:
        raise Forbidden(f"{what}: for admins alone")


def scope(call: Call) -> dict[str, Any]:
    """What a search must be limited by, to find what exists for the caller."""
    return {} if call.caller.is_admin else {"visible_to": call.project_id}


def check_create(call: Call, kind: str, document: object) -> None:
    """Raises Forbidden for attributes of a body that are not the caller's to set."""
    if isinstance(document, dict):
        policy.check_given(call.caller, kind, MARKS[kind], document, create=True)


def check_made(call: Call, kind: str, values: Mapping[str, Any]) -> None:
    """Raises NotFound or Forbidden for what a new resource would refer to."""
    if call.caller.is_admin:
        return
    network_id = values.get("network_id")
    if isinstance(network_id, str):
        network = effective(call, require(call, Network, network_id))
        given = [name for name, value in values.items() if value != ()]
        policy.check_on_network(call.caller, kind, given, network, create=True)
    _check_references(call, values)


def check_update(call: Call, resource: Resource, document: object) -> None:
    """Raises NotFound or Forbidden unless the caller may change this of the resource."""
    check_change(call, resource)
    if call.caller.is_admin or not isinstance(document, dict):
        return
    kind = KIND_OF[type(resource)]
    policy.check_given(call.caller, kind, MARKS[kind], document, create=False)
    network = network_of(call, resource)
    if network is not None:
        policy.check_on_network(call.caller, kind, document, network, create=False)
    if isinstance(resource, Port):
        policy.check_port_update(resource, document)


def check_change(call: Call, resource: Resource) -> None:
    """Raises NotFound or Forbidden unless the caller may change or delete the resource."""
    if not call.caller.is_admin:
        policy.check_change(call.caller, resource, network_of(call, resource))


def check_values(call: Call, values: Mapping[str, Any]) -> None:
    """Raises NotFound for what an update refers to and does not exist for the caller."""
    if not call.caller.is_admin:
        _check_references(call, values)


def _check_references(call: Call, values: Mapping[str, Any]) -> None:
    for field, kind in REFERENCES.items():
        for id in _ids(values.get(field)):
            require(call, KINDS[kind], id)


def _ids(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [v for v in value if isinstance(v, str)] if isinstance(value, tuple | list) else []


def check_interface(call: Call, router: Router, subnet_id: str, port_id: str) -> None:
    """Raises unless the caller may change the router, and has the subnet or the port."""
    check_change(call, router)
    if call.caller.is_admin:
        return
    for cls, id in ((Subnet, subnet_id), (Port, port_id)):
        if id:
            check_change(call, require(call, cls, id))


def check_filters(call: Call, kind: str, names: Iterable[str]) -> None:
    """Raises Forbidden for a filter by what the caller may not see."""
    policy.check_filters(call.caller, MARKS[kind], names)


def without_hidden(call: Call, kind: str, answers: list[Json]) -> list[Json]:
    """The answers without what the caller may not see."""
    hidden = policy.hidden(call.caller, MARKS[kind])
    if not hidden:
        return answers
    return [{k: v for k, v in answer.items() if k not in hidden} for answer in answers]
