"""Subnet pools: CIDRs from which subnets get theirs (see subnet_allocation)."""

from dataclasses import dataclass, replace

from a9fe.api_tables.typed_requests import UNSET, Unset, applied, created, given
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import Subnet
from a9fe.model.rules import subnet_pools as rules_subnet_pools
from a9fe.model.subnet_pools import AddressScope, SubnetPool
from a9fe.operations import access
from a9fe.operations.transaction import Transaction, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubnetPool:
    """A subnet pool to create. `prefixes` are CIDRs of one IP version; lengths are in bits.

    `default_quota` is in addresses (IPv4) or /64s (IPv6) of one project.
    """

    name: str
    prefixes: tuple[str, ...]
    project_id: str | Unset = UNSET
    description: str = ""
    min_prefixlen: int | Unset = UNSET
    max_prefixlen: int | Unset = UNSET
    default_prefixlen: int | Unset = UNSET
    default_quota: int | None = None
    is_default: bool = False
    shared: bool = False
    address_scope_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetPoolChange:
    """What may change of a subnet pool; it keeps the prefixes that it has."""

    name: str | Unset = UNSET
    prefixes: tuple[str, ...] | Unset = UNSET
    description: str | Unset = UNSET
    min_prefixlen: int | Unset = UNSET
    max_prefixlen: int | Unset = UNSET
    default_prefixlen: int | Unset = UNSET
    default_quota: int | Unset | None = UNSET
    is_default: bool | Unset = UNSET
    address_scope_id: str | Unset | None = UNSET


def create(tx: Transaction, new: NewSubnetPool) -> SubnetPool:
    """Create a pool. Its bounds of prefix lengths default to those of its IP version."""
    prefixes, version = rules_subnet_pools.prefixes(new.prefixes)
    bounds = rules_subnet_pools.lengths(
        version,
        given(new.min_prefixlen, None),
        given(new.max_prefixlen, None),
        given(new.default_prefixlen, None),
    )
    pool = created(
        SubnetPool,
        new,
        id=new_id(),
        project_id=given(new.project_id, tx.project_id),
        prefixes=prefixes,
        ip_version=version,
        min_prefixlen=bounds.least,
        max_prefixlen=bounds.most,
        default_prefixlen=bounds.default,
    )
    _check_default(tx, pool)
    _check_scope(tx, pool)
    return tx.session.insert(pool)


def update(tx: Transaction, old: SubnetPool, change: SubnetPoolChange) -> SubnetPool:
    """Change a pool. It may get more prefixes; it keeps the addresses that it has."""
    if old.address_scope_id is not None:
        _check_own_scope(tx, old)
    pool = applied(old, change)
    if change.prefixes is not UNSET:
        prefixes, version = rules_subnet_pools.prefixes(change.prefixes)
        if version != old.ip_version:
            kind, expected = "PrefixVersionMismatch", f"IPv{old.ip_version} CIDRs, as before"
            words = "Cannot mix IPv4 and IPv6 prefixes in a subnet pool"
            raise InvalidInput("prefixes", list(prefixes), expected, type=kind, words=words)
        rules_subnet_pools.check_grown(old.prefixes, prefixes)
        pool = replace(pool, prefixes=prefixes)
    rules_subnet_pools.lengths(
        pool.ip_version, pool.min_prefixlen, pool.max_prefixlen, pool.default_prefixlen
    )
    if pool.is_default and not old.is_default:
        _check_default(tx, pool)
    _check_scope(tx, pool)
    return tx.session.update(pool)


def _check_default(tx: Transaction, pool: SubnetPool) -> None:
    if not pool.is_default:
        return
    others = tx.session.find(SubnetPool, is_default=True, ip_version=pool.ip_version)
    if any(other.id != pool.id for other in others):
        words = "A default subnetpool for this IP family has already been set"
        expected = f"false, because {others[0].id} is the default for IPv{pool.ip_version}"
        raise InvalidInput("is_default", pool.is_default, expected, words=words)


def _check_own_scope(tx: Transaction, pool: SubnetPool) -> None:
    """Refuse a change of a pool in another project's scope, except to admins."""
    scope = tx.session.require(AddressScope, str(pool.address_scope_id))
    if tx.caller.is_admin or scope.project_id == tx.project_id:
        return
    words = f"Illegal subnetpool update : subnetpool {pool.id} cannot be updated when associated"
    words = f"{words} with shared address scope {scope.id}"
    kind, expected = "IllegalSubnetPoolUpdate", "a pool in an address scope of your own"
    raise InvalidInput("id", pool.id, expected, type=kind, words=words)


def _check_scope(tx: Transaction, pool: SubnetPool) -> None:
    """Check that the scope has the pool's owner and IP version, and no other pool overlaps."""
    if pool.address_scope_id is None:
        return
    scope = access.require(tx, AddressScope, pool.address_scope_id)
    words = f"Illegal subnetpool association: subnetpool {pool.id} cannot"
    if not tx.caller.is_admin and scope.project_id != tx.project_id:
        kind, expected = "IllegalSubnetPoolAssociationToAddressScope", "a scope of your own"
        words = f"{words} be associated with address scope {scope.id}"
        raise InvalidInput("address_scope_id", scope.id, expected, type=kind, words=words)
    if scope.ip_version != pool.ip_version:
        kind = "IllegalSubnetPoolIpVersionAssociationToAddressScope"
        words = f"{words} associate with address scope {scope.id}"
        expected = f"a scope of IPv{pool.ip_version}"
        raise InvalidInput("address_scope_id", scope.id, expected, type=kind, words=words)
    for other in tx.session.find(SubnetPool, address_scope_id=scope.id):
        if other.id != pool.id and rules_subnet_pools.intersect(pool.prefixes, other.prefixes):
            message = "Failed to associate address scope: subnetpools within an address scope"
            message = f"{message} must have unique prefixes; see {other.id}"
            raise Conflict("AddressScopePrefixConflict", message)
    _check_rescoped(tx, pool)


def _check_rescoped(tx: Transaction, pool: SubnetPool) -> None:
    """Check that a network's subnets of this IP version stay in one scope."""
    own = tx.session.find(Subnet, subnetpool_id=pool.id)
    networks = sorted({subnet.network_id for subnet in own})
    beside = tx.session.find(Subnet, network_id=networks, ip_version=pool.ip_version)
    if any(subnet.subnetpool_id != pool.id for subnet in beside):
        raise affinity_error("NetworkAddressScopeAffinityError", pool.id)


def affinity_error(kind: str, pool_id: str) -> InvalidInput:
    """Return the error for a network whose subnets would be of different pools or scopes."""
    words = {
        "NetworkAddressScopeAffinityError": "Subnets of the same address family hosted on the"
        " same network must all participate in the same address scope",
        "NetworkSubnetPoolAffinityError": "Subnets hosted on the same network must be allocated"
        " from the same subnet pool",
    }
    expected = "the pool of the network's other subnets"
    return InvalidInput("subnetpool_id", pool_id, expected, type=kind, words=words[kind])


def delete(tx: Transaction, pool: SubnetPool) -> None:
    """Delete a pool. Raises InvalidInput while a subnet has its CIDR from it."""
    users = tx.session.find(Subnet, subnetpool_id=pool.id)
    if users:
        words = "Unable to delete subnet pool: Subnet pool has existing allocations"
        expected = f"a pool without subnets; subnet {users[0].id} uses it"
        raise InvalidInput("id", pool.id, expected, type="SubnetPoolDeleteError", words=words)
    tx.session.delete(SubnetPool, pool.id)


def scopes_of(tx: Transaction, pool_ids: list[str]) -> dict[str, str | None]:
    """Return the address scope of each pool, by pool id."""
    found = tx.session.find(SubnetPool, id=sorted(set(pool_ids))) if pool_ids else []
    return {pool.id: pool.address_scope_id for pool in found}
