"""Clients that write until they are stopped, and record the answers."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.lab.servers import DEADLINE, RunningServer

WRITERS = 4
PAUSE = 0.05  # s to wait after a refusal


@dataclass(kw_only=True)
class Answers:
    """The names of the ports that were created, and the other answers."""

    made: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


@contextmanager
def writing(server: RunningServer, network_id: str, **values: object) -> Iterator[Answers]:
    """Create ports with `values` concurrently until the block ends or the server is gone."""
    answers, ended = Answers(), threading.Event()

    def write(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=DEADLINE, trust_env=False) as client:
            count = 0
            while not ended.is_set():
                count += 1
                name = f"{number}-{count}"
                body = {"port": {"network_id": network_id, "name": name, **values}}
                try:
                    answer = client.post("/v2.0/ports", json=body)
                except httpx.TransportError:
                    return
                if answer.status_code == 201:
                    answers.made.append(name)
                else:
                    answers.refused[f"{answer.status_code} {answer.text}"] += 1
                    ended.wait(PAUSE)

    with ThreadPoolExecutor(WRITERS) as pool:
        running = [pool.submit(write, number) for number in range(WRITERS)]
        try:
            yield answers
        finally:
            ended.set()
    for one in running:
        one.result()
