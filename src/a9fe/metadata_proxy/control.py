"""The proxy's side of docs/contracts/listener-hand-over.md: agents give and drop listeners.

One JSON message a packet on a SEQPACKET Unix socket, sockets by SCM_RIGHTS. Only root and the
proxy's own user are heard. What is held stays held when an agent's connection breaks.
"""

import asyncio
import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields

import structlog

from a9fe.linux.listeners import peer_credentials
from a9fe.metadata_proxy.listeners import HeldListeners, Refused, described
from a9fe.model.errors import A9feError
from a9fe.runtime import tasks
from a9fe.wire.message import Listener

MESSAGE_BYTES = 1 << 16  # of one packet
LISTENERS_PER_MESSAGE = 200  # the kernel passes 253 descriptors at once (SCM_MAX_FD)
TRUNCATED = socket.MSG_TRUNC | socket.MSG_CTRUNC
ROOT = 0

Message = dict[str, object]

log = structlog.get_logger("a9fe.metadata_proxy")


@dataclass(slots=True, kw_only=True)
class _Agent:
    """A connected agent. `owner` "" until it has said hello."""

    sock: socket.socket
    owner: str = ""


class Control:
    """Listens to the agents."""

    def __init__(
        self, sock: socket.socket, held: HeldListeners, allowed: frozenset[int] | None = None
    ) -> None:
        """`sock` is the listening SEQPACKET socket. `allowed` uids; None: root and our own."""
        sock.settimeout(0)
        self._sock = sock
        self._held = held
        self._agents: dict[str, _Agent] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._allowed = frozenset({ROOT, os.geteuid()}) if allowed is None else allowed

    async def run(self) -> None:
        """Hear agents for ever; cancel to end."""
        try:
            while True:
                await self._ready(self._loop.add_reader, self._loop.remove_reader, self._sock)
                self._accept()
        finally:
            self._sock.close()
            for connection in self._connections:
                connection.cancel()

    def _accept(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except OSError as error:  # it has gone again, or we are out of descriptors
            log.warning("agent not accepted", reason=str(error))
            return
        try:
            peer_credentials.require(sock, self._allowed)
        except A9feError as error:
            log.warning("agent refused", reason=str(error))
            sock.close()
            return
        sock.settimeout(0)
        connection = tasks.spawn(self._serve(_Agent(sock=sock)), "agent connection")
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, agent: _Agent) -> None:
        try:
            while await self._serve_message(agent):
                pass
        except (OSError, ValueError) as error:
            log.warning("agent connection broken", owner=agent.owner, reason=str(error))
        finally:
            agent.sock.close()
            if self._agents.get(agent.owner) is agent:
                del self._agents[agent.owner]
                log.info("agent gone", owner=agent.owner, held=len(self._held.of(agent.owner)))

    async def _serve_message(self, agent: _Agent) -> bool:
        """One message and its answer; False at the end."""
        received = await self._receive(agent)
        if received is None:
            return False
        message, socks = received
        try:
            if message.get("op") == "hello":
                await self._hello(agent, message)
                return True
            await self._obey(agent, message, socks)
            answer: Message = {"op": "ok"}
        except (A9feError, OSError) as error:
            log.warning("hand-over refused", owner=agent.owner, reason=str(error))
            answer = {"op": "error", "message": str(error)}
        finally:
            for sock in socks:
                sock.close()
        await self._send(agent.sock, answer)
        return True

    # -- what an agent may ask ---------------------------------------------------------------

    async def _hello(self, agent: _Agent, message: Message) -> None:
        owner = message.get("owner")
        if not isinstance(owner, str) or not owner:
            raise Refused("hello: expected the owner's name")
        before = self._agents.get(owner)
        if before is not None and before is not agent:
            with suppress(OSError):  # it has ended by itself
                before.sock.shutdown(socket.SHUT_RDWR)  # its task sees the end and closes it
        agent.owner = owner
        self._agents[owner] = agent
        held = self._held.of(owner)
        log.info("agent connected", owner=owner, held=len(held))
        for start in range(0, max(1, len(held)), LISTENERS_PER_MESSAGE):
            part = held[start : start + LISTENERS_PER_MESSAGE]
            answer: Message = {
                "op": "held",
                "listeners": [described(one) for one in part],
                "last": start + LISTENERS_PER_MESSAGE >= len(held),
            }
            await self._send(agent.sock, answer, [one.sock for one in part])

    async def _obey(self, agent: _Agent, message: Message, socks: list[socket.socket]) -> None:
        if not agent.owner:
            raise Refused("expected hello first")
        if message.get("op") == "give":
            if len(socks) != 1:
                raise Refused(f"give: expected one socket, got {len(socks)}")
            listener = parse_listener(message.get("listener"))
            await self._held.give(agent.owner, listener, socks.pop())
            log.info("listener taken", listener=listener.key, owner=agent.owner)
        elif message.get("op") == "drop":
            key = str(message.get("key"))
            self._held.drop(agent.owner, key)
            log.info("listener dropped", listener=key, owner=agent.owner)
        elif message.get("op") == "clear":
            for held in self._held.of(agent.owner):
                self._held.drop(agent.owner, held.listener.key)
            log.info("listeners dropped", owner=agent.owner)
        else:
            raise Refused(f"op: {message.get('op')!r}, expected hello, give or drop")

    # -- packets -----------------------------------------------------------------------------

    async def _receive(self, agent: _Agent) -> tuple[Message, list[socket.socket]] | None:
        add, remove = self._loop.add_reader, self._loop.remove_reader
        while True:
            try:
                data, fds, flags, _ = socket.recv_fds(
                    agent.sock, MESSAGE_BYTES, LISTENERS_PER_MESSAGE, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                await self._ready(add, remove, agent.sock)
                continue
            break
        socks = [socket.socket(fileno=fd) for fd in fds]
        if not data:
            return None
        try:
            return parse_message(data, whole=not flags & TRUNCATED), socks
        except ValueError:
            for sock in socks:
                sock.close()
            raise

    async def _send(
        self, sock: socket.socket, message: Message, passed: list[socket.socket] | None = None
    ) -> None:
        data = json.dumps(message).encode()
        fds = [one.fileno() for one in passed or []]
        while True:
            try:
                socket.send_fds(sock, [data], fds) if fds else sock.send(data)
            except BlockingIOError:
                await self._ready(self._loop.add_writer, self._loop.remove_writer, sock)
            else:
                return

    async def _ready(
        self,
        add: Callable[[socket.socket, Callable[[], object]], object],
        remove: Callable[[socket.socket], object],
        sock: socket.socket,
    ) -> None:
        ready = asyncio.Event()
        add(sock, ready.set)
        try:
            await ready.wait()
        finally:
            remove(sock)


def parse_message(data: bytes, *, whole: bool = True) -> Message:
    """A packet's JSON object. Raises ValueError."""
    if not whole:
        raise ValueError("message too long, or more sockets than can be received")
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError("the message is no JSON object")  # noqa: TRY004 - as json's own errors
    return message


def parse_listener(document: object) -> Listener:
    """The listener in a message. Raises Refused.

    Older agents leave out newer fields.
    """
    kinds = {field.name: field.type for field in fields(Listener)}
    needed = {field.name for field in fields(Listener) if field.default is MISSING}
    if not isinstance(document, dict) or not needed <= document.keys() <= kinds.keys():
        raise Refused(f"listener: expected an object with {', '.join(kinds)}")
    for name, value in document.items():
        if type(value) is not kinds[name]:
            raise Refused(f"listener.{name}: {value!r} is not valid, expected {kinds[name]}")
    return Listener(**document)
