"""Fixed IPs for a port, from the subnets of its network."""

from collections.abc import Iterable, Set
from dataclasses import dataclass

from a9fe.api_tables.requests import AddressRequest
from a9fe.api_tables.typed_requests import UNSET, Unset
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import DHCP_OWNER, ROUTER_INTERFACE_OWNERS, FixedIp, Subnet
from a9fe.model.rules import addresses as rules
from a9fe.model.rules.ports import ROUTER_OWNERS
from a9fe.operations.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The port that needs addresses; `held` are the addresses that it has."""

    network_id: str
    mac_address: str
    device_owner: str = ""
    held: frozenset[str] = frozenset()


def assign(
    tx: Transaction, holder: Holder, wanted: Iterable[AddressRequest] | Unset
) -> tuple[FixedIp, ...]:
    """Return the fixed IPs wanted; UNSET: one of each IP version.

    Raises InvalidInput, or Conflict for an address in use and for a subnet without free ones.
    """
    subnets = _serving(tx.session.find(Subnet, network_id=holder.network_id), holder)
    if wanted is UNSET:
        return _default(tx, holder, subnets)
    given: list[FixedIp] = []
    for request in wanted:
        given.append(_one(tx, holder, subnets, request, given))
    return tuple(given)


def _serving(subnets: list[Subnet], holder: Holder) -> list[Subnet]:
    """Return the subnets that may give the port addresses; those for its device owner first.

    A subnet with service types is for ports with these device owners (Neutron), and always for
    DHCP ports and router interfaces, which make the subnet usable.
    """
    owner = holder.device_owner
    everywhere = owner == DHCP_OWNER or owner in ROUTER_INTERFACE_OWNERS
    found = [s for s in subnets if everywhere or not s.service_types or owner in s.service_types]
    if subnets and not found:
        message = (
            f"No valid service subnet for the given device owner, network_id {holder.network_id}"
        )
        message = f"{message}, service_type {owner or '(none)'}"
        raise Conflict("IpAddressGenerationFailureNoMatchingSubnet", message)
    return sorted(found, key=lambda subnet: not subnet.service_types)


def _default(tx: Transaction, holder: Holder, subnets: list[Subnet]) -> tuple[FixedIp, ...]:
    automatic = [s for s in subnets if rules.uses_eui64(s)]
    found = []
    for version in (4, 6):
        pooled = [s for s in subnets if s.ip_version == version and s not in automatic]
        if pooled:
            found.append(_first_free(tx, holder, pooled))
    if holder.device_owner not in ROUTER_OWNERS:
        found += [_from_mac(s, holder) for s in automatic]
    return tuple(found)


def _first_free(tx: Transaction, holder: Holder, subnets: list[Subnet]) -> FixedIp:
    for subnet in subnets:
        address = tx.session.free_address(subnet.id)
        if address is not None:
            return FixedIp(subnet_id=subnet.id, ip_address=address)
    message = f"No more IP addresses available on network {holder.network_id}"
    raise Conflict("IpAddressGenerationFailure", message)


def _from_mac(subnet: Subnet, holder: Holder) -> FixedIp:
    address = rules.eui64(subnet.cidr, holder.mac_address)
    return FixedIp(subnet_id=subnet.id, ip_address=address)


def _one(
    tx: Transaction,
    holder: Holder,
    subnets: list[Subnet],
    request: AddressRequest,
    given: list[FixedIp],
) -> FixedIp:
    subnet = _subnet(holder, subnets, request)
    automatic = rules.uses_eui64(subnet) and holder.device_owner not in ROUTER_OWNERS
    mine = frozenset(f.ip_address for f in given if f.subnet_id == subnet.id)
    if request.ip_address:
        fixed = _exact(subnet, request.ip_address, holder if automatic else None)
        _refuse_taken(tx, holder, fixed, mine)
        return fixed
    if automatic:
        return _from_mac(subnet, holder)
    address = _kept(subnet, holder, mine) or tx.session.free_address(subnet.id, mine)
    if address is None:
        message = f"No more IP addresses available for subnet {subnet.id}"
        raise Conflict("IpAddressGenerationFailure", message)
    return FixedIp(subnet_id=subnet.id, ip_address=address)


def _kept(subnet: Subnet, holder: Holder, taken: Set[str]) -> str | None:
    """Return the address that the port has on the subnet: a request for the subnet keeps it."""
    held = (a for a in sorted(holder.held) if rules.contains(subnet.cidr, a))
    return next((a for a in held if a not in taken), None)


def _subnet(holder: Holder, subnets: list[Subnet], request: AddressRequest) -> Subnet:
    if request.subnet_id:
        subnet = next((s for s in subnets if s.id == request.subnet_id), None)
        if subnet is None:
            expected = f"a subnet of network {holder.network_id}"
            raise InvalidInput("fixed_ips.subnet_id", request.subnet_id, expected)
        return subnet
    found = (s for s in subnets if rules.contains(s.cidr, request.ip_address))
    subnet = next(found, None)
    if subnet is None:
        cidrs = ", ".join(s.cidr for s in subnets) or "none, as the network has no subnet"
        expected = f"an address of the network's subnets ({cidrs})"
        raise InvalidInput("fixed_ips.ip_address", request.ip_address, expected)
    return subnet


def _exact(subnet: Subnet, address: str, automatic: Holder | None) -> FixedIp:
    if not rules.contains(subnet.cidr, address):
        first, last = rules.usable(subnet.cidr)
        expected = f"an address from {first} to {last} of subnet {subnet.id}"
        raise InvalidInput("fixed_ips.ip_address", address, expected)
    if automatic and address != rules.eui64(subnet.cidr, automatic.mac_address):
        expected = f"no address, since subnet {subnet.id} makes them from MACs"
        raise InvalidInput("fixed_ips.ip_address", address, expected)
    return FixedIp(subnet_id=subnet.id, ip_address=address)


def _refuse_taken(tx: Transaction, holder: Holder, wanted: FixedIp, mine: Set[str]) -> None:
    address, subnet_id = wanted.ip_address, wanted.subnet_id
    others = address not in holder.held and tx.session.holder(subnet_id, address)
    if address in mine or others:
        message = f"IP address {address} already allocated in subnet {subnet_id}"
        raise Conflict("IpAddressAlreadyAllocated", f"{message}; choose another")
