"""Namespaces in place of VMs, with a raw socket on their network card."""

import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass

from a9fe.linux.kernel import namespace
from a9fe.model.resources import Port
from a9fe.plan import names
from tests.lab.places import MARK


def card(space: str, device: str) -> socket.socket:
    """A raw socket on a device of a namespace, which receives all its frames."""

    def opened() -> socket.socket:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        raw.bind((device, 3))
        return raw

    found: socket.socket = namespace.call_inside(space, opened)
    found.settimeout(0.05)
    return found


@dataclass(kw_only=True)
class Card:
    """The card of a port's VM, on the bridge of its network."""

    port: Port
    raw: socket.socket
    space: str

    @property
    def mac(self) -> str:
        return self.port.mac_address

    @property
    def address(self) -> str:
        return self.port.fixed_ips[0].ip_address

    def unplug(self) -> None:
        self.raw.close()
        device = names.outer_device(self.port.id)
        with suppress(subprocess.CalledProcessError):
            subprocess.run(["ip", "link", "del", device], check=True, capture_output=True)
        namespace.delete(self.space, MARK)


def plug(port: Port) -> Card:
    """Make a namespace whose `eth0` has the port's MAC and first address, on its bridge."""
    space, outer = f"vm-{port.id[:8]}", names.outer_device(port.id)
    namespace.create(space, MARK)
    peer = ("peer", "name", "eth0", "address", port.mac_address, "netns", space)
    for change in (
        ("link", "add", outer, "type", "veth", *peer),
        ("-n", space, "address", "add", f"{port.fixed_ips[0].ip_address}/32", "dev", "eth0"),
        ("-n", space, "link", "set", "eth0", "up"),
        ("link", "set", outer, "master", names.bridge(port.network_id), "up"),
    ):
        subprocess.run(["ip", *change], check=True, capture_output=True)
    return Card(port=port, raw=card(space, "eth0"), space=space)
