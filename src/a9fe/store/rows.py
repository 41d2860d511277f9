"""Resources to rows and back. A JSON column holds what model.codec.encode makes of the field."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import JSON, Table

from a9fe.model import codec
from a9fe.model.guest import InjectedFile, MetadataOptions, ScheduledEvent
from a9fe.model.resources import (
    KIND_OF,
    AddressPair,
    AllocationPool,
    DhcpOption,
    FixedIp,
    HostRoute,
    Keypair,
    Resource,
)
from a9fe.store.schema import TABLES

R = TypeVar("R", bound=Resource)


def _items(cls: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda stored: tuple(cls(**item) for item in stored)


def _coded(cls: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """As `_items`, of what holds bytes."""
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
    """The kind that resources of this class are."""
    return KIND_OF[cls]


def table_of(cls: type[Any]) -> Table:
    """The table that keeps resources of this class."""
    return TABLES[kind_of(cls)]


def to_row(resource: Resource) -> dict[str, Any]:
    """The column values of a resource. A port's fixed_ips are rows of ip_allocations."""
    columns = table_of(type(resource)).c
    row: dict[str, Any] = {}
    for field in fields(resource):
        if field.name in columns:
            value = getattr(resource, field.name)
            is_json = isinstance(columns[field.name].type, JSON)
            row[field.name] = codec.encode(value) if is_json else value
    return row


def from_row(cls: type[R], row: Mapping[str, Any], fixed_ips: tuple[FixedIp, ...] = ()) -> R:
    """The resource that a row stands for."""
    values = {k: _FROM_JSON[k](v) if k in _FROM_JSON else v for k, v in row.items()}
    if fixed_ips:
        values["fixed_ips"] = fixed_ips
    return cls(**values)
