"""VMs that read their metadata without pause while ports, routers and instances change.

Each VM is a guest with a port of its own. `Vm.spans` records which instance, with which name, the
port had between which moments: from the request that made it so until the answer to the one that
ended it. An answer is right if it is of one of these spans, and its span was not over before the
request. What a port's former owner, a neighbour, or the same address on another network has is
never right, at no moment.
"""

import itertools
import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import Any

from a9fe.api_client.client import ApiClient
from a9fe.api_client.errors import ApiError, ServerUnreachable
from a9fe.linux.vms import guest, taps
from a9fe.model.rules.addresses import device_mtu
from a9fe.plan import names
from tests.kit.conditions import eventually
from tests.lab.guest_program import BEGIN

CIDR = "10.1.0.0/24"
ADDRESSES = ("10.1.0.11", "10.1.0.12")  # each on every network at once
PROMPT = 5.0  # s within which the feed brings a change, on a busy machine
CLIENTS, PAUSE = 2, 0.04  # of a VM, of each kind; s between two requests

# Print "begin end status document" for each request (seconds of CLOCK_MONOTONIC), until killed.
PROGRAM = (
    BEGIN
    + r"""
import json

PATHS = ("openstack/latest/meta_data.json", "latest/meta-data/local-ipv4", "latest/meta-data/mac")
WAIT = "openstack/latest/meta_data.json?wait_for_change=true&timeout_sec=2&last_etag="

async def ask(keeps, waits, number):
    kept, tag = None, "0"
    while True:
        number += 1
        path = WAIT + tag if waits else PATHS[number % len(PATHS)]
        kept = usable(kept)
        began = time.monotonic()
        try:
            doing = exchange(kept, f"GET /{path} HTTP/1.1\r\nHost: m\r\n", keeps)
            status, etag, body, kept = await asyncio.wait_for(doing, 30)
            text = body.decode()
        except Exception as error:
            status, text, kept = type(error).__name__, "", None
        if status == "200" and "json" in path:
            found = json.loads(text)
            text, tag = json.dumps([found["uuid"], found["name"]]), etag or "0"
        print(began, time.monotonic(), status, path, text.replace("\n", " "), flush=True)
        await asyncio.sleep(PAUSE)

async def main():
    asking = [ask(number % 2, False, number) for number in range(2 * CLIENTS)]
    await asyncio.gather(ask(True, True, 0), *asking)

asyncio.run(main())
"""
)


@dataclass(slots=True)
class Span:
    """An instance's id and name, and the time for which a port may have had them."""

    uuid: str
    name: str
    begin: float
    end: float = inf


@dataclass(kw_only=True)
class Vm:
    """A guest that reads, its port, and the spans of the port's instances."""

    name: str
    port: dict[str, Any]
    spans: list[Span]
    made: float = 0.0  # the port certainly exists from here
    ending: float = inf  # until here
    process: "subprocess.Popen[bytes]" = field(init=False)
    output: int = field(init=False)
    seen: int = 0  # bytes of the output

    @property
    def address(self) -> str:
        return str(self.port["fixed_ips"][0]["ip_address"])

    @property
    def slot(self) -> tuple[str, str]:
        return str(self.port["network_id"]), self.address

    def start(self, network: dict[str, Any]) -> None:
        """Start the guest; it reads until `stop`."""
        tap = taps.Tap(
            name=names.outer_device(self.port["id"]),
            bridge=names.bridge(network["id"]),
            mtu=device_mtu(network["mtu"]),
        )
        mac = str(self.port["mac_address"])
        guest.start(guest.Guest(name=self.name, mac=mac, tap=tap, client="udhcpc", wait=90))
        self.output = os.memfd_create(self.name)
        command = ["/usr/bin/python3", "-c", PROGRAM, str(CLIENTS), str(PAUSE)]
        self.process = subprocess.Popen(
            guest.command(self.name, command), stdout=self.output, stderr=subprocess.DEVNULL
        )

    def stop(self) -> None:
        """End the guest; what it read stays."""
        guest.stop(self.name)
        self.process.wait(30)

    def news(self) -> list[str]:
        """Return the lines that the guest has written since the last call."""
        data = os.pread(self.output, os.fstat(self.output).st_size - self.seen, self.seen)
        whole = data[: data.rfind(b"\n") + 1]
        self.seen += len(whole)
        return whole.decode().splitlines()


@dataclass(kw_only=True)
class Read:
    """One line of a guest."""

    began: float
    ended: float
    status: str
    path: str
    text: str


def parsed(line: str) -> Read:
    began, ended, status, path, text = [*line.split(" ", 4), ""][:5]
    return Read(began=float(began), ended=float(ended), status=status, path=path, text=text)


@dataclass(kw_only=True)
class Churn:
    """The networks, routers and VMs, and what the readers found."""

    api: ApiClient
    dice: random.Random
    host: str
    networks: list[dict[str, Any]] = field(default_factory=list)
    routers: list[dict[str, Any]] = field(default_factory=list)
    at: list[int] = field(default_factory=list)  # the network that a router is on
    vms: list[Vm] = field(default_factory=list)
    gone: list[Vm] = field(default_factory=list)
    breaks: list[tuple[float, float]] = field(default_factory=list)  # without a feed
    serial: Iterator[int] = field(default_factory=itertools.count)
    done: Counter[str] = field(default_factory=Counter)  # changes
    outcomes: Counter[str] = field(default_factory=Counter)  # statuses and errors of reads

    def set_up(self) -> None:
        """Make three networks with the same addresses, two routers, and all VMs."""
        for number in range(3):
            network = self.api.create("networks", {"name": f"churn{number}"})
            subnet = {"network_id": network["id"], "cidr": CIDR, "ip_version": 4}
            network["subnet"] = self.api.create("subnets", subnet)["id"]
            self.networks.append(network)
        for number in range(2):
            self.routers.append(self.api.create("routers", {"name": f"churn{number}"}))
            self._join(number, number)
            self.at.append(number)
        for network in self.networks[:2]:
            for address in ADDRESSES:
                self.vms.append(self._new(network, address))
        self.vms.append(self._new(self.networks[2], ADDRESSES[0]))

    def clear(self) -> None:
        """Stop all guests and delete all resources."""
        for vm in self.vms:
            with suppress(Exception):
                vm.stop()
            self._delete(vm)
        for router, network in zip(self.routers, self.at, strict=True):
            with suppress(ApiError):
                self._leave(router, network)
            self.api.delete("routers", router["id"])
        for network in self.networks:
            self.api.delete("networks", network["id"])

    # -- changes -----------------------------------------------------------------------------

    def change(self) -> None:
        """Make one change, chosen by the dice."""
        kinds = (self.rename, self.rename, self.give_to_another, self.recreate, self.move_router)
        kind = self.dice.choice(kinds)
        with suppress(ServerUnreachable):
            kind()
            self.done[kind.__name__] += 1

    def rename(self) -> None:
        """Rename an instance."""
        vm = self.dice.choice(self.vms)
        name, asked = f"n{next(self.serial)}", time.monotonic()
        uuid = vm.spans[-1].uuid
        vm.spans.append(Span(uuid, name, asked))  # also if no answer comes
        self._repeated("instances", uuid, {"name": name})
        vm.spans[-2].end = time.monotonic()

    def give_to_another(self) -> None:
        """Give a port to a new instance, and delete the former one."""
        vm = self.dice.choice(self.vms)
        former = vm.spans[-1]
        made = self._create_instance([])
        vm.spans.append(Span(made["id"], made["name"], time.monotonic()))
        self._repeated("ports", vm.port["id"], {"device_id": made["id"]})
        former.end = time.monotonic()
        self._until(lambda: self.api.delete("instances", former.uuid))

    def recreate(self) -> None:
        """End a VM, and make another one at its address, there or on another network."""
        place = self.dice.randrange(len(self.vms))
        vm = self.vms[place]
        vm.stop()
        vm.ending = time.monotonic()
        self._delete(vm)
        self.gone.append(vm)
        used = {other.slot for other in self.vms if other is not vm}
        free = [n for n in self.networks if (n["id"], vm.address) not in used]
        self.vms[place] = self._new(self.dice.choice(free), vm.address)

    def move_router(self) -> None:
        """Move a router's interface to a network without one."""
        number = self.dice.randrange(len(self.routers))
        (free,) = {0, 1, 2} - set(self.at)
        self._until(lambda: self._leave(self.routers[number], self.at[number]))
        self._until(lambda: self._join(number, free))
        self.at[number] = free

    def _new(self, network: dict[str, Any], address: str) -> Vm:
        asked = time.monotonic()
        made = self._create_instance([{"uuid": network["id"], "fixed_ip": address}])
        (port,) = made["ports"]
        spans = [Span(made["id"], made["name"], asked)]
        vm = Vm(name=made["name"], port=port, spans=spans, made=time.monotonic())
        vm.start(network)
        return vm

    def _create_instance(self, networks: list[dict[str, str]]) -> dict[str, Any]:
        """Create an instance; if no answer comes, an instance of that name may have been made."""
        while True:
            name = f"n{next(self.serial)}"
            try:
                body = {"name": name, "host": self.host, "networks": networks}
                return self.api.create("instances", body)
            except ServerUnreachable:
                self._until(lambda name=name: self._delete_named(name))

    def _delete_named(self, name: str) -> None:
        for found in self.api.list("instances", name=name):
            self.api.delete("instances", str(found["id"]))

    def _delete(self, vm: Vm) -> None:
        self._until(lambda: self.api.delete("instances", vm.spans[-1].uuid))
        self._until(lambda: self.api.delete("ports", vm.port["id"]))

    def _repeated(self, collection: str, id: str, values: dict[str, Any]) -> None:
        self._until(lambda: self.api.update(collection, id, values))

    def _until(self, call: Any) -> None:
        """Call until the server answers; a 404 or 409 is an answer to a repeated call."""

        def answered() -> bool:
            try:
                call()
            except ServerUnreachable:
                return False
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
            return True

        eventually(answered, 60, "an answer of the server")

    def _join(self, number: int, network: int) -> None:
        body = {"subnet_id": self.networks[network]["subnet"]}
        self.api.action("routers", self.routers[number]["id"], "add_router_interface", body)

    def _leave(self, router: dict[str, Any], network: int) -> None:
        body = {"subnet_id": self.networks[network]["subnet"]}
        self.api.action("routers", router["id"], "remove_router_interface", body)

    # -- the check ---------------------------------------------------------------------------

    def wrong(self) -> list[str]:
        """Return every answer since the last call that was not the reader's; count all."""
        found = []
        for vm in (*self.gone, *self.vms):
            for read in map(parsed, vm.news()):
                self.outcomes[read.status] += 1
                if not self._is_right(vm, read):
                    found.append(f"{vm.name} {vm.port['id']} {read}: {vm.spans}")
        for vm in self.gone:
            os.close(vm.output)
        self.gone.clear()
        return found

    def _is_right(self, vm: Vm, read: Read) -> bool:
        if read.status == "404":
            return read.began < vm.made or read.ended > vm.ending
        if read.status != "200":
            return True
        if "json" not in read.path:
            return read.text in (vm.address, vm.port["mac_address"])
        uuid, name = json.loads(read.text)
        lag = self._lag(read.began)
        return any(
            (span.uuid, span.name) == (uuid, name)
            and span.begin <= read.ended
            and read.began <= span.end + lag
            for span in vm.spans
        )

    def _lag(self, moment: float) -> float:
        """Return how old a change may be that a read at this moment does not show yet."""
        for begin, end in self.breaks:
            if begin <= moment <= end + PROMPT:
                return moment - begin + PROMPT
        return PROMPT
