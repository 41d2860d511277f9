"""Guests of the part `path` in a process of their own: `python -m bench.path_guests idle|storm`.

`idle N PORT`: opens N connections, sends one request on each, and keeps them until stdin ends.
`storm VMS PORT SECONDS`: VMs boot at random moments within the seconds; each sends the requests of
BOOT one after the other, each on a connection of its own, as cloud-init does. Prints JSON.
"""

import asyncio
import json
import random
import socket
import sys
import time
from collections import Counter
from contextlib import suppress

import uvloop

from a9fe.runtime import descriptors
from bench.path_world import VMS, destination

HEAD = "GET {} HTTP/1.1\r\nHost: 169.254.169.254\r\nUser-Agent: Cloud-Init/22.4.2\r\n{}\r\n"
CLOSE = "Accept: */*\r\nConnection: close\r\n"
EC2 = "/2009-04-04/meta-data/"
LEAVES = (
    *("", "ami-id", "ami-launch-index", "ami-manifest-path", "block-device-mapping/"),
    *("block-device-mapping/ami", "block-device-mapping/root", "hostname", "instance-action"),
    *("instance-id", "instance-type", "local-hostname", "local-ipv4", "placement/"),
    *("placement/availability-zone", "public-hostname", "public-keys/", "public-keys/0/"),
    *("public-keys/0/openssh-key", "reservation-id", "security-groups"),
)
OPENSTACK = ("meta_data.json", "user_data", "vendor_data.json", "network_data.json")
BOOT = (
    *("/openstack", "/openstack/latest", *(f"/openstack/latest/{name}" for name in OPENSTACK)),
    *("/", "/2009-04-04/user-data", EC2.removesuffix("/")),
    *(EC2 + leaf for leaf in LEAVES),
)
PATIENCE = 30.0  # s


def idle(count: int, port: int) -> None:
    """Open connections and keep them."""
    head = HEAD.format("/latest/meta-data/instance-id", "").encode()
    kept = []
    for number in range(count):
        sock = socket.create_connection((destination(number % VMS + 1), port), timeout=PATIENCE)
        sock.sendall(head)
        if not sock.recv(65536).startswith(b"HTTP/1.1 200"):
            sys.exit("idle: not 200")
        kept.append(sock)
    print("open", flush=True)
    sys.stdin.read()


class Storm:
    """The requests of all VMs: their times in ms, and what failed."""

    def __init__(self, port: int) -> None:
        self.times: list[float] = []
        self.failed: Counter[str] = Counter()
        self._port = port

    async def boot(self, number: int, delay: float) -> None:
        """Send the requests of one VM."""
        await asyncio.sleep(delay)
        for path in BOOT:
            began = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await self._ask(destination(number), path)
            except (OSError, TimeoutError) as error:
                self.failed[type(error).__name__] += 1
                continue
            self.times.append((time.monotonic() - began) * 1000)
            status = answer[9:12].decode("latin-1")
            if status not in {"200", "404"}:
                self.failed[status] += 1

    async def _ask(self, host: str, path: str) -> bytes:
        reader, writer = await asyncio.open_connection(host, self._port)
        try:
            writer.write(HEAD.format(path, CLOSE).encode())
            return await reader.read()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def storm(vms: int, port: int, seconds: float) -> None:
    """Boot all VMs."""
    found, dice = Storm(port), random.Random(1)
    await asyncio.gather(*(found.boot(n, dice.random() * seconds) for n in range(1, vms + 1)))
    found.times.sort()
    count = len(found.times)
    p50, p99 = (found.times[int(count * part)] for part in (0.5, 0.99))
    print(json.dumps({"answers": count, "failed": found.failed, "p50": p50, "p99": p99}))


def main() -> None:
    """Run what the arguments name."""
    descriptors.raise_limit()
    what, *numbers = sys.argv[1:]
    if what == "idle":
        idle(int(numbers[0]), int(numbers[1]))
    else:
        uvloop.run(storm(int(numbers[0]), int(numbers[1]), float(numbers[2])))


if __name__ == "__main__":
    main()
