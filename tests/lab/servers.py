"""Server processes without the rest of the system, and their clients."""

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

DEADLINE = 60.0  # s of one request: a write may wait for another server's


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@dataclass(frozen=True, kw_only=True)
class RunningServer:
    """A server process and its client, which threads can share."""

    process: "subprocess.Popen[bytes]"
    url: str
    api: httpx.Client

    def create(self, kind: str, **values: object) -> dict[str, Any]:
        """Create a resource; it must succeed."""
        answer = self.api.post(f"/v2.0/{kind}s", json={kind: values})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()[kind]
        return made

    def list(self, kind: str, **query: str) -> list[dict[str, Any]]:
        """Return the resources of all pages."""
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
        """Create a network with one subnet, without quota; return its id."""
        unlimited = self.api.put("/v2.0/quotas/default", json={"quota": {"port": -1}})
        assert unlimited.status_code == 200, unlimited.text
        made = self.create("network", name=cidr)
        self.create("subnet", network_id=made["id"], cidr=cidr, ip_version=4)
        return str(made["id"])


@contextmanager
def running_server(directory: Path, database: str, **options: str) -> Iterator[RunningServer]:
    """Run `a9fe server` on a database, with its state below `directory`; kill it at the end."""
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
    """Return whether the server answers with its versions."""
    try:
        return api.get("/", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
