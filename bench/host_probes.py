"""What the part `hosts` reads from outside: sockets of namespaces, filters, processes."""

import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
LISTEN = "0A"
BRIDGE_TAPS = "taps"  # the set that has every tap of a VM
NETLINK_NETFILTER, NLM_F_REQUEST = 12, 1
NFT_NEWSETELEM, NFT_GETSETELEM = 10 << 8 | 12, 10 << 8 | 13
BRIDGE_FAMILY, IFNAMSIZ = 7, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """The TCP ports that listen, and the UDP ports that are bound, over IPv4."""

    tcp: frozenset[int] = frozenset()
    udp: frozenset[int] = frozenset()


def sockets(namespace: str) -> Sockets:
    """Return the sockets of a namespace; none if it does not exist."""
    with suppress(OSError), inside(namespace):
        return Sockets(tcp=_ports("tcp", LISTEN), udp=_ports("udp"))
    return Sockets()


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Put this thread into the namespace. Raises OSError."""
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


def _enter(descriptor: int) -> None:
    if LIBC.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ports(table: str, state: str = "") -> frozenset[int]:
    lines = Path(f"/proc/thread-self/net/{table}").read_text().splitlines()[1:]
    rows = (line.split() for line in lines)
    return frozenset(int(r[1].rpartition(":")[2], 16) for r in rows if state in ("", r[3]))


def namespaces() -> set[str]:
    """Return the names below /run/netns."""
    return set(os.listdir("/run/netns"))


def tap(port_id: str) -> str:
    """Return the name of a port's device."""
    return f"tap{port_id[:11]}"


def is_known(device: str, table: str) -> bool:
    """Whether the filters of this table have an element for the device. O(1).

    `nft get element` reads all elements first, which takes 0.6 s with 10,000.
    """
    key = _attribute(1, _attribute(1, device.encode().ljust(IFNAMSIZ, b"\0")), nested=True)
    element = _attribute(1, key, nested=True)
    names = _attribute(1, f"{table}\0".encode()) + _attribute(2, f"{BRIDGE_TAPS}\0".encode())
    body = struct.pack("=BBH", BRIDGE_FAMILY, 0, 0) + names + _attribute(3, element, nested=True)
    head = struct.pack("=IHHII", 16 + len(body), NFT_GETSETELEM, NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.send(head + body)
        kind = struct.unpack_from("=IH", sock.recv(1 << 16))[1]
    return bool(kind == NFT_NEWSETELEM)


def _attribute(kind: int, value: bytes, *, nested: bool = False) -> bytes:
    """Return a netlink attribute."""
    padding = -len(value) % 4
    head = struct.pack("=HH", 4 + len(value), kind | (0x8000 if nested else 0))
    return head + value + bytes(padding)


def filter_table() -> str:
    """Return the name of the one table of filters; "none" if there is none."""
    argv = ["nft", "list", "tables", "bridge"]
    shown = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return shown.split()[-1] if shown else "none"


def pids(program: str) -> list[int]:
    """Return the processes that run this program."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "comm").read_text().strip() == program and (entry / "maps").read_text():
                found.append(int(entry.name))
    return found
