"""Clients that create and delete ports concurrently, and a ledger that checks the answers.

The ledger records requests and answers only. An address is certainly in use from the answer to its
create until its delete is sent: if the server gives it again in that time, it is given twice. It
is possibly in use from when the create is sent until the create is refused or the delete is
answered: a create that is refused although there was always a free address is refused wrongly.
"""

import random
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from tests.lab.servers import RunningServer

FULL = "409 IpAddressGenerationFailure"


@dataclass(kw_only=True)
class Ledger:
    """A network with one subnet, which has `capacity` addresses."""

    network_id: str
    capacity: int
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    held: dict[str, tuple[str, str]] = field(default_factory=dict)  # by port: address, MAC
    _perhaps_taken: list[int] = field(default_factory=lambda: [0])  # after each event
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, client: httpx.Client) -> str:
        """Create a port; return its id, "" if it was refused."""
        with self._lock:
            self._count(1)
            began = len(self._perhaps_taken) - 1
        answer = client.post("/v2.0/ports", json={"port": {"network_id": self.network_id}})
        with self._lock:
            return self._created(answer, began)

    def delete(self, client: httpx.Client, port_id: str) -> None:
        """Delete a port."""
        with self._lock:
            del self.held[port_id]
        answer = client.delete(f"/v2.0/ports/{port_id}")
        with self._lock:
            self.outcomes[_outcome(answer)] += 1
            self._count(-1)

    def _created(self, answer: httpx.Response, began: int) -> str:
        outcome = _outcome(answer)
        self.outcomes[outcome] += 1
        if answer.status_code == 201:
            return self._give(answer)
        others = max(self._perhaps_taken[began:]) - 1
        if outcome != FULL or others < self.capacity:
            self.wrong.append(f"{outcome} with {others} of {self.capacity} taken: {answer.text}")
        self._count(-1)
        return ""

    def _give(self, answer: httpx.Response) -> str:
        port = answer.json()["port"]
        (fixed,) = port["fixed_ips"]
        given = (fixed["ip_address"], port["mac_address"])
        for what, others in zip(given, zip(*self.held.values(), strict=True), strict=False):
            if what in others:
                self.wrong.append(f"{what} given twice")
        self.held[port["id"]] = given
        return str(port["id"])

    def _count(self, change: int) -> None:
        self._perhaps_taken.append(self._perhaps_taken[-1] + change)

    def differs(self, server: RunningServer) -> list[str]:
        """Return how the server's list differs from the ledger; no request may be under way."""
        listed = {}
        for port in server.list("port", network_id=self.network_id):
            (fixed,) = port["fixed_ips"]
            listed[port["id"]] = (fixed["ip_address"], port["mac_address"])
        found = [f"not held: {listed[id]}" for id in listed.keys() - self.held.keys()]
        found += [f"not listed: {self.held[id]}" for id in self.held.keys() - listed.keys()]
        found += [f"changed: {listed[id]}" for id in listed if listed[id] != self.held.get(id)]
        for column in zip(*listed.values(), strict=True):
            found += [f"twice: {what}" for what, times in Counter(column).items() if times > 1]
        return found


def _outcome(answer: httpx.Response) -> str:
    if answer.is_success:
        return str(answer.status_code)
    error = answer.json().get("NeutronError", {}).get("type", "")
    return f"{answer.status_code} {error}".strip()


@dataclass(frozen=True, kw_only=True)
class Fire:
    """Clients that create ports, each with its own connection to one of the servers.

    Together they create `ports` in `large`, and replace one in ten. In one of five turns they
    create a port in `small` too, or delete one of their ports there.
    """

    servers: Sequence[RunningServer]
    large: Ledger
    small: Ledger
    ports: int
    creators: int = 16

    def open(self) -> None:
        """Run until all ports are created."""
        with ThreadPoolExecutor(self.creators) as pool:
            for done in [pool.submit(self._creator, number) for number in range(self.creators)]:
                done.result()

    def _creator(self, number: int) -> None:
        url = self.servers[number % len(self.servers)].url
        dice = random.Random(number)
        mine: list[str] = []
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            for _ in range(number, self.ports, self.creators):
                port = self.large.create(client)
                if port and dice.random() < 0.1:
                    self.large.delete(client, port)
                    self.large.create(client)
                if dice.random() < 0.2:
                    self._crowd(client, dice, mine)

    def _crowd(self, client: httpx.Client, dice: random.Random, mine: list[str]) -> None:
        if mine and dice.random() < 0.4:
            self.small.delete(client, mine.pop(dice.randrange(len(mine))))
        elif port := self.small.create(client):
            mine.append(port)


def drained_and_filled(ledger: Ledger, server: RunningServer, freed: int) -> list[str]:
    """Fill the subnet, free `freed` addresses, fill it again; return what was wrong."""
    found = []
    while len(ledger.held) < ledger.capacity and ledger.create(server.api):
        pass
    for port in random.Random(4).sample(sorted(ledger.held), freed):
        ledger.delete(server.api, port)
    made = 0
    while ledger.create(server.api):
        made += 1
    if made != freed:
        found.append(f"{freed} were freed and {made} could be made")
    return [*found, *ledger.differs(server)]
