"""A config drive: the documents that a VM would read over the network, as files of a disk.

Two layouts: "openstack" (Nova's config-2; cloud-init's ConfigDrive, cloudbase-init) and
"nocloud" (cloud-init's cidata). Neither has what only makes sense over a network: the password,
events, guest attributes, identity. Dynamic vendor data is left out: no provider is called.
"""

import ipaddress
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from a9fe.metadata import tree
from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.openstack.network_data import network_data
from a9fe.metadata.openstack.paths import OPENSTACK, content_path
from a9fe.metadata.recursive import recursive
from a9fe.metadata.rendered import Json, document, text
from a9fe.metadata.table import LATEST

EC2_VERSIONS = ("2009-04-04", LATEST)  # same content in both; Nova's default too
DOCUMENTS = frozenset(
    {"meta_data.json", "user_data", "vendor_data.json", "network_data.json", "vendor_data2.json"}
)
STATIC = {"ipv4": "static", "ipv6": "static6"}
NOCLOUD_TYPES = {"ipv4_dhcp": "dhcp4", **STATIC}
"""Types of network_data.json that network-config version 1 names differently."""

Files = dict[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A layout of a config drive: the label of its volume, and its files."""

    label: str
    files: Callable[[InstanceView], Files]


def openstack_files(view: InstanceView) -> Files:
    """Return Nova's layout: content by path, without a leading slash."""
    files: Files = {}
    for version in EC2_VERSIONS:
        _add(files, view, f"ec2/{version}/user-data")
        place = tree.find(view, f"/ec2/{EC2_VERSIONS[0]}/meta-data")
        if place is not None:
            files[f"ec2/{version}/meta-data.json"] = recursive(place).body
    for version in (*OPENSTACK.versions, LATEST):
        for name in _listed(view, f"/openstack/{version}"):
            if name in DOCUMENTS:
                _add(files, view, f"openstack/{version}/{name}")
    for number in range(len(view.instance.files)):
        _add(files, view, f"openstack{content_path(number)}")
    return files


def _add(files: Files, view: InstanceView, path: str) -> None:
    rendered = tree.render(view, f"/{path}")
    if rendered is not None:
        files[path] = rendered.body


def _listed(view: InstanceView, path: str) -> list[str]:
    rendered = tree.render(view, path)
    return rendered.body.decode().split("\n") if rendered is not None else []


def nocloud_files(view: InstanceView) -> Files:
    """Return cloud-init's NoCloud layout. Its YAML files are written as JSON."""
    instance = view.instance
    meta_data: dict[str, Json] = {
        "instance-id": instance.id,
        "local-hostname": view.hostname,
        "public-keys": [k.public_key for k in instance.keypairs if k.type == "ssh"],
    }
    files = {
        "meta-data": document(meta_data),
        "user-data": view.user_data,
        "network-config": json.dumps(network_config(view)).encode("ascii"),
    }
    settings = view.settings
    vendor = _vendor_text(settings.vendordata) if settings.static_vendordata else ""
    return {**files, "vendor-data": text(vendor)} if vendor else files


def _vendor_text(vendordata: Json) -> str:
    """Return what cloud-init reads from vendor_data.json: a text, or its key `cloud-init`."""
    found = vendordata.get("cloud-init") if isinstance(vendordata, Mapping) else vendordata
    return found if isinstance(found, str) else ""


def network_config(view: InstanceView) -> dict[str, Any]:
    """Return cloud-init's network-config version 1, which identifies network cards by MAC."""
    data: dict[str, Any] = network_data(view)
    links = [
        {
            "type": "physical",
            "name": f"eth{number}",
            "mac_address": link["ethernet_mac_address"],
            **({"mtu": link["mtu"]} if link["mtu"] else {}),
            "subnets": [_subnet(n) for n in data["networks"] if n["link"] == link["id"]],
        }
        for number, link in enumerate(data["links"])
    ]
    servers = _servers(data["services"])
    dns = [{"type": "nameserver", "address": servers}] if servers else []
    return {"version": 1, "config": [*links, *dns]}


def _subnet(network: Mapping[str, Any]) -> dict[str, Any]:
    kind = NOCLOUD_TYPES.get(network["type"], network["type"])
    if network["type"] not in STATIC:
        return {"type": kind}
    length = f"{int(ipaddress.ip_address(network['netmask'])):b}".count("1")
    subnet = {
        "type": kind,
        "address": f"{network['ip_address']}/{length}",
        "routes": network["routes"],
    }
    servers = _servers(network["services"])
    return {**subnet, "dns_nameservers": servers} if servers else subnet


def _servers(services: Iterable[Mapping[str, Any]]) -> list[str]:
    return [service["address"] for service in services if service["type"] == "dns"]


LAYOUTS = {
    "openstack": Layout(label="config-2", files=openstack_files),
    "nocloud": Layout(label="cidata", files=nocloud_files),
}
