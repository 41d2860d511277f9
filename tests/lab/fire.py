"""Clients that make and delete ports side by side, and a ledger that says what they may be given.

The ledger knows only what was sent and answered. An address is held from the answer of its
create until its delete is sent, so one that is given meanwhile is given twice. It may be taken
from when a create is sent until that is refused or a delete of it is answered, so a create is
refused wrongly if all the while fewer addresses than there are may have been taken.
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
        """Make a port; its id, "" if it was refused."""
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
        """How what the server lists differs from what is held, once nothing is under way."""
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
    """Creators, each with its own connection to one of the servers in turn.

    Together they make `ports` in `large`, deleting one in ten again and making another; and as
    often as one in five they make one in `small`, or delete one of theirs there.
    """

    servers: Sequence[RunningServer]
    large: Ledger
    small: Ledger
    ports: int
    creators: int = 16

    def open(self) -> None:
        """Fire until all are made."""
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
    """Fill the subnet, free so many, fill it again: what was not as it must be."""
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
