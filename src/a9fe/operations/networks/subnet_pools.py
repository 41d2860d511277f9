"""Subnet pools and address scopes, and the subnets that are cut from pools."""

from dataclasses import replace

from a9fe.api_tables.attributes import Values
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import Subnet
from a9fe.model.rules import addresses as rules
from a9fe.model.rules import subnet_pools as rules_subnet_pools
from a9fe.model.subnet_pools import AddressScope, SubnetPool
from a9fe.operations import access
from a9fe.operations.transaction import Transaction, new_id


def create_scope(tx: Transaction, values: Values) -> AddressScope:
    """A new address scope."""
    values.setdefault("project_id", tx.project_id)
    return tx.session.insert(AddressScope(id=new_id(), **values))


def update_scope(tx: Transaction, old: AddressScope, values: Values) -> AddressScope:
    """Change an address scope. What others may use by now stays shared (Neutron)."""
    if old.shared and not values.get("shared", True):
        words = f"Unable to update address scope {old.id} : Shared address scope can't be unshared"
        kind, expected = "AddressScopeUpdateError", "true, because the scope is shared"
        raise InvalidInput("shared", values["shared"], expected, type=kind, words=words)
    return tx.session.update(replace(old, **values))


def delete_scope(tx: Transaction, scope: AddressScope) -> None:
    """Remove an address scope that no pool is in."""
    users = tx.session.find(SubnetPool, address_scope_id=scope.id)
    if users:
        message = f"Unable to complete operation on address scope {scope.id}"
        message = f"{message}. There are one or more subnet pools in use on the address scope"
        raise Conflict("AddressScopeInUse", f"{message}: {users[0].id}")
    tx.session.delete(AddressScope, scope.id)


def create(tx: Transaction, values: Values) -> SubnetPool:
    """A new pool."""
    values.setdefault("project_id", tx.project_id)
    values["prefixes"], version = rules_subnet_pools.prefixes(values["prefixes"])
    bounds = rules_subnet_pools.lengths(
        version,
        values.get("min_prefixlen"),
        values.get("max_prefixlen"),
        values.get("default_prefixlen"),
    )
    values |= {
        "ip_version": version,
        "min_prefixlen": bounds.least,
        "max_prefixlen": bounds.most,
        "default_prefixlen": bounds.default,
    }
    pool = SubnetPool(id=new_id(), **values)
    _check_default(tx, pool)
    _check_scope(tx, pool)
    return tx.session.insert(pool)


def update(tx: Transaction, old: SubnetPool, values: Values) -> SubnetPool:
    """Change a pool: it may get more prefixes, and keeps those it has."""
    if old.address_scope_id is not None:
        _check_own_scope(tx, old)
    if "prefixes" in values:
        values["prefixes"], version = rules_subnet_pools.prefixes(values["prefixes"])
        if version != old.ip_version:
            kind, expected = "PrefixVersionMismatch", f"IPv{old.ip_version} CIDRs, as before"
            given = list(values["prefixes"])
            words = "Cannot mix IPv4 and IPv6 prefixes in a subnet pool"
            raise InvalidInput("prefixes", given, expected, type=kind, words=words)
        rules_subnet_pools.check_grown(old.prefixes, values["prefixes"])
    pool = replace(old, **values)
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
    """A pool in somebody else's scope stays as it is, but for admins."""
    scope = tx.session.require(AddressScope, str(pool.address_scope_id))
    if tx.caller.is_admin or scope.project_id == tx.project_id:
        return
    words = f"Illegal subnetpool update : subnetpool {pool.id} cannot be updated when associated"
    words = f"{words} with shared address scope {scope.id}"
    kind, expected = "IllegalSubnetPoolUpdate", "a pool in an address scope of your own"
    raise InvalidInput("id", pool.id, expected, type=kind, words=words)


def _check_scope(tx: Transaction, pool: SubnetPool) -> None:
    """A pool is in a scope of its owner's and IP version, where no other has its addresses."""
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
    """All subnets of a network and IP version are in one scope."""
    own = tx.session.find(Subnet, subnetpool_id=pool.id)
    networks = sorted({subnet.network_id for subnet in own})
    beside = tx.session.find(Subnet, network_id=networks, ip_version=pool.ip_version)
    if any(subnet.subnetpool_id != pool.id for subnet in beside):
        raise _affinity("NetworkAddressScopeAffinityError", pool.id)


def _affinity(kind: str, pool_id: str) -> InvalidInput:
    words = {
        "NetworkAddressScopeAffinityError": "Subnets of the same address family hosted on the"
        " same network must all participate in the same address scope",
        "NetworkSubnetPoolAffinityError": "Subnets hosted on the same network must be allocated"
        " from the same subnet pool",
    }
    expected = "the pool of the network's other subnets"
    return InvalidInput("subnetpool_id", pool_id, expected, type=kind, words=words[kind])


def delete(tx: Transaction, pool: SubnetPool) -> None:
    """Remove a pool that no subnet is cut from."""
    users = tx.session.find(Subnet, subnetpool_id=pool.id)
    if users:
        words = "Unable to delete subnet pool: Subnet pool has existing allocations"
        expected = f"a pool without subnets; subnet {users[0].id} uses it"
        raise InvalidInput("id", pool.id, expected, type="SubnetPoolDeleteError", words=words)
    tx.session.delete(SubnetPool, pool.id)


def cut(tx: Transaction, values: Values, present: list[Subnet]) -> None:
    """Let a new subnet's values have the CIDR and the pool that they ask for.

    `present` are the subnets of its network.
    """
    version, prefixlen = values["ip_version"], values.pop("prefixlen", None)
    cidr, pool = values.get("cidr", ""), _pool(tx, values, prefixlen)
    same = [subnet for subnet in present if subnet.ip_version == version]
    if pool is None:
        _check_without_pool(cidr, prefixlen, same)
        return
    if pool.ip_version != version:
        expected = f"{pool.ip_version}, as subnet pool {pool.id} has"
        raise InvalidInput("ip_version", version, expected)
    _check_affinity(tx, pool, same)
    taken = tx.session.find(Subnet, subnetpool_id=pool.id)
    blocks = [subnet.cidr for subnet in taken]
    if cidr:
        wanted = rules.subnet_cidr("cidr", cidr, version)
        length = int(wanted.rpartition("/")[2])
    else:
        wanted, length = "", pool.default_prefixlen if prefixlen is None else prefixlen
    rules_subnet_pools.check_length(length, pool.min_prefixlen, pool.max_prefixlen)
    mine = [s.cidr for s in taken if s.project_id == values.get("project_id", tx.project_id)]
    rules_subnet_pools.check_quota(version, pool.default_quota, mine, length)
    if wanted:
        rules_subnet_pools.check_free(pool.prefixes, blocks, wanted)
    else:
        wanted = rules_subnet_pools.free_block(pool.prefixes, blocks, length)
    values |= {"cidr": wanted, "subnetpool_id": pool.id}


def _pool(tx: Transaction, values: Values, prefixlen: int | None) -> SubnetPool | None:
    """The pool that is asked for. Raises InvalidInput for two ways of asking."""
    use_default, pool_id = values.pop("use_default_subnetpool"), values["subnetpool_id"]
    cidr = values.get("cidr", "")
    if use_default and pool_id:
        _refuse("subnetpool_id", pool_id, "subnetpool_id and use_default_subnetpool cannot both")
    if cidr and prefixlen is not None:
        _refuse("prefixlen", prefixlen, "cidr and prefixlen must not")
    if pool_id:
        found: SubnetPool = access.require(tx, SubnetPool, pool_id)
    elif use_default:
        version = values["ip_version"]
        default = tx.session.find(SubnetPool, is_default=True, ip_version=version)
        if not default:
            words = f"Bad subnets request: No default subnetpool found for IPv{version}"
            expected = "false, or create a default pool"
            field = "use_default_subnetpool"
            raise InvalidInput(field, use_default, expected, type="BadRequest", words=words)
        found = default[0]
    else:
        return None
    if not cidr and "allocation_pools" in values:
        words = "Bad subnets request: allocation_pools allowed only for specific subnet requests"
        expected = "no allocation_pools without a cidr"
        given = len(values["allocation_pools"])
        raise InvalidInput("allocation_pools", given, expected, type="BadRequest", words=words)
    return found


def _refuse(field: str, value: object, why: str) -> None:
    words = f"Bad subnets request: {why} be specified together"
    raise InvalidInput(field, value, "one of the two", type="BadRequest", words=words)


def _check_without_pool(cidr: str, prefixlen: int | None, same: list[Subnet]) -> None:
    if not cidr:
        words = "Bad subnets request: a subnetpool must be specified in the absence of a cidr"
        field, given = ("prefixlen", prefixlen) if prefixlen is not None else ("cidr", None)
        expected = "a CIDR, or a subnetpool_id"
        raise InvalidInput(field, given, expected, type="BadRequest", words=words)
    pooled = next((subnet for subnet in same if subnet.subnetpool_id), None)
    if pooled is not None:
        raise _affinity("NetworkSubnetPoolAffinityError", "none")


def _check_affinity(tx: Transaction, pool: SubnetPool, same: list[Subnet]) -> None:
    """The subnets of a network and IP version are of one pool, or of one scope."""
    others = {subnet.subnetpool_id for subnet in same} - {pool.id}
    scopes = scopes_of(tx, [str(other) for other in others if other])
    if set(scopes.values()) - {pool.address_scope_id, None}:
        raise _affinity("NetworkAddressScopeAffinityError", pool.id)
    if any(other is None or scopes.get(other) is None for other in others):
        raise _affinity("NetworkSubnetPoolAffinityError", pool.id)


def scopes_of(tx: Transaction, pool_ids: list[str]) -> dict[str, str | None]:
    """The address scope of each pool."""
    found = tx.session.find(SubnetPool, id=sorted(set(pool_ids))) if pool_ids else []
    return {pool.id: pool.address_scope_id for pool in found}
