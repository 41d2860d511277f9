"""The OpenStack tree as Nova serves it: versions 2012-08-10 to 2025-04-04.

Differences from Nova: all key pairs are served, not only the first; no version is hidden because
the host's clock is behind its date.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass

from a9fe.metadata.ec2 import guest_leaves
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.openstack import vendordata
from a9fe.metadata.openstack.network_data import network_data
from a9fe.metadata.rendered import HTML, JSON, Json, document, text
from a9fe.metadata.table import LATEST, Entry, EntryContext, Family, Placeholder, always
from a9fe.model import port_order as cards
from a9fe.model.resources import Port

VERSIONS = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "2025-04-04",
)

CONTENT = "content"  # directory of injected files, beside the versions
VF_TRUSTED_SINCE = "2018-08-27"
RANDOM_SEED_BYTES = 512  # as in Nova; new bytes for each request


def canonical(version: str) -> str | None:
    """Return a listed version itself, None for anything else."""
    return version if version == LATEST or version in VERSIONS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaDataKey:
    """A key of meta_data.json, from version `since` on, if `present`."""

    name: str
    since: str
    about: str
    extract: Callable[[EntryContext], Json]
    present: Callable[[EntryContext], bool] = always


def _has_keypair(context: EntryContext) -> bool:
    return bool(context.view.instance.keypairs)


def _keys(context: EntryContext) -> Json:
    keypairs = context.view.instance.keypairs
    return [{"name": k.name, "type": k.type, "data": k.public_key} for k in keypairs]


def _files(context: EntryContext) -> Json:
    files = context.view.instance.files
    return [
        {"content_path": content_path(number), "path": file.path}
        for number, file in enumerate(files)
    ]


def content_path(number: int) -> str:
    """Return the path of an injected file's content, below /openstack (Nova)."""
    return f"/{CONTENT}/{number:04d}"


def _devices(context: EntryContext) -> Json:
    """Return the network cards with a tag. Only a hypervisor has their buses and addresses."""
    tags = cards.tags(context.view.instance)
    return [_card(port, tags[port.id], context) for port in context.view.ports if port.id in tags]


def _card(port: Port, tag: str, context: EntryContext) -> Json:
    card: dict[str, Json] = {
        "type": "nic",
        "bus": "none",
        "address": "none",
        "mac": port.mac_address,
        "tags": [tag],
    }
    return card | {"vf_trusted": False} if context.version >= VF_TRUSTED_SINCE else card


META_DATA = (
    MetaDataKey(
        name="uuid",
        since="2012-08-10",
        about="the instance's id",
        extract=lambda context: context.view.instance.id,
    ),
    MetaDataKey(
        name="name",
        since="2012-08-10",
        about="the instance's name",
        extract=lambda context: context.view.instance.name,
    ),
    MetaDataKey(
        name="hostname",
        since="2012-08-10",
        about="host name with dhcp_domain",
        extract=lambda context: context.view.hostname,
    ),
    MetaDataKey(
        name="launch_index",
        since="2012-08-10",
        about="number within the request that created several instances",
        extract=lambda context: context.view.instance.launch_index,
    ),
    MetaDataKey(
        name="availability_zone",
        since="2012-08-10",
        about="availability zone",
        extract=lambda context: context.view.instance.availability_zone,
    ),
    MetaDataKey(
        name="meta",
        since="2012-08-10",
        about="the owner's metadata; absent without any",
        extract=lambda context: context.view.instance.metadata,
        present=lambda context: bool(context.view.instance.metadata),
    ),
    MetaDataKey(
        name="files",
        since="2012-08-10",
        about="list of path, content_path of injected files; absent without any",
        extract=_files,
        present=lambda context: bool(context.view.instance.files),
    ),
    MetaDataKey(
        name="public_keys",
        since="2012-08-10",
        about="name to public key; absent without keys",
        extract=lambda context: {k.name: k.public_key for k in context.view.instance.keypairs},
        present=_has_keypair,
    ),
    MetaDataKey(
        name="keys",
        since="2012-08-10",
        about="list of name, type, data; absent without keys",
        extract=_keys,
        present=_has_keypair,
    ),
    MetaDataKey(
        name="project_id",
        since="2015-10-15",
        about="the instance's project",
        extract=lambda context: context.view.instance.project_id,
    ),
    MetaDataKey(
        name="devices",
        since="2016-06-30",
        about="network cards that have a tag; vf_trusted from 2018-08-27 on",
        extract=_devices,
    ),
    MetaDataKey(
        name="dedicated_cpus",
        since="2020-10-14",
        about="pinned CPUs: an empty list",
        extract=lambda _: [],
    ),
)


SEED = MetaDataKey(
    name="random_seed",
    since="2013-04-04",
    about="512 random bytes in base64, new for each request; not in the ETag",
    extract=lambda context: _random_seed(context.view),
)


def _random_seed(view: InstanceView) -> str:
    return base64.b64encode(view.random_bytes(RANDOM_SEED_BYTES)).decode("ascii")


def meta_data(view: InstanceView, version: str) -> dict[str, Json]:
    """Return meta_data.json at `version`."""
    context = EntryContext(view=view, version=version)
    seed = {SEED.name: SEED.extract(context)} if SEED.since <= version else {}
    return {**_unseeded(context), **seed}


def _unseeded(context: EntryContext) -> dict[str, Json]:
    return {
        key.name: key.extract(context)
        for key in META_DATA
        if key.since <= context.version and key.present(context)
    }


def _seeded(context: EntryContext, unseeded: bytes) -> bytes:
    """Return the document with the seed as its last key."""
    if SEED.since > context.version:
        return unseeded
    seed = _random_seed(context.view).encode("ascii")
    return b'%b, "random_seed": "%b"}' % (unseeded[:-1], seed)


def _file_numbers(context: EntryContext) -> tuple[str, ...]:
    return tuple(f"{number:04d}" for number in range(len(context.view.instance.files)))


def _vendor_data2(view: InstanceView) -> dict[str, Json]:
    settings = view.settings
    static = {vendordata.STATIC: settings.vendordata} if settings.static_vendordata else {}
    return {**static, **view.dynamic_vendordata}


ENTRIES = (
    Entry(
        path="meta_data.json",
        since="2012-08-10",
        about="the instance: see the table of its keys",
        extract=lambda context: document(_unseeded(context)),
        finish=_seeded,
        content_type=JSON,
    ),
    Entry(
        path="user_data",
        since="2012-08-10",
        about="user data byte for byte; 404 without user data",
        extract=lambda context: context.view.user_data,
        present=lambda context: context.view.has_user_data,
    ),
    Entry(
        path="password",
        since="2013-04-04",
        about="password that the guest has posted, encrypted; empty before",
        extract=lambda context: text(context.view.instance.password),
        content_type=HTML,
    ),
    Entry(
        path="vendor_data.json",
        since="2013-10-17",
        about="content of vendordata_jsonfile_path, `{}` without",
        extract=lambda context: document(context.view.settings.vendordata),
        present=lambda context: context.view.settings.static_vendordata,
        content_type=JSON,
    ),
    Entry(
        path="network_data.json",
        since="2012-08-10",
        listed_since="2015-10-15",
        about="links, networks and DNS servers of the ports",
        extract=lambda context: document(network_data(context.view)),
        structured=True,
    ),
    Entry(
        path="vendor_data2.json",
        since="2016-10-06",
        about="the same content under the key `static`, and each provider's answer under its name",
        extract=lambda context: document(_vendor_data2(context.view)),
        content_type=JSON,
        needs=vendordata.NEED,
    ),
    *guest_leaves.ENTRIES,
)

OPENSTACK = Family(
    name="openstack",
    versions=VERSIONS,
    entries=ENTRIES,
    canonical=canonical,
    sort=False,
    placeholders={
        **guest_leaves.PLACEHOLDERS,
        "{file}": Placeholder(keys=_file_numbers, line=lambda _, number: number),
    },
    unversioned=(
        Entry(
            path=f"{CONTENT}/{{file}}",
            since="2012-08-10",
            about="an injected file byte for byte, by the content_path of meta_data.json",
            extract=lambda context: context.view.instance.files[int(context.keys[0])].content,
        ),
    ),
)
