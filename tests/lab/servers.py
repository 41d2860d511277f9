"""Server processes of a test's own, without the rest of the system, and what is said to them."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.kit.conditions import eventually
from tests.lab.places import A9FE

DEADLINE = 60.0  # s of one call: a write may wait for another server's


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@dataclass(frozen=True, kw_only=True)
class RunningServer:
    """A process, and a client of it that many threads may use."""

    process: "subprocess.Popen[bytes]"
    url: str
    api: httpx.Client

    def create(self, kind: str, **values: object) -> dict[str, Any]:
        """Make a resource; it must succeed."""
        answer = self.api.post(f"/v2.0/{kind}s", json={kind: values})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()[kind]
        return made

    def list(self, kind: str, **query: str) -> list[dict[str, Any]]:
        """Those resources, of all pages; it must succeed."""
        found: list[dict[str, Any]] = []
        more = True
        while more:
            answer = self.api.get(f"/v2.0/{kind}s", params=query)
            assert answer.status_code == 200, answer.text
            found += answer.json()[f"{kind}s"]
            links = answer.json().get(f"{kind}s_links", [])
            more = any(link["rel"] == "next" for link in links)
            query["marker"] = found[-1]["id"] if found else ""
        return found

    def network(self, cidr: str) -> str:
        """A network with one subnet, for any number of ports; its id."""
        unlimited = self.api.put("/v2.0/quotas/default", json={"quota": {"port": -1}})
        assert unlimited.status_code == 200, unlimited.text
        made = self.create("network", name=cidr)
        self.create("subnet", network_id=made["id"], cidr=cidr, ip_version=4)
        return str(made["id"])


@contextmanager
def running_server(directory: Path, database: str, **options: str) -> Iterator[RunningServer]:
    """`a9fe server` on a database, its state below `directory`; killed with the block."""
    port = int(options.pop("bind_port", free_port()))
    given = {
        "database_connection": database,
        "state_path": f"{directory}/state",
        "run_path": f"{directory}/run",
        "bind_port": str(port),
        **options,
    }
    variables = {f"A9FE_{name.upper()}": value for name, value in given.items()}
    with (directory / f"server-{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(A9FE), "server"], env={**os.environ, **variables}, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=DEADLINE, trust_env=False) as api:
            eventually(lambda: process.poll() is not None or answers(api), what=f"{url} answers")
            assert process.poll() is None, (directory / f"server-{port}.log").read_text()
            yield RunningServer(process=process, url=url, api=api)
    finally:
        process.kill()
        process.wait()


def answers(api: httpx.Client) -> bool:
    """Is there a server that says its versions?"""
    try:
        return api.get("/", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
