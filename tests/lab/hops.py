"""The metadata agent and service, or the metadata host, as processes, with requests as the proxy
sends them.

There is no namespace and no proxy: the test sets the network and address of the guest.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.kit.conditions import eventually
from tests.lab.places import A9FE
from tests.lab.servers import DEADLINE, RunningServer, free_port

HOST = "h1"
AGENT, SERVICE, JOINED = "metadata-agent", "metadata-service", "metadata-host"
FOLLOWED, READY = "change feed followed", " ready "


@dataclass(frozen=True, kw_only=True)
class Hops:
    """The state directory and the options of the processes; `options` replace others."""

    state: Path
    run: Path
    server_url: str
    service_port: int
    options: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def running(self, name: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run one of the processes until the block ends; it must stop with status 0."""
        given = {
            "state_path": str(self.state),
            "run_path": str(self.run),
            "server_url": self.server_url,
            "host": HOST,
            "metadata_listen_port": str(self.service_port),
            "nova_metadata_port": str(self.service_port),
            "metadata_proxy_shared_secret": "a secret",
            "metadata_proxy_user": "root",
            "metadata_agent_user": "root",
            "metadata_service_user": "root",
            **self.options,
        }
        variables = {f"A9FE_{option.upper()}": value for option, value in given.items()}
        env = {**os.environ, **variables}
        with self.log(name).open("ab") as log:
            process = subprocess.Popen([str(A9FE), name], env=env, stderr=log)
        try:
            yield process
            process.terminate()
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def both(self, until: str = FOLLOWED) -> Iterator[None]:
        """Run both, and wait until they log `until`."""
        with ExitStack() as stack:
            before = {name: self.said(name, until) for name in (AGENT, SERVICE)}
            for name in before:
                stack.enter_context(self.running(name))
            for name, times in before.items():
                self.says(name, until, times)
            yield

    def says(self, name: str, what: str, before: int = 0) -> None:
        """Wait until a process has logged the text more often than `before`."""
        try:
            eventually(lambda: self.said(name, what) > before, DEADLINE, f"{name} says {what!r}")
        except AssertionError as error:
            error.add_note(f"log of {name}:\n{self.log(name).read_text()[-4000:]}")
            raise

    def log(self, name: str) -> Path:
        """Return the log of a process, of all its starts."""
        return self.run / f"{name}.log"

    def said(self, name: str, what: str) -> int:
        """Return how often a process logged the text."""
        return self.log(name).read_text().count(what) if self.log(name).exists() else 0

    @contextmanager
    def guest(self, network_id: str, address: str) -> Iterator["Guest"]:
        """Return a client with that address on that network, as the proxy's headers state."""
        headers = {"X-Neutron-Network-ID": network_id, "X-Forwarded-For": address}
        transport = httpx.HTTPTransport(uds=str(self.run / "metadata_proxy"))
        with httpx.Client(transport=transport, headers=headers, timeout=DEADLINE) as client:
            yield Guest(client)


@dataclass(frozen=True)
class Guest:
    """A client that sends requests as the proxy does for a guest."""

    client: httpx.Client

    def get(self, path: str = "/openstack/latest/meta_data.json") -> httpx.Response:
        """Return the answer, whatever its status."""
        return self.client.get(f"http://169.254.169.254{path}")

    def who(self) -> str:
        """Return the instance id in the answer, or the status if it has none."""
        answer = self.get()
        return str(answer.json()["uuid"] if answer.is_success else answer.status_code)


def beside(server: RunningServer, directory: Path, state: Path) -> Hops:
    """Return the two hops of a host; they follow the host's part of the feed."""
    run = directory / "hops"
    run.mkdir(exist_ok=True)
    return Hops(state=state, run=run, server_url=server.url, service_port=free_port())


def isolated(server: RunningServer, cidr: str) -> str:
    """Create a network that the host serves; return its id."""
    report = {"agent_type": "DHCP agent", "binary": "neutron-dhcp-agent", "host": HOST}
    answer = server.api.post("/a9fe/v1/agents/report", json={**report, "configurations": {}})
    assert answer.status_code == 200, answer.text
    return server.network(cidr)


def instance(server: RunningServer, network_id: str, **values: Any) -> tuple[str, str]:
    """Create an instance with a port on a network; return its id and address."""
    body = {"instance": {"name": "vm", "networks": [{"uuid": network_id}], **values}}
    answer = server.api.post("/a9fe/v1/instances", json=body)
    assert answer.status_code == 201, answer.text
    id = str(answer.json()["instance"]["id"])
    port = server.list("port", device_id=id)[0]
    return id, str(port["fixed_ips"][0]["ip_address"])
