"""QEMU commands and libvirt XML that boot an instance on its ports. Pure."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from a9fe.linux.vms.qemu import MANUFACTURER, PRODUCT, identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """A VM's network card: its port, the device `tap` on `bridge`, and the MTU in bytes."""

    port_id: str
    mac: str
    addresses: tuple[str, ...]
    tap: str
    bridge: str
    mtu: int


def qemu_lines(instance_id: str, nics: Sequence[Nic], alias: str = "") -> Iterable[str]:
    """Return commands that create the taps and run QEMU.

    The commands also work if the taps exist. `alias` is the mark of this host's installation, ""
    if unknown; a tap without it is recognised by its bridge.
    """
    for nic in nics:
        is_there = f"ip link show dev {nic.tap} >/dev/null 2>&1"
        yield f"{is_there} || ip tuntap add dev {nic.tap} mode tap"
        if alias:
            yield f"ip link set dev {nic.tap} alias {alias}"
        yield f"ip link set dev {nic.tap} mtu {nic.mtu} master {nic.bridge} up"
    yield "qemu-system-x86_64 -m 512 -display none -serial mon:stdio \\"
    yield f"  -smbios {shlex.quote(identity(instance_id))} \\"
    for number, nic in enumerate(nics):
        yield f"  -netdev tap,id=n{number},ifname={nic.tap},script=no,downscript=no \\"
        yield f"  -device virtio-net-pci,netdev=n{number},mac={nic.mac} \\"
    yield "  -drive file=DISK.qcow2,if=virtio"


def libvirt_lines(instance_id: str, nics: Sequence[Nic]) -> Iterable[str]:
    """Return the parts of a domain's XML: identity, and an interface for each port."""
    yield f"<uuid>{escape(instance_id)}</uuid>"
    yield "<os><smbios mode='sysinfo'/></os>  <!-- within the domain's own <os> -->"
    yield "<sysinfo type='smbios'>"
    yield "  <system>"
    for name, value in (
        ("manufacturer", MANUFACTURER),
        ("product", PRODUCT),
        ("uuid", instance_id),
    ):
        yield f"    <entry name='{name}'>{escape(value)}</entry>"
    yield "  </system>"
    yield "</sysinfo>"
    for nic in nics:
        yield "<interface type='bridge'>"
        yield f"  <mac address={quoteattr(nic.mac)}/>"
        yield f"  <source bridge={quoteattr(nic.bridge)}/>"
        yield f"  <target dev={quoteattr(nic.tap)}/>"
        yield "  <model type='virtio'/>"
        yield f"  <mtu size='{nic.mtu}'/>"
        yield "</interface>"
