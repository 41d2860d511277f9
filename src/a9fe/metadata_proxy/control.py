"""The proxy's side of docs/contracts/listener-hand-over.md: agents give and drop listeners.

Only root and the proxy's own user may connect. Listeners stay held when an agent's connection
breaks.
"""

import asyncio
import os
import socket
from dataclasses import dataclass

import structlog

from a9fe.linux.listeners import peer_credentials
from a9fe.linux.listeners.seqpacket import Broken, Channel, Ended, close_all, readable
from a9fe.metadata_proxy.kept_connections import KeptConnections
from a9fe.metadata_proxy.listeners import HandoverRefused, HeldListeners
from a9fe.model.errors import A9feError
from a9fe.runtime import tasks
from a9fe.wire.handover import (
    CONNECTIONS_PER_PACKET,
    LISTENERS_PER_PACKET,
    Done,
    Drop,
    Give,
    Held,
    Hello,
    Keep,
    Kept,
    Refused,
    Reply,
    Request,
    Take,
    decode_request,
    in_packets,
)

ROOT = 0

log = structlog.get_logger("a9fe.metadata_proxy")


@dataclass(slots=True, kw_only=True)
class _Agent:
    """A connected agent. `owner` is "" before its hello."""

    channel: Channel
    owner: str = ""


class Control:
    """The control socket: receives listeners from agents, and gives them back."""

    def __init__(
        self,
        sock: socket.socket,
        held: HeldListeners,
        allowed: frozenset[int] | None = None,
        kept: KeptConnections | None = None,
    ) -> None:
        """`sock` is the listening SEQPACKET socket. `allowed` uids; None: root and our own.

        `kept`: where idle connections of a proxy that ends are held; None refuses them.
        """
        sock.settimeout(0)
        self._sock = sock
        self._held = held
        self._kept = kept
        self._agents: dict[str, _Agent] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._allowed = frozenset({ROOT, os.geteuid()}) if allowed is None else allowed

    @property
    def connected(self) -> int:
        """Return the number of connected agents."""
        return len(self._agents)

    async def run(self) -> None:
        """Serve agents until cancelled."""
        try:
            while True:
                await readable(self._sock)
                self._accept()
        finally:
            self._sock.close()
            for connection in self._connections:
                connection.cancel()

    def _accept(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except OSError as error:  # the agent has gone, or no descriptor is left
            log.warning("agent not accepted", reason=str(error))
            return
        try:
            peer_credentials.require(sock, self._allowed)
        except A9feError as error:
            log.warning("agent refused", reason=str(error))
            sock.close()
            return
        agent = _Agent(channel=Channel(sock))
        connection = tasks.spawn(self._serve(agent), "agent connection")
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, agent: _Agent) -> None:
        try:
            while True:
                await self._serve_packet(agent)
        except Ended:
            pass
        except (OSError, ValueError, Broken) as error:
            log.warning("agent connection broken", owner=agent.owner, reason=str(error))
        finally:
            agent.channel.sock.close()
            if self._agents.get(agent.owner) is agent:
                del self._agents[agent.owner]
                log.info("agent gone", owner=agent.owner, held=len(self._held.of(agent.owner)))

    async def _serve_packet(self, agent: _Agent) -> None:
        data, sockets = await agent.channel.receive()
        reply: Reply = Done()
        try:
            request = decode_request(data)
            if isinstance(request, Hello):
                await self._hello(agent, request)
                return
            if isinstance(request, Take):
                await self._take(agent)
                return
            await self._obey(agent, request, sockets)
        except (A9feError, OSError) as error:
            log.warning("hand-over refused", owner=agent.owner, reason=str(error))
            reply = Refused(message=str(error))
        finally:
            close_all(sockets)
        await agent.channel.send(reply)

    async def _hello(self, agent: _Agent, hello: Hello) -> None:
        before = self._agents.get(hello.owner)
        if before is not None and before is not agent:
            before.channel.hang_up()
        agent.owner = hello.owner
        self._agents[hello.owner] = agent
        held = self._held.of(hello.owner)
        log.info("agent connected", owner=hello.owner, held=len(held))
        for part, last in in_packets(held, LISTENERS_PER_PACKET):
            packet = Held(listeners=tuple(one.listener for one in part), last=last)
            await agent.channel.send(packet, [one.sock for one in part])

    async def _take(self, agent: _Agent) -> None:
        pairs = self._kept.take() if self._kept is not None else []
        try:
            for part, last in in_packets(pairs, CONNECTIONS_PER_PACKET):
                packet = Kept(connections=tuple(idle for idle, _ in part), last=last)
                await agent.channel.send(packet, [sock for _, sock in part])
        finally:
            close_all([sock for _, sock in pairs])

    def _keep(self, request: Keep, sockets: list[socket.socket]) -> None:
        if self._kept is None or len(sockets) != len(request.connections):
            raise HandoverRefused(f"keep: not expected here with {len(sockets)} sockets")
        self._kept.keep(request.connections, list(sockets))
        sockets.clear()
        log.info("idle connections kept", connections=len(self._kept))

    async def _obey(self, agent: _Agent, request: Request, sockets: list[socket.socket]) -> None:
        if isinstance(request, Keep):
            self._keep(request, sockets)
            return
        if not agent.owner:
            raise HandoverRefused("expected hello first")
        if isinstance(request, Give):
            if len(sockets) != 1:
                raise HandoverRefused(f"give: expected one socket, got {len(sockets)}")
            await self._held.give(agent.owner, request.listener, sockets.pop())
            log.info("listener taken", listener=request.listener.key, owner=agent.owner)
        elif isinstance(request, Drop):
            self._held.drop(agent.owner, request.key)
            log.info("listener dropped", listener=request.key, owner=agent.owner)
        else:
            for held in self._held.of(agent.owner):
                self._held.drop(agent.owner, held.listener.key)
            log.info("listeners dropped", owner=agent.owner)
