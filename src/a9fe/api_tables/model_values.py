"""Converters of objects in a body into values of the model, such as host routes and key pairs."""

from collections.abc import Callable, Collection
from typing import Any

from a9fe.api_tables import converters as to
from a9fe.api_tables import schemas
from a9fe.api_tables.converters import Converter
from a9fe.model.errors import InvalidInput
from a9fe.model.resources import AddressPair, AllocationPool, DhcpOption, HostRoute, Keypair
from a9fe.model.rules import addresses as rules
from a9fe.plan.dhcp import dnsmasq_lines


def _object_of(
    build: Callable[..., Any], optional: Collection[str] = (), **members: Converter
) -> Converter:
    """Return a converter of an object with these members and no others, and its schema."""

    def convert(field: str, value: object) -> Any:  # noqa: ANN401 - what build returns
        given = to.only_members(field, value, members, optional)
        return build(**{name: members[name](f"{field}.{name}", given[name]) for name in given})

    taken = {name: schemas.taken_by(member) for name, member in members.items()}
    return schemas.described(convert, schemas.members(tuple(optional), **taken))


allocation_pool = _object_of(AllocationPool, start=rules.address, end=rules.address)
host_route = _object_of(HostRoute, destination=rules.cidr, nexthop=rules.address)
address_pair = _object_of(
    AddressPair, ("mac_address",), ip_address=to.address_or_cidr, mac_address=rules.mac
)
keypair = _object_of(
    Keypair,
    ("type",),
    name=to.one_line(minimum=1),
    public_key=to.string(to.PUBLIC_KEY_MAX, minimum=1),
    type=to.choice("ssh", "x509"),
)

_FORMS = {
    "opt_name": (dnsmasq_lines.NAME, dnsmasq_lines.NAME_EXPECTED),
    "opt_value": (dnsmasq_lines.VALUE, dnsmasq_lines.VALUE_EXPECTED),
}
_OPTION = _object_of(
    dict,
    ("ip_version",),
    opt_name=to.string(64, minimum=1),
    opt_value=to.nullable(to.string()),
    ip_version=to.integer(4, 6),
)


def dhcp_option(field: str, value: object) -> DhcpOption | str:
    """Read {"opt_name", "opt_value", "ip_version"}; the name alone if the value is null.

    Name and value must fit a line of dnsmasq's options file, which they are written to.
    """
    given: dict[str, Any] = _OPTION(field, value)
    for name, (form, expected) in _FORMS.items():
        if not form.fullmatch(given[name] or "x"):
            raise InvalidInput(f"{field}.{name}", given[name], expected)
    removed: str = given["opt_name"]
    return removed if given["opt_value"] is None else DhcpOption(**given)


schemas.described(
    dhcp_option,
    schemas.members(
        optional=("ip_version",),
        opt_name=schemas.text_of(64, pattern=f"^{dnsmasq_lines.NAME.pattern}$"),
        opt_value={
            "type": ["string", "null"],
            "maxLength": to.NAME_MAX,
            "pattern": f"^{dnsmasq_lines.VALUE.pattern}$",
        },
        ip_version={"type": "integer", "enum": [4, 6]},
    ),
)
