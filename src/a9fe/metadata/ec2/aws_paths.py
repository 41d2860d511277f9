"""AWS's paths of later versions than Nova's: network cards, tags, events; at `latest` only.

A path without a value is not listed. Ids have AWS's form and begin with the digits of ours. A tag
whose key cannot be a path segment is left out here (unlike on AWS) and is in meta_data.json.
"""

import re
from collections.abc import Callable, Iterable

from a9fe.metadata import identifiers
from a9fe.metadata.ec2.events import history, scheduled
from a9fe.metadata.rendered import document, text
from a9fe.metadata.table import LATEST, Entry, EntryContext, Placeholder
from a9fe.model.resources import Port, Subnet

CARDS = "meta-data/network/interfaces/macs/{mac}"

# AWS's rule for keys of tags, but without `=`: crawlers read `a=b` as a line of public-keys.
TAG_KEY = re.compile(r"(?!\.{1,2}\Z|_index\Z)[A-Za-z0-9+\-.,_:@]{1,255}")


def tag_keys(context: EntryContext) -> tuple[str, ...]:
    """Return the keys of the instance's metadata that can be path segments, sorted."""
    return tuple(sorted(key for key in context.view.instance.metadata if TAG_KEY.fullmatch(key)))


def macs(context: EntryContext) -> tuple[str, ...]:
    """Return the MACs of the ports, sorted, each once."""
    return tuple(sorted({port.mac_address for port in context.view.ports}))


def _card(context: EntryContext) -> Port:
    return next(port for port in context.view.ports if port.mac_address == context.keys[0])


def _subnets(context: EntryContext, version: int) -> tuple[Subnet, ...]:
    """Return the subnets of the card's addresses, in order, each once."""
    found = [subnet for _, subnet in context.view.addresses(_card(context), version)]
    return tuple({subnet.id: subnet for subnet in found}.values())


def _addresses(context: EntryContext, version: int) -> list[str]:
    return [address for address, _ in context.view.addresses(_card(context), version)]


def _groups(context: EntryContext) -> Iterable[str]:
    names = (context.view.groups.get(id) for id in _card(context).security_groups)
    return dict.fromkeys(name for name in names if name)


def _card_entry(
    name: str, about: str, values: Callable[[EntryContext], Iterable[object]]
) -> Entry:
    """Return a leaf of a card with a line for each value; it is absent without values."""
    return Entry(
        path=f"{CARDS}/{name}",
        since=LATEST,
        about=about,
        extract=lambda context: text("\n".join(str(value) for value in values(context))),
        present=lambda context: any(True for _ in values(context)),
    )


def _number(context: EntryContext) -> list[object]:
    return [context.view.ports.index(_card(context))]


CARD_ENTRIES = (
    _card_entry("device-number", "number of the card, from 0", _number),
    _card_entry(
        "interface-id",
        "`eni-` and the first 17 digits of the port's id",
        lambda context: [identifiers.ec2_id("eni", _card(context).id)],
    ),
    _card_entry("ipv6s", "IPv6 addresses, one a line", lambda context: _addresses(context, 6)),
    _card_entry("local-hostname", "as hostname", lambda context: [context.view.hostname]),
    _card_entry(
        "local-ipv4s", "IPv4 addresses, one a line", lambda context: _addresses(context, 4)
    ),
    _card_entry("mac", "the card's MAC", lambda context: context.keys),
    _card_entry(
        "owner-id",
        "the instance's project",
        lambda context: filter(None, [context.view.instance.project_id]),
    ),
    _card_entry("security-groups", "names, one a line", _groups),
    _card_entry(
        "security-group-ids",
        "`sg-` and the first 17 digits of each id",
        lambda context: [identifiers.ec2_id("sg", id) for id in _card(context).security_groups],
    ),
    _card_entry(
        "subnet-id",
        "`subnet-` and the first 17 digits of the id of the first subnet",
        lambda context: [
            identifiers.ec2_id("subnet", subnet.id)
            for subnet in (_subnets(context, 4) + _subnets(context, 6))[:1]
        ],
    ),
    _card_entry(
        "subnet-ipv4-cidr-block",
        "CIDR of the subnet of the first IPv4 address",
        lambda context: [subnet.cidr for subnet in _subnets(context, 4)[:1]],
    ),
    _card_entry(
        "subnet-ipv6-cidr-blocks",
        "CIDRs of the subnets of the IPv6 addresses, one a line",
        lambda context: [subnet.cidr for subnet in _subnets(context, 6)],
    ),
    _card_entry(
        "vpc-id",
        "`vpc-` and the first 17 digits of the network's id",
        lambda context: [identifiers.ec2_id("vpc", _card(context).network_id)],
    ),
)


def _first_mac(context: EntryContext) -> str:
    return next((port.mac_address for port in context.view.ports), "")


def _entry(path: str, about: str, value: Callable[[EntryContext], str]) -> Entry:
    return Entry(
        path=f"meta-data/{path}",
        since=LATEST,
        about=about,
        extract=lambda context: text(value(context)),
        present=lambda context: bool(value(context)),
    )


ENTRIES = (
    Entry(
        path="meta-data/events/maintenance/history",
        since=LATEST,
        about="JSON: completed and canceled events",
        extract=lambda context: document(history(context.view.instance.events)),
        structured=True,
    ),
    Entry(
        path="meta-data/events/maintenance/scheduled",
        since=LATEST,
        about="JSON: events to come, with Code, EventId, State and times in EC2's form",
        extract=lambda context: document(scheduled(context.view.instance.events)),
        structured=True,
    ),
    _entry("ipv6", "first IPv6 address", lambda context: next(context.view.all_addresses(6), "")),
    _entry("mac", "MAC of the first card", _first_mac),
    *CARD_ENTRIES,
    _entry("placement/region", "region_name", lambda context: context.view.settings.region),
    Entry(
        path="meta-data/tags/instance/{tag}",
        since=LATEST,
        about="the owner's metadata by key, without keys that cannot be path segments",
        extract=lambda context: text(context.view.instance.metadata[context.keys[0]]),
    ),
)

PLACEHOLDERS = {
    "{mac}": Placeholder(keys=macs, line=lambda _, mac: f"{mac}/"),
    "{tag}": Placeholder(keys=tag_keys, line=lambda _, key: key),
}
