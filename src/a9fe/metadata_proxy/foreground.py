"""The proxy in the foreground, in the namespace that it is started in, for debugging.

With debug on it prints a block for each request: the request, the headers that the proxy added,
the status. It has one listener and needs no host agent.
"""

import asyncio
import sys
from typing import TextIO

import structlog

from a9fe.http.report import Report
from a9fe.http.server.server import serve
from a9fe.http.server.sockets import tcp_listener
from a9fe.linux.kernel import libc
from a9fe.linux.processes import privileges
from a9fe.metadata_proxy.hop import build_hop
from a9fe.metadata_proxy.proxy import Watcher
from a9fe.metadata_proxy.relay import added
from a9fe.model.resources import METADATA_IPV4, METADATA_PORT
from a9fe.runtime import descriptors, metrics, tasks
from a9fe.runtime.config import Config
from a9fe.wire.limits import LIMITS, fitting
from a9fe.wire.message import Listener, Request
from a9fe.wire.trusted import REQUEST_ID

PROCESS = "ns-metadata-proxy"
HERE = "."  # the namespace that it is started in
EVERYWHERE = "0.0.0.0"  # noqa: S104 - REDIRECT in a router's namespace picks the address

log = structlog.get_logger("a9fe.metadata_proxy")


def run_in_namespace(
    config: Config, *, network_id: str = "", router_id: str = "", port: int | None = None
) -> None:
    """Serve until SIGTERM or SIGINT. Give exactly one id. `port` None: 80 or metadata_port.

    Started as root, it becomes metadata_proxy_user. Raises StartError if the address is taken.
    """
    limits = fitting(LIMITS, descriptors.raise_limit())
    listener = listener_of(config, network_id, router_id, port)
    sock = tcp_listener(listener.address, listener.port, config.metadata_backlog)
    privileges.drop(config.metadata_proxy_user)
    libc.give_memory_back()

    async def main() -> None:
        report = Report(PROCESS, metrics)
        hop = build_hop(config, report, watcher=printer(sys.stdout) if config.debug else None)
        server = await serve(
            hop.handler,
            sock=sock,
            limits=limits,
            listener=listener,
            report=report,
            backlog=config.metadata_backlog,
            outgoing=hop.outgoing,
        )
        listen = f"{listener.address}:{listener.port}"
        log.info(
            "ready",
            listen=listen,
            upstream=config.metadata_proxy_socket,
            **{listener.kind: listener.id},
        )
        try:
            await asyncio.Event().wait()
        finally:
            await server.close()
            await hop.close()

    tasks.run(main)


def listener_of(config: Config, network_id: str, router_id: str, port: int | None) -> Listener:
    """Return the listener: its network or router, and its address. Raises ValueError."""
    if bool(network_id) == bool(router_id):
        raise ValueError("expected either network_id or router_id")
    if network_id:
        return Listener(
            kind="network",
            id=network_id,
            namespace=HERE,
            address=METADATA_IPV4,
            port=port or METADATA_PORT,
        )
    return Listener(
        kind="router",
        id=router_id,
        namespace=HERE,
        address=EVERYWHERE,
        port=port or config.metadata_port,
    )


def printer(out: TextIO) -> Watcher:
    """Return a Watcher that prints a block for each request to `out`."""

    def watch(request: Request, outgoing: Request, status: int, seconds: float) -> None:
        out.write(block(request, outgoing, status, seconds))
        out.flush()

    return watch


def block(request: Request, outgoing: Request, status: int, seconds: float) -> str:
    """Return a request, the headers that the proxy added and the status as plain ASCII. Pure."""
    lines = [f"--- {request.client_address} {_plain(request.method)} {_plain(request.target)}"]
    if request.listener is not None:
        request_id = outgoing.values(REQUEST_ID)[0]
        ours = added(request, request.listener, request_id)
        lines += [f"  + {_plain(name)}: {_plain(value)}" for name, value in ours]
    lines.append(f"  = {status} in {seconds * 1000:.1f} ms")
    return "\n".join(lines) + "\n"


def _plain(data: bytes) -> str:
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")
