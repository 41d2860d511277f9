"""Address groups: recorded, as security groups are; a9fe filters nothing by them."""

from dataclasses import replace
from typing import Any

from a9fe.api_tables import converters as to
from a9fe.api_tables.attributes import Values
from a9fe.api_tables.envelope import member
from a9fe.model.errors import A9feError, Conflict, InvalidInput
from a9fe.model.resources import SecurityGroupRule
from a9fe.model.rules import addresses as rules
from a9fe.model.subnet_pools import AddressGroup
from a9fe.operations import access
from a9fe.operations.transaction import Transaction, new_id

ADDRESSES_MAX = 1000


class AddressesNotFound(A9feError):
    """An address group lacks some of the addresses to remove from it."""

    status = 404
    type = "AddressesNotFound"


def create(tx: Transaction, values: Values) -> AddressGroup:
    """A new group."""
    values.setdefault("project_id", tx.project_id)
    return tx.session.insert(AddressGroup(id=new_id(), **values))


def update(tx: Transaction, old: AddressGroup, values: Values) -> AddressGroup:
    """Name or describe a group."""
    return tx.session.update(replace(old, **values))


def delete(tx: Transaction, group: AddressGroup) -> None:
    """Remove a group that no rule names."""
    users = tx.session.find(SecurityGroupRule, remote_address_group_id=group.id)
    if users:
        message = f"Address group {group.id} is in use on one or more security group rules"
        raise Conflict("AddressGroupInUse", f"{message}: {users[0].id}")
    tx.session.delete(AddressGroup, group.id)


def add(tx: Transaction, group: AddressGroup, document: Any) -> AddressGroup:  # noqa: ANN401 - a body
    """Put addresses into a group."""
    given = _addresses(tx, group, document, READ)
    known = [address for address in given if address in group.addresses]
    if known:
        words = f"Addresses {known} already exist in the address group {group.id}"
        expected, kind = "addresses that are not in the group", "AddressesAlreadyExist"
        raise InvalidInput("addresses", known, expected, type=kind, words=words)
    if len(group.addresses) + len(given) > ADDRESSES_MAX:
        raise InvalidInput("addresses", f"{len(given)} more", f"at most {ADDRESSES_MAX} in all")
    return tx.session.update(replace(group, addresses=(*group.addresses, *given)))


def remove(tx: Transaction, group: AddressGroup, document: Any) -> AddressGroup:  # noqa: ANN401 - a body
    """Take addresses from a group."""
    given = _addresses(tx, group, document, to.list_of(to.address_or_cidr, ADDRESSES_MAX))
    missing = [address for address in given if address not in group.addresses]
    if missing:
        raise AddressesNotFound(f"Addresses {missing} not found in the address group {group.id}")
    left = tuple(address for address in group.addresses if address not in given)
    return tx.session.update(replace(group, addresses=left))


READ = to.list_of(rules.cidr, ADDRESSES_MAX, unique=True)


def _addresses(
    tx: Transaction, group: AddressGroup, document: object, read: to.Converter
) -> tuple[str, ...]:
    access.check_change(tx, group)
    found: tuple[str, ...] = read("addresses", member(document, "addresses"))
    return found
