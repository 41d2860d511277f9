"""RBAC policies of networks.

A network's `shared` and `external` are derived from its policies; setting them on the network
creates or deletes its policies for EVERYONE. A policy stays while another project relies on it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from a9fe.api_tables.typed_requests import UNSET, Unset, applied, created, given
from a9fe.model.errors import Conflict, Forbidden, InvalidInput
from a9fe.model.rbac import ACCESS_AS_EXTERNAL, ACCESS_AS_SHARED, EVERYONE, RbacPolicy
from a9fe.model.resources import ROUTER_GATEWAY_OWNER, Network, Port, Router
from a9fe.model.subnet_pools import FloatingIp
from a9fe.operations import access
from a9fe.operations.transaction import Transaction, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRbacPolicy:
    """A policy to create: `action` for `target_project` (EVERYONE or an id) on a network."""

    object_id: str
    action: str
    target_project: str
    object_type: str
    project_id: str | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class RbacPolicyChange:
    """What may change of a policy."""

    target_project: str | Unset = UNSET


def create(tx: Transaction, new: NewRbacPolicy) -> RbacPolicy:
    """Create a policy of one of the caller's own networks."""
    network = access.require(tx, Network, new.object_id)
    _check_target(tx, new.target_project)
    if not tx.caller.is_admin and network.project_id != tx.project_id:
        words = "Only admins can manipulate policies on networks they do not own"
        words = f"Invalid input for operation: {words}"
        raise InvalidInput("object_id", network.id, "a network of your own", words=words)
    policy = created(RbacPolicy, new, id=new_id(), project_id=given(new.project_id, tx.project_id))
    present = policies_of(tx, network.id)
    if any(_key(other) == _key(policy) for other in present):
        raise Conflict("DuplicateRbacPolicy", "An RBAC policy already exists with those values.")
    made = tx.session.insert(policy)
    _settle(tx, network, [*present, made])
    return made


def _check_target(tx: Transaction, project_id: str | Unset) -> None:
    if project_id == EVERYONE and not tx.caller.is_admin:
        raise Forbidden("target_tenant: only admins may share with *")


def _key(policy: RbacPolicy) -> tuple[str, str]:
    return policy.action, policy.target_project


def policies_of(tx: Transaction, network_id: str) -> list[RbacPolicy]:
    """Return the policies of a network."""
    return tx.session.find(RbacPolicy, object_id=network_id)


def update(tx: Transaction, old: RbacPolicy, change: RbacPolicyChange) -> RbacPolicy:
    """Change the project that a policy is for."""
    _check_target(tx, change.target_project)
    policy = applied(old, change)
    network = tx.session.require(Network, old.object_id)
    present = policies_of(tx, network.id)
    left = [other for other in present if other.id != old.id]
    if any(_key(other) == _key(policy) for other in left):
        raise Conflict("DuplicateRbacPolicy", "An RBAC policy already exists with those values.")
    _check_used(tx, network, present, [*left, policy])
    changed = tx.session.update(policy)
    _settle(tx, network, [*left, changed])
    return changed


def delete(tx: Transaction, policy: RbacPolicy) -> None:
    """Delete a policy. Raises Conflict while another project uses the network through it."""
    network = tx.session.require(Network, policy.object_id)
    present = policies_of(tx, network.id)
    left = [other for other in present if other.id != policy.id]
    if network.is_default and _key(policy) == (ACCESS_AS_EXTERNAL, EVERYONE):
        raise _in_use(network, "Default external networks must be shared to everyone")
    _check_used(tx, network, present, left)
    tx.session.delete(RbacPolicy, policy.id)
    _settle(tx, network, left)


def _settle(tx: Transaction, network: Network, policies: Iterable[RbacPolicy]) -> None:
    """Derive the network's `shared` and `external` from its policies; raise its revision."""
    keys = {_key(policy) for policy in policies}
    external = any(action == ACCESS_AS_EXTERNAL for action, _ in keys)
    wanted = replace(
        network,
        shared=(ACCESS_AS_SHARED, EVERYONE) in keys,
        external=external,
        external_to_some=external and (ACCESS_AS_EXTERNAL, EVERYONE) not in keys,
    )
    if wanted == network:
        tx.session.revise(network)
    else:
        tx.session.update(wanted)


def _check_used(
    tx: Transaction, network: Network, before: list[RbacPolicy], after: list[RbacPolicy]
) -> None:
    """Raise Conflict if a project that uses the network would lose its permission."""
    for action, users in ((ACCESS_AS_SHARED, _port_owners), (ACCESS_AS_EXTERNAL, _outside_owners)):
        had, has = _targets(before, action), _targets(after, action)
        if had == has or EVERYONE in has:
            continue
        lost = {p for p in users(tx, network) if p in had or EVERYONE in had} - has
        if lost - {network.project_id}:
            raise _in_use(network, f"project {min(lost)} uses the network through it")


def _targets(policies: Iterable[RbacPolicy], action: str) -> set[str]:
    return {policy.target_project for policy in policies if policy.action == action}


def _port_owners(tx: Transaction, network: Network) -> set[str]:
    found = tx.session.find(Port, network_id=network.id)
    return {port.project_id for port in found} - {""}


def _outside_owners(tx: Transaction, network: Network) -> set[str]:
    outside = tx.session.find(Port, network_id=network.id, device_owner=ROUTER_GATEWAY_OWNER)
    routers = tx.session.find(Router, id=sorted({port.device_id for port in outside}))
    floating = tx.session.find(FloatingIp, floating_network_id=network.id)
    return {r.project_id for r in routers} | {f.project_id for f in floating}


def _in_use(network: Network, details: str) -> Conflict:
    message = f"RBAC policy on object {network.id} cannot be removed because other objects depend"
    return Conflict("RbacPolicyInUse", f"{message} on it. Details: {details}")


def follow(tx: Transaction, network: Network, old: Network | None = None) -> Network:
    """Adapt the policies to the network's `shared` and `external`, which a request has set.

    `old` is the network before the change, None for a new one. Return the network as stored.
    """
    before = policies_of(tx, network.id) if old is not None else []
    after = before
    for action, wanted, had in (
        (ACCESS_AS_SHARED, network.shared, old is not None and old.shared),
        (ACCESS_AS_EXTERNAL, network.external, old is not None and old.external),
    ):
        if wanted != had:
            after = _with_or_without(after, network, action, wanted=wanted)
    if after is before:
        return network
    _check_used(tx, network, before, after)
    _replace(tx, before, after)
    narrow = network.external and (ACCESS_AS_EXTERNAL, EVERYONE) not in {_key(p) for p in after}
    if narrow == network.external_to_some:
        return network
    return tx.session.update(replace(network, external_to_some=narrow))


def _with_or_without(
    policies: list[RbacPolicy], network: Network, action: str, *, wanted: bool
) -> list[RbacPolicy]:
    """Return the policies with one for EVERYONE, or (not wanted) without those that grant it.

    Without `external`, the policies of other projects for it go as well.
    """
    if wanted:
        return [*policies, _for_everyone(network, action)]
    ends = {EVERYONE} if action == ACCESS_AS_SHARED else {p.target_project for p in policies}
    return [p for p in policies if p.action != action or p.target_project not in ends]


def _replace(tx: Transaction, before: list[RbacPolicy], after: list[RbacPolicy]) -> None:
    for policy in before:
        if policy not in after:
            tx.session.delete(RbacPolicy, policy.id)
    for policy in after:
        if policy not in before:
            tx.session.insert(policy)


def _for_everyone(network: Network, action: str) -> RbacPolicy:
    return RbacPolicy(
        id=new_id(),
        object_id=network.id,
        action=action,
        target_project=EVERYONE,
        project_id=network.project_id,
    )


def delete_all(tx: Transaction, network: Network) -> None:
    """Delete the policies of a network that is deleted."""
    for policy in policies_of(tx, network.id):
        tx.session.delete(RbacPolicy, policy.id)
