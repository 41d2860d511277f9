"""The servers that the part `path` measures, one a process: `python -m bench.path_servers NAME`.

They print a line when they listen. VMs and documents are made here, without server and feed.
"""

import argparse
import asyncio
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from tests.kit.feed_events import feed, snapshot

from a9fe.http.gc_tuning import tune_gc
from a9fe.http.report import Report
from a9fe.http.server.server import Server
from a9fe.http.server.sockets import unix_listener
from a9fe.linux.kernel import namespace
from a9fe.metadata_agent import hop as agent_hop
from a9fe.metadata_host import hop as host_hop
from a9fe.metadata_proxy import hop as proxy_hop
from a9fe.metadata_service import hop as service_hop
from a9fe.model.resources import Instance, Keypair, Resource
from a9fe.replica import open_for
from a9fe.runtime import descriptors, metrics, tasks
from a9fe.runtime.clock import SystemClock
from a9fe.runtime.config import Config, load
from a9fe.wire.limits import AGENT_LIMITS, LIMITS, SERVICE_LIMITS, fitting
from a9fe.wire.message import Answer, Listener, Request
from bench import service
from bench.observe import memory

SERVICE_PORT = 8775
LISTENER = Listener(
    kind="network", id=service.NETWORK.id, namespace="path", address="0.0.0.0", port=0
)
UNLIMITED = 10**9  # requests: the rate limit decides about each, and admits it
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + 43 * "A" + " bench"
USER_DATA = b"#cloud-config\n".ljust(1024, b"#")

Main = Callable[[argparse.Namespace], Awaitable[None]]


def resources(count: int) -> list[Resource]:
    """Return `count` VMs."""
    found: list[Resource] = [service.NETWORK, service.SUBNET]
    for number in range(1, count + 1):
        found.append(service.port(number))
        found.append(instance(number))
    return found


def instance(number: int) -> Instance:
    """Return the instance with this number; documents of all have equal sizes."""
    return replace(
        service.instance(number),
        name=f"vm{number:06d}",
        user_data=USER_DATA,
        keypairs=(Keypair(name="bench", public_key=KEY),),
    )


def config_of(options: argparse.Namespace) -> Config:
    """Return the configuration of the hops; their replicas are filled."""
    config = load(
        {
            "state_path": f"{options.scratch}/{options.name}{options.port}",
            "run_path": f"{options.scratch}/run",
            "metadata_proxy_socket": options.upstream or f"{options.scratch}/run/agent.sock",
            "nova_metadata_host": "127.0.0.1",
            "nova_metadata_port": SERVICE_PORT,
            "metadata_proxy_shared_secret": service.SECRET,
            "guest_request_rate": UNLIMITED,
            "guest_request_burst": UNLIMITED,
        },
        {},
    )
    for name in (agent_hop.FEED_AGENT, service_hop.FEED_AGENT):
        replica = open_for(config, name)
        feed(replica, *snapshot(1, *resources(options.count)), now=SystemClock().now())
        replica.close()
    return config


def tcp(port: int) -> socket.socket:
    """Listen on all addresses."""
    return socket.create_server(("0.0.0.0", port), backlog=4096)


async def served(
    server: Server, sock: socket.socket, listener: Listener | None = None, more: int = 0
) -> None:
    """Serve until cancelled; `more`: listeners in as many namespaces."""
    await server.listen(sock, listener)
    tune_gc()
    print("ready", json.dumps(await listened(server, more)) if more else "", flush=True)
    await asyncio.Event().wait()


async def listened(server: Server, count: int) -> dict[str, float]:
    """Listen in namespaces. Return microseconds and bytes of each listener."""
    sockets = [
        namespace.call_inside(f"path-l{number}", lambda: tcp(80)) for number in range(count)
    ]
    pid = os.getpid()
    before, began = memory(pid)[0], time.thread_time()
    for number, sock in enumerate(sockets):
        await server.listen(sock, replace(LISTENER, namespace=f"path-l{number}"))
    spent = time.thread_time() - began
    size = (memory(pid)[0] - before) * 1024 * 1024
    return {"us": spent / count * 1e6, "bytes": size / count}


async def answers(options: argparse.Namespace) -> None:
    """Serve documents from a dictionary: the HTTP server by itself."""
    texts = json.loads(Path(options.documents).read_text())  # noqa: ASYNC240 - before serving
    kind = (b"content-type", b"text/plain")
    found = {
        path.encode(): Answer(status=200, headers=(kind, (b"etag", b'"0123456789abcdef"')), body=b)
        for path, b in ((path, text.encode()) for path, text in texts.items())
    }

    def handler(request: Request) -> Answer:
        return found[request.target]

    report = Report("path", metrics)
    limits = fitting(LIMITS, descriptors.raise_limit())
    server = Server(handler, report=report, limits=limits)
    await served(server, tcp(options.port), LISTENER)


async def host(options: argparse.Namespace) -> None:
    """Serve the host shape."""
    report = Report("metadata-host", metrics)
    hop = await host_hop.build_hop(config_of(options), report)
    most = descriptors.raise_limit() // 2
    limits = replace(
        LIMITS,
        connections=most,
        connections_per_listener=most,
        connections_per_client=most,
        idle_timeout=600.0,
    )
    server = Server(hop.handler, limits=limits, report=report, outgoing=hop.outgoing)
    await served(server, tcp(options.port), LISTENER, options.listeners)


async def proxy(options: argparse.Namespace) -> None:
    """Serve hop 1."""
    report = Report("metadata-proxy", metrics)
    hop = proxy_hop.build_hop(config_of(options), report)
    limits = fitting(LIMITS, descriptors.raise_limit())
    server = Server(hop.handler, limits=limits, report=report, outgoing=hop.outgoing)
    await served(server, tcp(options.port), LISTENER)


async def agent(options: argparse.Namespace) -> None:
    """Serve hop 2."""
    config = config_of(options)
    report = Report("metadata-agent", metrics)
    hop = await agent_hop.build_hop(config, report)
    server = Server(hop.handler, limits=AGENT_LIMITS, report=report)
    os.makedirs(config.run_path, exist_ok=True)
    await served(server, unix_listener(config.metadata_proxy_socket))


async def metadata(options: argparse.Namespace) -> None:
    """Serve hop 3."""
    report = Report("metadata-service", metrics)
    hop = await service_hop.build_hop(config_of(options), report)
    server = Server(hop.handler, limits=SERVICE_LIMITS, report=report)
    await served(server, tcp(SERVICE_PORT))


SERVERS: dict[str, Main] = {
    "answers": answers,
    "host": host,
    "proxy": proxy,
    "agent": agent,
    "service": metadata,
}


def main() -> None:
    """Run the server that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m bench.path_servers")
    parser.add_argument("name", choices=SERVERS)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--count", type=int, default=0, help="VMs")
    parser.add_argument("--documents", help="a JSON object: path to text")
    parser.add_argument("--upstream", default="", help="a Unix socket, for hop 1")
    parser.add_argument("--listeners", type=int, default=0, help="more, in namespaces")
    options = parser.parse_args()
    descriptors.raise_limit()
    tasks.run(lambda: SERVERS[options.name](options))


if __name__ == "__main__":
    main()
