"""Conversion of resources to rows and back. JSON columns are encoded by model.codec."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import JSON, Column, Table

from a9fe.model import codec
from a9fe.model.guest import InjectedFile, MetadataOptions, ScheduledEvent
from a9fe.model.resources import (
    KIND_OF,
    KINDS,
    AddressPair,
    AllocationPool,
    DhcpOption,
    FixedIp,
    HostRoute,
    Keypair,
    Resource,
)
from a9fe.store.schema.columns import BORN
from a9fe.store.schema.tables import TABLES

R = TypeVar("R", bound=Resource)


def _items(cls: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda stored: tuple(cls(**item) for item in stored)


def _coded(cls: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a reader of items with bytes, which model.codec encodes."""
    return lambda stored: tuple(codec.decode(cls, item) for item in stored)


_FROM_JSON: dict[str, Callable[[Any], Any]] = {
    "allocation_pools": _items(AllocationPool),
    "host_routes": _items(HostRoute),
    "routes": _items(HostRoute),
    "extra_dhcp_opts": _items(DhcpOption),
    "allowed_address_pairs": _items(AddressPair),
    "keypairs": _items(Keypair),
    "files": _coded(InjectedFile),
    "events": _items(ScheduledEvent),
    "metadata_options": lambda stored: MetadataOptions(**stored),
    "nic_tags": dict,
    "guest_attributes": dict,
    "dns_nameservers": tuple,
    "service_types": tuple,
    "prefixes": tuple,
    "addresses": tuple,
    "security_groups": tuple,
    "availability_zone_hints": tuple,
    "profile": dict,
    "metadata": dict,
    "configurations": dict,
    "extra_specs": dict,
    "properties": dict,
    "tags": tuple,
}


def kind_of(cls: type[Any]) -> str:
    """Return the kind of a class of resources."""
    return KIND_OF[cls]


def table_of(cls: type[Any]) -> Table:
    """Return the table of a class of resources."""
    return TABLES[kind_of(cls)]


@cache
def columns_of(kind: str) -> tuple[Column[Any], ...]:
    """Return the columns of a kind's fields, in the order that `from_row` reads."""
    return tuple(column for column in TABLES[kind].c if column.name != BORN)


@cache
def _kept(kind: str) -> dict[str, bool]:
    """Return the fields that are columns, and whether each is JSON."""
    columns = TABLES[kind].c
    names = [field.name for field in fields(KINDS[kind]) if field.name in columns]
    return {name: isinstance(columns[name].type, JSON) for name in names}


def to_row(resource: Resource, old: Resource | None = None) -> dict[str, Any]:
    """Return the column values of a resource; with `old`, only those that differ from it.

    A port's fixed_ips are not among them: they are rows of ip_allocations.
    """
    row: dict[str, Any] = {}
    for name, is_json in _kept(kind_of(type(resource))).items():
        value = getattr(resource, name)
        if old is None or getattr(old, name) != value:
            row[name] = codec.encode(value) if is_json else value
    return row


Reader = Callable[[Any], Any]


@cache
def _readers(kind: str) -> tuple[tuple[str, ...], tuple[tuple[str, Reader], ...]]:
    names = tuple(column.name for column in columns_of(kind))
    return names, tuple((name, _FROM_JSON[name]) for name in names if name in _FROM_JSON)


def from_row(cls: type[R], row: Sequence[Any], fixed_ips: tuple[FixedIp, ...] = ()) -> R:
    """Build a resource from a row of `columns_of`."""
    names, readers = _readers(kind_of(cls))
    values = dict(zip(names, row, strict=True))
    for name, read in readers:
        values[name] = read(values[name])
    if fixed_ips:
        values["fixed_ips"] = fixed_ips
    return cls(**values)
