"""Address groups: recorded, as security groups are. a9fe filters no packets by them."""

from dataclasses import dataclass, replace

from a9fe.api_tables.pool_tables import GROUP_ADDRESSES_MAX
from a9fe.api_tables.typed_requests import UNSET, Unset, applied, created, given
from a9fe.model.errors import A9feError, Conflict, InvalidInput
from a9fe.model.resources import SecurityGroupRule
from a9fe.model.subnet_pools import AddressGroup
from a9fe.operations.transaction import Transaction, new_id


class AddressesNotFound(A9feError):
    """An address group lacks some of the addresses to remove from it."""

    status = 404
    type = "AddressesNotFound"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAddressGroup:
    """An address group to create; `addresses` are CIDRs."""

    name: str = ""
    project_id: str | Unset = UNSET
    description: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressGroupChange:
    """What may change of an address group."""

    name: str | Unset = UNSET
    description: str | Unset = UNSET


def create(tx: Transaction, new: NewAddressGroup) -> AddressGroup:
    """Create a group."""
    project_id = given(new.project_id, tx.project_id)
    return tx.session.insert(created(AddressGroup, new, id=new_id(), project_id=project_id))


def update(tx: Transaction, old: AddressGroup, change: AddressGroupChange) -> AddressGroup:
    """Change a group's name or description."""
    return tx.session.update(applied(old, change))


def delete(tx: Transaction, group: AddressGroup) -> None:
    """Delete a group. Raises Conflict while a security group rule names it."""
    users = tx.session.find(SecurityGroupRule, remote_address_group_id=group.id)
    if users:
        message = f"Address group {group.id} is in use on one or more security group rules"
        raise Conflict("AddressGroupInUse", f"{message}: {users[0].id}")
    tx.session.delete(AddressGroup, group.id)


def add(tx: Transaction, group: AddressGroup, addresses: tuple[str, ...]) -> AddressGroup:
    """Add CIDRs to a group. Raises InvalidInput for one that it has."""
    known = [address for address in addresses if address in group.addresses]
    if known:
        words = f"Addresses {known} already exist in the address group {group.id}"
        expected, kind = "addresses that are not in the group", "AddressesAlreadyExist"
        raise InvalidInput("addresses", known, expected, type=kind, words=words)
    if len(group.addresses) + len(addresses) > GROUP_ADDRESSES_MAX:
        more, expected = f"{len(addresses)} more", f"at most {GROUP_ADDRESSES_MAX} in all"
        raise InvalidInput("addresses", more, expected)
    return tx.session.update(replace(group, addresses=(*group.addresses, *addresses)))


def remove(tx: Transaction, group: AddressGroup, addresses: tuple[str, ...]) -> AddressGroup:
    """Remove CIDRs from a group. Raises AddressesNotFound."""
    missing = [address for address in addresses if address not in group.addresses]
    if missing:
        raise AddressesNotFound(f"Addresses {missing} not found in the address group {group.id}")
    left = tuple(address for address in group.addresses if address not in addresses)
    return tx.session.update(replace(group, addresses=left))
