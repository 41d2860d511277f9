"""What AWS has at later versions than Nova: network cards, tags, events; listed at `latest` only.

Only what has a value is listed. Ids have AWS's form, and begin with the digits of ours. Unlike on
AWS a tag whose key cannot be a path segment is left out here, and stays in meta_data.json.
"""

import re
from collections.abc import Callable, Iterable

from a9fe.metadata import identifiers
from a9fe.metadata.ec2.events import history, scheduled
from a9fe.metadata.rendered import document, text
from a9fe.metadata.table import LATEST, Asked, Entry, Placeholder
from a9fe.model.resources import Port, Subnet

CARDS = "meta-data/network/interfaces/macs/{mac}"

# AWS's rule for keys of tags, without `=`: crawlers take `a=b` for the line of a key pair.
TAG_KEY = re.compile(r"(?!\.{1,2}\Z|_index\Z)[A-Za-z0-9+\-.,_:@]{1,255}")


def tag_keys(asked: Asked) -> tuple[str, ...]:
    """The keys of the instance's metadata that can be paths, sorted."""
    return tuple(sorted(key for key in asked.view.instance.metadata if TAG_KEY.fullmatch(key)))


def macs(asked: Asked) -> tuple[str, ...]:
    """The MACs of the ports, sorted, each once."""
    return tuple(sorted({port.mac_address for port in asked.view.ports}))


def _card(asked: Asked) -> Port:
    return next(port for port in asked.view.ports if port.mac_address == asked.keys[0])


def _subnets(asked: Asked, version: int) -> tuple[Subnet, ...]:
    """The subnets of the card's addresses, in order, each once."""
    found = [subnet for _, subnet in asked.view.addresses(_card(asked), version)]
    return tuple({subnet.id: subnet for subnet in found}.values())


def _addresses(asked: Asked, version: int) -> list[str]:
    return [address for address, _ in asked.view.addresses(_card(asked), version)]


def _groups(asked: Asked) -> Iterable[str]:
    names = (asked.view.groups.get(id) for id in _card(asked).security_groups)
    return dict.fromkeys(name for name in names if name)


def _card_entry(name: str, about: str, values: Callable[[Asked], Iterable[object]]) -> Entry:
    """A leaf of a card with one line for each value; not there without any."""
    return Entry(
        path=f"{CARDS}/{name}",
        since=LATEST,
        about=about,
        extract=lambda asked: text("\n".join(str(value) for value in values(asked))),
        present=lambda asked: any(True for _ in values(asked)),
    )


def _number(asked: Asked) -> list[object]:
    return [asked.view.ports.index(_card(asked))]


CARD_ENTRIES = (
    _card_entry("device-number", "number of the card, from 0", _number),
    _card_entry(
        "interface-id",
        "`eni-` and the first 17 digits of the port's id",
        lambda asked: [identifiers.ec2_id("eni", _card(asked).id)],
    ),
    _card_entry("ipv6s", "IPv6 addresses, one a line", lambda asked: _addresses(asked, 6)),
    _card_entry("local-hostname", "as hostname", lambda asked: [asked.view.hostname]),
    _card_entry("local-ipv4s", "IPv4 addresses, one a line", lambda asked: _addresses(asked, 4)),
    _card_entry("mac", "the card's MAC", lambda asked: asked.keys),
    _card_entry(
        "owner-id",
        "the instance's project",
        lambda asked: filter(None, [asked.view.instance.project_id]),
    ),
    _card_entry("security-groups", "names, one a line", _groups),
    _card_entry(
        "security-group-ids",
        "`sg-` and the first 17 digits of each id",
        lambda asked: [identifiers.ec2_id("sg", id) for id in _card(asked).security_groups],
    ),
    _card_entry(
        "subnet-id",
        "`subnet-` and the first 17 digits of the id of the first subnet",
        lambda asked: [
            identifiers.ec2_id("subnet", subnet.id)
            for subnet in (_subnets(asked, 4) + _subnets(asked, 6))[:1]
        ],
    ),
    _card_entry(
        "subnet-ipv4-cidr-block",
        "of the first IPv4 address",
        lambda asked: [subnet.cidr for subnet in _subnets(asked, 4)[:1]],
    ),
    _card_entry(
        "subnet-ipv6-cidr-blocks",
        "of the IPv6 addresses, one a line",
        lambda asked: [subnet.cidr for subnet in _subnets(asked, 6)],
    ),
    _card_entry(
        "vpc-id",
        "`vpc-` and the first 17 digits of the network's id",
        lambda asked: [identifiers.ec2_id("vpc", _card(asked).network_id)],
    ),
)


def _first_mac(asked: Asked) -> str:
    return next((port.mac_address for port in asked.view.ports), "")


def _entry(path: str, about: str, value: Callable[[Asked], str]) -> Entry:
    return Entry(
        path=f"meta-data/{path}",
        since=LATEST,
        about=about,
        extract=lambda asked: text(value(asked)),
        present=lambda asked: bool(value(asked)),
    )


ENTRIES = (
    Entry(
        path="meta-data/events/maintenance/history",
        since=LATEST,
        about="JSON: events that are over or were taken back",
        extract=lambda asked: document(history(asked.view.instance.events)),
        structured=True,
    ),
    Entry(
        path="meta-data/events/maintenance/scheduled",
        since=LATEST,
        about="JSON: maintenance to come, with Code, EventId, State and times as EC2's",
        extract=lambda asked: document(scheduled(asked.view.instance.events)),
        structured=True,
    ),
    _entry("ipv6", "first IPv6 address", lambda asked: next(asked.view.all_addresses(6), "")),
    _entry("mac", "MAC of the first card", _first_mac),
    *CARD_ENTRIES,
    _entry("placement/region", "region_name", lambda asked: asked.view.settings.region),
    Entry(
        path="meta-data/tags/instance/{tag}",
        since=LATEST,
        about="the owner's metadata by key; keys that cannot stand in a path are left out",
        extract=lambda asked: text(asked.view.instance.metadata[asked.keys[0]]),
    ),
)

PLACEHOLDERS = {
    "{mac}": Placeholder(keys=macs, line=lambda _, mac: f"{mac}/"),
    "{tag}": Placeholder(keys=tag_keys, line=lambda _, key: key),
}
