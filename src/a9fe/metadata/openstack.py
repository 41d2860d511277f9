"""The OpenStack tree, as Nova serves it: versions 2012-08-10 to 2025-04-04.

Unlike Nova: all key pairs are served, not only the first; a version is never hidden because the
host's clock is behind its date.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass

from a9fe.metadata.network_data import network_data
from a9fe.metadata.rendered import JSON, Json, document
from a9fe.metadata.table import LATEST, Asked, Entry, Family
from a9fe.metadata.view import InstanceView

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
    extract: Callable[[InstanceView], Json]
    present: Callable[[InstanceView], bool] = lambda _: True


def _random_seed(view: InstanceView) -> Json:
    return base64.b64encode(view.random_bytes(RANDOM_SEED_BYTES)).decode("ascii")


def _has_keypair(view: InstanceView) -> bool:
    return bool(view.instance.keypairs)


def _keys(view: InstanceView) -> Json:
    return [{"name": k.name, "type": k.type, "data": k.public_key} for k in view.instance.keypairs]


META_DATA = (
    Key(
        name="uuid",
        since="2012-08-10",
        about="the instance's id",
        extract=lambda view: view.instance.id,
    ),
    Key(
        name="name",
        since="2012-08-10",
        about="the name it was given",
        extract=lambda view: view.instance.name,
    ),
    Key(
        name="hostname",
        since="2012-08-10",
        about="host name with dhcp_domain",
        extract=lambda view: view.hostname,
    ),
    Key(
        name="launch_index",
        since="2012-08-10",
        about="number within the request that made several instances",
        extract=lambda view: view.instance.launch_index,
    ),
    Key(
        name="availability_zone",
        since="2012-08-10",
        about="availability zone",
        extract=lambda view: view.instance.availability_zone,
    ),
    Key(
        name="meta",
        since="2012-08-10",
        about="what the owner set; absent if nothing",
        extract=lambda view: view.instance.metadata,
        present=lambda view: bool(view.instance.metadata),
    ),
    Key(
        name="public_keys",
        since="2012-08-10",
        about="name to public key; absent without keys",
        extract=lambda view: {k.name: k.public_key for k in view.instance.keypairs},
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
        name="random_seed",
        since="2013-04-04",
        about="512 random bytes in base64, others at each request",
        extract=_random_seed,
    ),
    Key(
        name="project_id",
        since="2015-10-15",
        about="the instance's project",
        extract=lambda view: view.instance.project_id,
    ),
    Key(
        name="devices",
        since="2016-06-30",
        about="tagged devices: an empty list",
        extract=lambda _: [],
    ),
    Key(
        name="dedicated_cpus",
        since="2020-10-14",
        about="pinned CPUs: an empty list",
        extract=lambda _: [],
    ),
)


def meta_data(view: InstanceView, version: str) -> dict[str, Json]:
    """meta_data.json at `version`."""
    return {
        key.name: key.extract(view)
        for key in META_DATA
        if key.since <= version and key.present(view)
    }


def _has_user_data(asked: Asked) -> bool:
    return asked.view.instance.user_data is not None


ENTRIES = (
    Entry(
        path="meta_data.json",
        since="2012-08-10",
        about="the instance: see the table of its keys",
        extract=lambda asked: document(meta_data(asked.view, asked.version)),
        content_type=JSON,
    ),
    Entry(
        path="user_data",
        since="2012-08-10",
        about="user data byte for byte; 404 if none was given",
        extract=lambda asked: asked.view.instance.user_data or b"",
        present=_has_user_data,
    ),
    Entry(
        path="vendor_data.json",
        since="2013-10-17",
        about="content of vendordata_jsonfile_path, `{}` without",
        extract=lambda asked: document(asked.view.settings.vendordata),
        content_type=JSON,
    ),
    Entry(
        path="network_data.json",
        since="2012-08-10",
        listed_since="2015-10-15",
        about="links, networks and DNS servers of the ports",
        extract=lambda asked: document(network_data(asked.view)),
    ),
    Entry(
        path="vendor_data2.json",
        since="2016-10-06",
        about="the same content under the key `static`",
        extract=lambda asked: document({"static": asked.view.settings.vendordata}),
        content_type=JSON,
    ),
)

OPENSTACK = Family(
    name="openstack",
    versions=VERSIONS,
    entries=ENTRIES,
    canonical=canonical,
    sort=False,
)
