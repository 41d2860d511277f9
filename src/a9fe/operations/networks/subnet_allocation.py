"""The CIDR of a new subnet: its own, or a block of a subnet pool."""

from dataclasses import dataclass

from a9fe.api_tables.typed_requests import UNSET, Unset
from a9fe.model.errors import InvalidInput
from a9fe.model.resources import AllocationPool, HostRoute, Subnet
from a9fe.model.rules import addresses as rules
from a9fe.model.rules import subnet_pools as rules_subnet_pools
from a9fe.model.subnet_pools import SubnetPool
from a9fe.operations import access
from a9fe.operations.networks.subnet_pools import affinity_error, scopes_of
from a9fe.operations.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubnet:
    """A subnet to create on a network.

    `cidr` "": a block of the pool `subnetpool_id`, or of the default pool, with `prefixlen` bits.
    `gateway_ip` UNSET: the first address; None: no gateway. `allocation_pools` UNSET: all
    addresses but the gateway's.
    """

    network_id: str
    ip_version: int
    cidr: str = ""
    project_id: str | Unset = UNSET
    name: str = ""
    description: str = ""
    gateway_ip: str | Unset | None = UNSET
    allocation_pools: tuple[AllocationPool, ...] | Unset = UNSET
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    enable_dhcp: bool = True
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    subnetpool_id: str | None = None
    prefixlen: int | None = None
    use_default_subnetpool: bool = False
    service_types: tuple[str, ...] = ()


def allocate(
    tx: Transaction, new: NewSubnet, project_id: str, present: list[Subnet]
) -> tuple[str, str | None]:
    """Return the CIDR and the pool id of a new subnet: its own CIDR, or one of a pool.

    `present` are the subnets of its network; `project_id` is the subnet's.
    """
    pool = _pool(tx, new)
    same = [subnet for subnet in present if subnet.ip_version == new.ip_version]
    if pool is None:
        _check_without_pool(new.cidr, new.prefixlen, same)
        return new.cidr, new.subnetpool_id
    if pool.ip_version != new.ip_version:
        expected = f"{pool.ip_version}, as subnet pool {pool.id} has"
        raise InvalidInput("ip_version", new.ip_version, expected)
    _check_affinity(tx, pool, same)
    return _from_pool(tx, pool, new, project_id), pool.id


def _from_pool(tx: Transaction, pool: SubnetPool, new: NewSubnet, project_id: str) -> str:
    """Return the CIDR that is asked for, or the first free block of the pool."""
    taken = tx.session.find(Subnet, subnetpool_id=pool.id)
    blocks = [subnet.cidr for subnet in taken]
    if new.cidr:
        wanted = rules.subnet_cidr("cidr", new.cidr, new.ip_version)
        length = int(wanted.rpartition("/")[2])
    else:
        wanted, length = "", pool.default_prefixlen if new.prefixlen is None else new.prefixlen
    rules_subnet_pools.check_length(length, pool.min_prefixlen, pool.max_prefixlen)
    mine = [subnet.cidr for subnet in taken if subnet.project_id == project_id]
    rules_subnet_pools.check_quota(new.ip_version, pool.default_quota, mine, length)
    if not wanted:
        return rules_subnet_pools.free_block(pool.prefixes, blocks, length)
    rules_subnet_pools.check_free(pool.prefixes, blocks, wanted)
    return wanted


def _pool(tx: Transaction, new: NewSubnet) -> SubnetPool | None:
    """Return the pool that is asked for. Raises InvalidInput for contradicting requests."""
    use_default, pool_id = new.use_default_subnetpool, new.subnetpool_id
    if use_default and pool_id:
        _refuse("subnetpool_id", pool_id, "subnetpool_id and use_default_subnetpool cannot both")
    if new.cidr and new.prefixlen is not None:
        _refuse("prefixlen", new.prefixlen, "cidr and prefixlen must not")
    if pool_id:
        found = access.require(tx, SubnetPool, pool_id)
    elif use_default:
        found = _default(tx, new.ip_version)
    else:
        return None
    if not new.cidr and new.allocation_pools is not UNSET:
        words = "Bad subnets request: allocation_pools allowed only for specific subnet requests"
        expected = "no allocation_pools without a cidr"
        count = len(new.allocation_pools)
        raise InvalidInput("allocation_pools", count, expected, type="BadRequest", words=words)
    return found


def _default(tx: Transaction, version: int) -> SubnetPool:
    default = tx.session.find(SubnetPool, is_default=True, ip_version=version)
    if not default:
        words = f"Bad subnets request: No default subnetpool found for IPv{version}"
        expected, field = "false, or create a default pool", "use_default_subnetpool"
        raise InvalidInput(field, True, expected, type="BadRequest", words=words)  # noqa: FBT003
    return default[0]


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
        raise affinity_error("NetworkSubnetPoolAffinityError", "none")


def _check_affinity(tx: Transaction, pool: SubnetPool, same: list[Subnet]) -> None:
    """Check that a network's subnets of this IP version are of one pool, or of one scope."""
    others = {subnet.subnetpool_id for subnet in same} - {pool.id}
    scopes = scopes_of(tx, [str(other) for other in others if other])
    if set(scopes.values()) - {pool.address_scope_id, None}:
        raise affinity_error("NetworkAddressScopeAffinityError", pool.id)
    if any(other is None or scopes.get(other) is None for other in others):
        raise affinity_error("NetworkSubnetPoolAffinityError", pool.id)
