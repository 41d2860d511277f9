"""The EC2 tree as Nova serves it, versions 1.0 to 2009-04-04, and AWS's paths at `latest`.

Differences from Nova: local-ipv4 is empty if the instance has no IPv4 address, and never the
client's address; each security group is named once; all key pairs are served, not only the first;
later versions of AWS, which cloud-init probes, are served as `latest`.
"""

import re
from datetime import date

from a9fe.metadata import identifiers
from a9fe.metadata.ec2 import aws_paths as ec2_later
from a9fe.metadata.ec2 import identity_paths as ec2_identity
from a9fe.metadata.rendered import text
from a9fe.metadata.table import LATEST, Entry, EntryContext, Family, Placeholder

VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

# Nova's answer for an instance whose root device has no name.
BLOCK_DEVICES = {"ami": "sda1", "root": "/dev/sda1", "ephemeral0": "sda2", "swap": "sda3"}


def canonical(version: str) -> str | None:
    """Return a listed version itself, `latest` for a later date, and None for anything else."""
    if version == LATEST or version in VERSIONS:
        return version
    return LATEST if version > VERSIONS[-1] and _is_date(version) else None


def _is_date(version: str) -> bool:
    if not DATE.fullmatch(version):
        return False
    try:
        date.fromisoformat(version)
    except ValueError:
        return False
    return True


def _hostname(context: EntryContext) -> bytes:
    return text(context.view.hostname)


def _local_ipv4(context: EntryContext) -> bytes:
    return text(next(context.view.all_addresses(4), ""))


def _security_groups(context: EntryContext) -> bytes:
    ids = [id for port in context.view.ports for id in port.security_groups]
    names = (context.view.groups[id] for id in ids if id in context.view.groups)
    return text("\n".join(dict.fromkeys(names)))


def _public_key(context: EntryContext) -> bytes:
    return text(context.view.instance.keypairs[int(context.keys[0])].public_key)


def _key_indexes(context: EntryContext) -> tuple[str, ...]:
    return tuple(str(index) for index in range(len(context.view.instance.keypairs)))


def _key_line(context: EntryContext, index: str) -> str:
    """Return `0=name`. Line breaks and slashes in the name are replaced by underscores."""
    name = context.view.instance.keypairs[int(index)].name
    return f"{index}={''.join(c if c.isprintable() and c != '/' else '_' for c in name)}"


def _device(context: EntryContext) -> bytes:
    return text(BLOCK_DEVICES[context.keys[0]])


ENTRIES = (
    Entry(
        path="meta-data/ami-id",
        since="1.0",
        about="`ami-` and 8 hex digits, from the image's name",
        extract=lambda context: text(identifiers.image_id(context.view.instance)),
    ),
    Entry(
        path="meta-data/ami-launch-index",
        since="1.0",
        about="number within the request that created several instances",
        extract=lambda context: text(context.view.instance.launch_index),
    ),
    Entry(
        path="meta-data/ami-manifest-path",
        since="1.0",
        about="the word FIXME, as in Nova",
        extract=lambda _: b"FIXME",
    ),
    Entry(
        path="meta-data/hostname",
        since="1.0",
        about="host name with dhcp_domain",
        extract=_hostname,
    ),
    Entry(
        path="meta-data/instance-id",
        since="1.0",
        about="`i-` and the instance's number in 8 hex digits",
        extract=lambda context: text(identifiers.instance_id(context.view.instance)),
    ),
    Entry(
        path="meta-data/local-ipv4",
        since="1.0",
        about="first IPv4 address, empty without one",
        extract=_local_ipv4,
    ),
    Entry(
        path="meta-data/public-keys/{index}/openssh-key",
        since="1.0",
        about="a key pair's public key; listed as `0=<name>`",
        extract=_public_key,
    ),
    Entry(
        path="meta-data/reservation-id",
        since="1.0",
        about="`r-` and 8 hex digits",
        extract=lambda context: text(identifiers.reservation_id(context.view.instance)),
    ),
    Entry(
        path="meta-data/security-groups",
        since="1.0",
        about="security groups of the ports, one a line",
        extract=_security_groups,
    ),
    Entry(
        path="meta-data/local-hostname",
        since="2007-01-19",
        about="as hostname",
        extract=_hostname,
    ),
    Entry(
        path="meta-data/public-hostname",
        since="2007-01-19",
        about="as hostname",
        extract=_hostname,
    ),
    Entry(
        path="meta-data/public-ipv4",
        since="2007-01-19",
        about="floating IP: always empty",
        extract=lambda _: b"",
    ),
    Entry(
        path="meta-data/instance-type",
        since="2007-08-29",
        about="flavor",
        extract=lambda context: text(context.view.instance.flavor),
    ),
    Entry(
        path="meta-data/block-device-mapping/{device}",
        since="2007-12-15",
        about="`ami`, `ephemeral0`, `root` and `swap`: Nova's defaults",
        extract=_device,
    ),
    Entry(
        path="meta-data/placement/availability-zone",
        since="2008-02-01",
        about="availability zone",
        extract=lambda context: text(context.view.instance.availability_zone),
    ),
    Entry(
        path="meta-data/instance-action",
        since="2008-09-01",
        about="the word none",
        extract=lambda _: b"none",
    ),
    Entry(
        path="user-data",
        since="1.0",
        about="user data byte for byte; 404 without user data",
        extract=lambda context: context.view.user_data,
        present=lambda context: context.view.has_user_data,
    ),
    *ec2_later.ENTRIES,
    *ec2_identity.ENTRIES,
)

PLACEHOLDERS = {
    **ec2_later.PLACEHOLDERS,
    "{index}": Placeholder(keys=_key_indexes, line=_key_line),
    "{device}": Placeholder(
        keys=lambda _: tuple(sorted(BLOCK_DEVICES)), line=lambda _, device: device
    ),
}

EC2 = Family(
    name="ec2",
    versions=VERSIONS,
    entries=ENTRIES,
    canonical=canonical,
    sort=True,
    placeholders=PLACEHOLDERS,
)
