"""The fields of Nova's answers: one row for each field, with the microversions that have it.

A server is the record of a VM; its status is ACTIVE until it is deleted.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from a9fe.metadata import identifiers
from a9fe.model.compute import Flavor, KeypairRecord
from a9fe.model.resources import Instance, Port
from a9fe.model.rules.public_keys import fingerprint
from a9fe.operations.instances.instances import host_of
from a9fe.operations.transaction import Json
from a9fe.server.nova.microversion import MOST

R = TypeVar("R", Flavor, KeypairRecord)

RUNNING = 1  # Nova's power_state
HOSTNAME_FOR_ALL = 90  # first microversion in which members see a server's host name
EMBEDDED_FLAVOR = 47  # first microversion with the flavor's sizes instead of its id


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerView:
    """The values of a server's answer.

    `version` is the microversion, `base` the API's root URL, `is_admin` whether the caller is an
    admin; `networks` and `groups` are names by id.
    """

    instance: Instance
    version: int
    base: str
    is_admin: bool = False
    ports: tuple[Port, ...] = ()
    networks: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    flavor: Flavor | None = None

    @property
    def host(self) -> str:
        """The host of the server's first bound port, or ""."""
        return host_of(self.ports)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordView(Generic[R]):
    """The values of a flavor's or key pair's answer; see ServerView."""

    record: R
    version: int
    base: str


class View(Protocol):
    """The values of an answer."""

    @property
    def version(self) -> int:
        """The microversion."""


V = TypeVar("V", bound=View)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Generic[V]):
    """One field of an answer in microversions 2.`since` to 2.`until`, if `present` holds.

    `schema` is a JSON Schema; {} allows any value.
    """

    name: str
    show: Callable[[V], object]
    schema: Mapping[str, object] = field(default_factory=dict)
    since: int = 1
    until: int = MOST
    present: Callable[[V], bool] = lambda _: True


def render(fields: Iterable[Field[V]], view: V) -> Json:
    """Return the answer for a view."""
    return {
        row.name: row.show(view)
        for row in fields
        if row.since <= view.version <= row.until and row.present(view)
    }


TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
FLAG = {"type": "boolean"}
NULL = {"type": "null"}
LIST = {"type": "array"}
MAP = {"type": "object"}
MAYBE_TEXT = {"type": ["string", "null"]}


def _links(kind: str, id: str, base: str) -> list[Json]:
    return [
        {"rel": "self", "href": f"{base}/v2.1/{kind}/{id}"},
        {"rel": "bookmark", "href": f"{base}/{kind}/{id}"},
    ]


def _bookmark(kind: str, id: str, base: str) -> Json:
    return {"id": id, "links": _links(kind, id, base)[1:]}


def _server_links(view: ServerView) -> list[Json]:
    return _links("servers", view.instance.id, view.base)


def _image(view: ServerView) -> object:
    """Return the image's id, or its name if it is not a record, or "" without an image."""
    id = view.instance.image_id or view.instance.image
    return _bookmark("images", id, view.base) if id else ""


def _flavor(view: ServerView) -> Json:
    instance, flavor = view.instance, view.flavor or Flavor(id="", name="", vcpus=0, ram=0)
    if view.version < EMBEDDED_FLAVOR:
        return _bookmark("flavors", instance.flavor_id or flavor.id, view.base)
    return {
        "original_name": instance.flavor,
        "vcpus": flavor.vcpus,
        "ram": flavor.ram,
        "disk": flavor.disk,
        "ephemeral": flavor.ephemeral,
        "swap": flavor.swap,
        "extra_specs": flavor.extra_specs,
    }


def addresses(view: ServerView) -> dict[str, list[Json]]:
    """Return the fixed IPs of the ports by network name."""
    found: dict[str, list[Json]] = {}
    for port in view.ports:
        network = view.networks.get(port.network_id) or port.network_id
        for fixed in port.fixed_ips:
            found.setdefault(network, []).append(
                {
                    "version": 6 if ":" in fixed.ip_address else 4,
                    "addr": fixed.ip_address,
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": port.mac_address,
                }
            )
    return found


def _groups(view: ServerView) -> list[Json]:
    ids = dict.fromkeys(id for port in view.ports for id in port.security_groups)
    return [{"name": view.groups.get(id, id)} for id in ids]


def _host_id(view: ServerView) -> str:
    """Return a hash that is equal for a project's servers on one host and reveals neither."""
    if not view.host:
        return ""
    text = f"{view.instance.project_id}{view.host}"
    return hashlib.sha224(text.encode("utf-8", "replace")).hexdigest()


def _user_data(view: ServerView) -> str | None:
    content = view.instance.user_data
    return None if content is None else base64.b64encode(content).decode("ascii")


def _key_name(view: ServerView) -> str | None:
    return next((key.name for key in view.instance.keypairs), None)


def _of(name: str) -> Callable[[ServerView], object]:
    return lambda view: getattr(view.instance, name)


def _is(value: object) -> Callable[[object], object]:
    return lambda _: value


def _for_admins(view: ServerView) -> bool:
    return view.is_admin


def _hostname_shown(view: ServerView) -> bool:
    return view.is_admin or view.version >= HOSTNAME_FOR_ALL


SUMMARY: tuple[Field[ServerView], ...] = (
    Field(name="id", show=_of("id"), schema=TEXT),
    Field(name="name", show=_of("name"), schema=TEXT),
    Field(name="links", show=_server_links, schema=LIST),
)
DETAIL: tuple[Field[ServerView], ...] = (
    *SUMMARY,
    Field(name="status", show=_is("ACTIVE"), schema=TEXT),
    Field(name="tenant_id", show=_of("project_id"), schema=TEXT),
    Field(name="user_id", show=_is(""), schema=TEXT),
    Field(name="metadata", show=_of("metadata"), schema=MAP),
    Field(name="hostId", show=_host_id, schema=TEXT),
    Field(name="image", show=_image, schema={"type": ["object", "string"]}),
    Field(name="flavor", show=_flavor, schema=MAP),
    Field(name="created", show=_of("created_at"), schema=TEXT),
    Field(name="updated", show=_of("updated_at"), schema=TEXT),
    Field(name="addresses", show=addresses, schema=MAP),
    Field(name="accessIPv4", show=_is(""), schema=TEXT),
    Field(name="accessIPv6", show=_is(""), schema=TEXT),
    Field(name="progress", show=_is(0), schema=NUMBER),
    Field(name="config_drive", show=_is(""), schema=TEXT),
    Field(name="key_name", show=_key_name, schema=MAYBE_TEXT),
    Field(name="OS-DCF:diskConfig", show=_is("MANUAL"), schema=TEXT),
    Field(name="OS-EXT-AZ:availability_zone", show=_of("availability_zone"), schema=TEXT),
    Field(name="OS-EXT-STS:task_state", show=_is(None), schema=NULL),
    Field(name="OS-EXT-STS:vm_state", show=_is("active"), schema=TEXT),
    Field(name="OS-EXT-STS:power_state", show=_is(RUNNING), schema=NUMBER),
    Field(name="OS-SRV-USG:launched_at", show=_of("created_at"), schema=TEXT),
    Field(name="OS-SRV-USG:terminated_at", show=_is(None), schema=NULL),
    Field(name="os-extended-volumes:volumes_attached", show=_is([]), schema=LIST),
    Field(
        name="OS-EXT-SRV-ATTR:host",
        show=lambda v: v.host or None,
        schema=MAYBE_TEXT,
        present=_for_admins,
    ),
    Field(
        name="OS-EXT-SRV-ATTR:hypervisor_hostname",
        show=lambda view: view.host or None,
        schema=MAYBE_TEXT,
        present=_for_admins,
    ),
    Field(
        name="OS-EXT-SRV-ATTR:instance_name",
        show=lambda view: f"instance-{view.instance.number:08x}",
        schema=TEXT,
        present=_for_admins,
    ),
    Field(
        name="security_groups", show=_groups, schema=LIST, present=lambda view: bool(_groups(view))
    ),
    Field(
        name="OS-EXT-SRV-ATTR:reservation_id",
        show=lambda view: identifiers.reservation_id(view.instance),
        schema=TEXT,
        since=3,
        present=_for_admins,
    ),
    Field(
        name="OS-EXT-SRV-ATTR:launch_index",
        show=_of("launch_index"),
        schema=NUMBER,
        since=3,
        present=_for_admins,
    ),
    Field(
        name="OS-EXT-SRV-ATTR:hostname",
        show=lambda view: identifiers.hostname(view.instance),
        schema=TEXT,
        since=3,
        present=_hostname_shown,
    ),
    Field(
        name="OS-EXT-SRV-ATTR:kernel_id", show=_is(""), schema=TEXT, since=3, present=_for_admins
    ),
    Field(
        name="OS-EXT-SRV-ATTR:ramdisk_id", show=_is(""), schema=TEXT, since=3, present=_for_admins
    ),
    Field(
        name="OS-EXT-SRV-ATTR:root_device_name",
        show=_is("/dev/sda"),
        schema=TEXT,
        since=3,
        present=_for_admins,
    ),
    Field(
        name="OS-EXT-SRV-ATTR:user_data",
        show=_user_data,
        schema=MAYBE_TEXT,
        since=3,
        present=_for_admins,
    ),
    Field(name="locked", show=_is(False), schema=FLAG, since=9),  # noqa: FBT003 - the value
    Field(name="host_status", show=_is("UP"), schema=TEXT, since=16, present=_for_admins),
    Field(
        name="description",
        show=lambda view: view.instance.description or None,
        schema=MAYBE_TEXT,
        since=19,
    ),
    Field(name="tags", show=_is([]), schema=LIST, since=26),
    Field(name="trusted_image_certificates", show=_is(None), schema=NULL, since=63),
    Field(name="server_groups", show=_is([]), schema=LIST, since=71),
    Field(name="locked_reason", show=_is(None), schema=NULL, since=73),
    Field(name="pinned_availability_zone", show=_is(None), schema=NULL, since=96),
)


FlavorView = RecordView[Flavor]
KeypairView = RecordView[KeypairRecord]


def _flavor_links(view: FlavorView) -> list[Json]:
    return _links("flavors", view.record.id, view.base)


def _at(name: str) -> Callable[[FlavorView | KeypairView], object]:
    return lambda view: getattr(view.record, name)


FLAVOR_SUMMARY: tuple[Field[FlavorView], ...] = (
    Field(name="id", show=_at("id"), schema=TEXT),
    Field(name="name", show=_at("name"), schema=TEXT),
    Field(name="links", show=_flavor_links, schema=LIST),
    Field(
        name="description",
        show=lambda view: view.record.description or None,
        schema=MAYBE_TEXT,
        since=55,
    ),
)
FLAVOR_DETAIL: tuple[Field[FlavorView], ...] = (
    *FLAVOR_SUMMARY,
    Field(name="vcpus", show=_at("vcpus"), schema=NUMBER),
    Field(name="ram", show=_at("ram"), schema=NUMBER),
    Field(name="disk", show=_at("disk"), schema=NUMBER),
    Field(
        name="swap",
        show=lambda view: view.record.swap or "",
        schema={"type": ["integer", "string"]},
        until=74,
    ),
    Field(name="swap", show=_at("swap"), schema=NUMBER, since=75),
    Field(name="OS-FLV-EXT-DATA:ephemeral", show=_at("ephemeral"), schema=NUMBER),
    Field(name="OS-FLV-DISABLED:disabled", show=_is(False), schema=FLAG),  # noqa: FBT003 - the value
    Field(name="os-flavor-access:is_public", show=_at("is_public"), schema=FLAG),
    Field(name="rxtx_factor", show=_is(1.0), schema={"type": "number"}),
    Field(name="extra_specs", show=_at("extra_specs"), schema=MAP, since=61),
)


def _fingerprint(view: KeypairView) -> str:
    return fingerprint(view.record.public_key, view.record.type)


KEYPAIR_SUMMARY: tuple[Field[KeypairView], ...] = (
    Field(name="name", show=_at("name"), schema=TEXT),
    Field(name="public_key", show=_at("public_key"), schema=TEXT),
    Field(name="fingerprint", show=_fingerprint, schema=TEXT),
    Field(name="type", show=_at("type"), schema=TEXT, since=2),
)
KEYPAIR_MADE: tuple[Field[KeypairView], ...] = (
    *KEYPAIR_SUMMARY,
    Field(name="user_id", show=_at("project_id"), schema=TEXT),
)
KEYPAIR_DETAIL: tuple[Field[KeypairView], ...] = (
    *KEYPAIR_MADE,
    Field(name="id", show=lambda view: int(view.record.id[:8], 16), schema=NUMBER),
    Field(name="created_at", show=_at("created_at"), schema=TEXT),
    Field(name="updated_at", show=_is(None), schema=NULL),
    Field(name="deleted", show=_is(False), schema=FLAG),  # noqa: FBT003 - the value
    Field(name="deleted_at", show=_is(None), schema=NULL),
)
