"""Whether packets pass a bridge of ours, or other software's firewall drops them.

With net.bridge.bridge-nf-call-iptables=1 (Docker, Kubernetes) the kernel sends bridged packets
through the host's FORWARD chains too, and a policy DROP there ends all traffic of VMs. A bridge's
own nf_call_iptables cannot switch that off, and no rule in a table of ours accepts what another
table drops. What other tables do is not read but tried: packets are sent over a bridge that is
made for it. If the process is killed, the agents remove that bridge.
"""

import fcntl
import os
import select
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import ip_address

from a9fe.linux.kernel import links, rtnetlink
from a9fe.linux.kernel.checksum import internet_checksum
from a9fe.linux.kernel.rtnetlink import LinkChange
from a9fe.plan import names
from a9fe.plan.host import Bridge
from a9fe.plan.mark import Mark

NOBODY = "00000000-0000-0000-0000-000000000000"
BRIDGE = names.bridge(NOBODY)
TAPS = ("tap00000000-00", "tap00000000-01")
TUN_DEVICE = "/dev/net/tun"
TUNSETIFF = 0x400454CA
TAP, NO_HEADER, NON_BLOCKING = 0x0002, 0x1000, os.O_NONBLOCK
PATIENCE = 0.5  # s for all packets
REPEAT = 0.02  # s
MTU = 1500

MACS = bytes.fromhex("02a9fe00000202a9fe000001")
TEXT = b"a9fe: does it pass?!"
UDP, DISCARD = 17, 9  # protocol, port


def dropped(mark: Mark) -> frozenset[str]:
    """The kinds of packets (keys of PACKETS) that do not pass a bridge. Raises OSError.

    Takes a few ms if all pass, else PATIENCE.
    """
    with _bridge(mark) as (sender, receiver):
        missing, end = set(PACKETS), time.monotonic() + PATIENCE
        while missing and time.monotonic() < end:
            for kind in missing:
                os.write(sender, PACKETS[kind])
            arrived = set(_read(receiver))
            missing -= {kind for kind in missing if PACKETS[kind] in arrived}
        return frozenset(missing)


def _read(receiver: int) -> Iterator[bytes]:
    while select.select([receiver], [], [], REPEAT)[0]:
        yield os.read(receiver, MTU + 100)


@contextmanager
def _bridge(mark: Mark) -> Iterator[tuple[int, int]]:
    """A bridge with two taps; yields their descriptors. The taps end with them."""
    links.set_bridge(Bridge(name=BRIDGE, mtu=MTU), mark)
    ends: list[int] = []
    try:
        for name in TAPS:
            ends.append(os.open(TUN_DEVICE, os.O_RDWR | os.O_CLOEXEC | NON_BLOCKING))
            kind = struct.pack("16sH22x", name.encode(), TAP | NO_HEADER)
            fcntl.ioctl(ends[-1], TUNSETIFF, kind)
            _plug(name, mark)
        yield ends[0], ends[1]
    finally:
        for end in ends:
            os.close(end)
        with suppress(OSError):
            links.delete_link(BRIDGE, mark)


def _plug(name: str, mark: Mark) -> None:
    """Put a tap on the bridge as one of our own devices, which our filters let through."""
    tap, bridge = rtnetlink.find(name), rtnetlink.find(BRIDGE)
    if tap is None or bridge is None:
        raise OSError(f"{name} or {BRIDGE} is gone")
    links.keep_ipv6_off(name)
    change = LinkChange(alias=mark.text, group=mark.group, master=bridge.index, up=True)
    rtnetlink.change_link(tap.index, change)


def _sum(data: bytes) -> bytes:
    return struct.pack(">H", internet_checksum(data))


def _udp(ends: bytes) -> bytes:
    head = struct.pack(">HHH", DISCARD, DISCARD, 8 + len(TEXT))
    pseudo = ends + struct.pack(">HH", UDP, 8 + len(TEXT))
    return head + _sum(pseudo + head + TEXT) + TEXT


def _ipv4() -> bytes:
    ends = ip_address("192.0.2.1").packed + ip_address("192.0.2.2").packed
    udp = _udp(ends)
    head = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(udp), 0, 0, 64, UDP)
    return MACS + b"\x08\x00" + head + _sum(head + ends) + ends + udp


def _ipv6() -> bytes:
    ends = ip_address("2001:db8::1").packed + ip_address("2001:db8::2").packed
    udp = _udp(ends)
    return MACS + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, len(udp), UDP, 64) + ends + udp


PACKETS: Mapping[str, bytes] = {"IPv4": _ipv4(), "IPv6": _ipv6()}
"""A frame with a UDP packet between two addresses for documentation, by kind."""
