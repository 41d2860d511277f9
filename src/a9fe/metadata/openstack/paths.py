"""The OpenStack tree, as Nova serves it: versions 2012-08-10 to 2025-04-04.

Unlike Nova: all key pairs are served, not only the first; a version is never hidden because the
host's clock is behind its date.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass

from a9fe.metadata.ec2 import guest_leaves as written
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.openstack import vendordata
from a9fe.metadata.openstack.network_data import network_data
from a9fe.metadata.rendered import HTML, JSON, Json, document, text
from a9fe.metadata.table import LATEST, Asked, Entry, Family, Placeholder, always
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

CONTENT = "content"  # where injected files are, beside the versions
VF_TRUSTED_SINCE = "2018-08-27"
RANDOM_SEED_BYTES = 512  # as Nova: one pool of the kernel's generator, fresh at each request


def canonical(version: str) -> str | None:
    """The versions listed, and no others."""
    return version if version == LATEST or version in VERSIONS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of meta_data.json: there from version `since` on, where `present` holds."""

    name: str
    since: str
    about: str
    extract: Callable[[Asked], Json]
    present: Callable[[Asked], bool] = always


def _has_keypair(asked: Asked) -> bool:
    return bool(asked.view.instance.keypairs)


def _keys(asked: Asked) -> Json:
    keypairs = asked.view.instance.keypairs
    return [{"name": k.name, "type": k.type, "data": k.public_key} for k in keypairs]


def _files(asked: Asked) -> Json:
    files = asked.view.instance.files
    return [
        {"content_path": content_path(number), "path": file.path}
        for number, file in enumerate(files)
    ]


def content_path(number: int) -> str:
    """Where the content of an injected file is, below the tree's name (Nova)."""
    return f"/{CONTENT}/{number:04d}"


def _devices(asked: Asked) -> Json:
    """Network cards that have a tag. Nova's buses and addresses are the hypervisor's to know."""
    tags = cards.tags(asked.view.instance)
    return [_card(port, tags[port.id], asked) for port in asked.view.ports if port.id in tags]


def _card(port: Port, tag: str, asked: Asked) -> Json:
    card: dict[str, Json] = {
        "type": "nic",
        "bus": "none",
        "address": "none",
        "mac": port.mac_address,
        "tags": [tag],
    }
    return card | {"vf_trusted": False} if asked.version >= VF_TRUSTED_SINCE else card


META_DATA = (
    Key(
        name="uuid",
        since="2012-08-10",
        about="the instance's id",
        extract=lambda asked: asked.view.instance.id,
    ),
    Key(
        name="name",
        since="2012-08-10",
        about="the name it was given",
        extract=lambda asked: asked.view.instance.name,
    ),
    Key(
        name="hostname",
        since="2012-08-10",
        about="host name with dhcp_domain",
        extract=lambda asked: asked.view.hostname,
    ),
    Key(
        name="launch_index",
        since="2012-08-10",
        about="number within the request that made several instances",
        extract=lambda asked: asked.view.instance.launch_index,
    ),
    Key(
        name="availability_zone",
        since="2012-08-10",
        about="availability zone",
        extract=lambda asked: asked.view.instance.availability_zone,
    ),
    Key(
        name="meta",
        since="2012-08-10",
        about="what the owner set; absent if nothing",
        extract=lambda asked: asked.view.instance.metadata,
        present=lambda asked: bool(asked.view.instance.metadata),
    ),
    Key(
        name="files",
        since="2012-08-10",
        about="list of path, content_path of injected files; absent without",
        extract=_files,
        present=lambda asked: bool(asked.view.instance.files),
    ),
    Key(
        name="public_keys",
        since="2012-08-10",
        about="name to public key; absent without keys",
        extract=lambda asked: {k.name: k.public_key for k in asked.view.instance.keypairs},
        present=_has_keypair,
    ),
    Key(
        name="keys",
        since="2012-08-10",
        about="list of name, type, data; absent without keys",
        extract=_keys,
        present=_has_keypair,
    ),
    Key(
        name="project_id",
        since="2015-10-15",
        about="the instance's project",
        extract=lambda asked: asked.view.instance.project_id,
    ),
    Key(
        name="devices",
        since="2016-06-30",
        about="network cards that have a tag; vf_trusted from 2018-08-27 on",
        extract=_devices,
    ),
    Key(
        name="dedicated_cpus",
        since="2020-10-14",
        about="pinned CPUs: an empty list",
        extract=lambda _: [],
    ),
)


SEED = Key(
    name="random_seed",
    since="2013-04-04",
    about="512 random bytes in base64, others at each request; no part of the ETag",
    extract=lambda asked: _random_seed(asked.view),
)


def _random_seed(view: InstanceView) -> str:
    return base64.b64encode(view.random_bytes(RANDOM_SEED_BYTES)).decode("ascii")


def meta_data(view: InstanceView, version: str) -> dict[str, Json]:
    """meta_data.json at `version`."""
    asked = Asked(view=view, version=version)
    seed = {SEED.name: SEED.extract(asked)} if SEED.since <= version else {}
    return {**_unseeded(asked), **seed}


def _unseeded(asked: Asked) -> dict[str, Json]:
    return {
        key.name: key.extract(asked)
        for key in META_DATA
        if key.since <= asked.version and key.present(asked)
    }


def _seeded(asked: Asked, unseeded: bytes) -> bytes:
    """The document with the seed as its last key."""
    if SEED.since > asked.version:
        return unseeded
    seed = _random_seed(asked.view).encode("ascii")
    return b'%b, "random_seed": "%b"}' % (unseeded[:-1], seed)


def _file_numbers(asked: Asked) -> tuple[str, ...]:
    return tuple(f"{number:04d}" for number in range(len(asked.view.instance.files)))


def _vendor_data2(view: InstanceView) -> dict[str, Json]:
    settings = view.settings
    static = {vendordata.STATIC: settings.vendordata} if settings.static_vendordata else {}
    return {**static, **view.dynamic_vendordata}


ENTRIES = (
    Entry(
        path="meta_data.json",
        since="2012-08-10",
        about="the instance: see the table of its keys",
        extract=lambda asked: document(_unseeded(asked)),
        finish=_seeded,
        content_type=JSON,
    ),
    Entry(
        path="user_data",
        since="2012-08-10",
        about="user data byte for byte; 404 if none was given",
        extract=lambda asked: asked.view.user_data,
        present=lambda asked: asked.view.has_user_data,
    ),
    Entry(
        path="password",
        since="2013-04-04",
        about="password that the guest has posted, encrypted by it; empty before",
        extract=lambda asked: text(asked.view.instance.password),
        content_type=HTML,
    ),
    Entry(
        path="vendor_data.json",
        since="2013-10-17",
        about="content of vendordata_jsonfile_path, `{}` without",
        extract=lambda asked: document(asked.view.settings.vendordata),
        present=lambda asked: asked.view.settings.static_vendordata,
        content_type=JSON,
    ),
    Entry(
        path="network_data.json",
        since="2012-08-10",
        listed_since="2015-10-15",
        about="links, networks and DNS servers of the ports",
        extract=lambda asked: document(network_data(asked.view)),
        structured=True,
    ),
    Entry(
        path="vendor_data2.json",
        since="2016-10-06",
        about="the same content under the key `static`, and each provider's answer under its name",
        extract=lambda asked: document(_vendor_data2(asked.view)),
        content_type=JSON,
        needs=vendordata.NEED,
    ),
    *written.ENTRIES,
)

OPENSTACK = Family(
    name="openstack",
    versions=VERSIONS,
    entries=ENTRIES,
    canonical=canonical,
    sort=False,
    placeholders={
        **written.PLACEHOLDERS,
        "{file}": Placeholder(keys=_file_numbers, line=lambda _, number: number),
    },
    beside=(
        Entry(
            path=f"{CONTENT}/{{file}}",
            since="2012-08-10",
            about="an injected file byte for byte, by the content_path of meta_data.json",
            extract=lambda asked: asked.view.instance.files[int(asked.keys[0])].content,
        ),
    ),
)
