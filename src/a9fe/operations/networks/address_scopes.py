"""Address scopes: sets of subnet pools whose addresses do not overlap."""

from dataclasses import dataclass

from a9fe.api_tables.typed_requests import UNSET, Unset, applied, created, given
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.subnet_pools import AddressScope, SubnetPool
from a9fe.operations.transaction import Transaction, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAddressScope:
    """An address scope to create."""

    ip_version: int
    name: str = ""
    project_id: str | Unset = UNSET
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressScopeChange:
    """What may change of an address scope."""

    name: str | Unset = UNSET
    shared: bool | Unset = UNSET


def create(tx: Transaction, new: NewAddressScope) -> AddressScope:
    """Create an address scope."""
    project_id = given(new.project_id, tx.project_id)
    return tx.session.insert(created(AddressScope, new, id=new_id(), project_id=project_id))


def update(tx: Transaction, old: AddressScope, change: AddressScopeChange) -> AddressScope:
    """Change an address scope. A shared scope stays shared (Neutron)."""
    new = applied(old, change)
    if old.shared and not new.shared:
        words = f"Unable to update address scope {old.id} : Shared address scope can't be unshared"
        kind, expected = "AddressScopeUpdateError", "true, because the scope is shared"
        raise InvalidInput("shared", new.shared, expected, type=kind, words=words)
    return tx.session.update(new)


def delete(tx: Transaction, scope: AddressScope) -> None:
    """Delete an address scope. Raises Conflict while a pool is in it."""
    users = tx.session.find(SubnetPool, address_scope_id=scope.id)
    if users:
        message = f"Unable to complete operation on address scope {scope.id}"
        message = f"{message}. There are one or more subnet pools in use on the address scope"
        raise Conflict("AddressScopeInUse", f"{message}: {users[0].id}")
    tx.session.delete(AddressScope, scope.id)
