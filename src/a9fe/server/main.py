"""The server process: open the database, drop privileges, run uvicorn until a signal."""

import asyncio
import contextlib
import functools
import os
import socket
from collections.abc import Iterator
from typing import cast

import structlog
import uvicorn

from a9fe.linux.processes import privileges
from a9fe.linux.processes.standby import Standby
from a9fe.model.api_tokens import ApiToken
from a9fe.model.auth_strategy import check_bind_host, check_keystone
from a9fe.model.errors import A9feError
from a9fe.operations.agents.failover import Failover
from a9fe.runtime import descriptors, tasks
from a9fe.runtime.clock import Clock, SystemClock
from a9fe.runtime.config import Config
from a9fe.runtime.state import local_tokens
from a9fe.server.app import application
from a9fe.server.asgi.connections import Bounds
from a9fe.server.asgi.protocol import BoundedProtocol
from a9fe.server.auth.credentials import (
    KEYSTONE,
    TOKEN,
    Authenticator,
    Everyone,
    OwnTokens,
)
from a9fe.server.auth.keystone import Keystone
from a9fe.server.feed.hub import Hub
from a9fe.store import Store

log = structlog.get_logger()

SHUTDOWN_TIMEOUT = 5  # seconds for answers in flight
TICKS = 10
UMASK = 0o077  # the database has user data


class Server(uvicorn.Server):
    """uvicorn with bounds on connections and with our signal handlers.

    It closes the feeds before it ends.
    """

    def __init__(
        self, config: uvicorn.Config, hub: Hub, failover: Failover, bounds: Bounds
    ) -> None:
        super().__init__(config)
        self.hub = hub
        self.failover = failover
        self.bounds = bounds

    async def on_tick(self, counter: int) -> bool:
        """Sweep the connections once a second. uvicorn calls this TICKS times a second."""
        if counter % TICKS == 0:
            self.bounds.sweep()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: runtime.tasks handles signals."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the feeds first: their connections would never become idle."""
        self.hub.close()
        await super().shutdown(sockets)


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Raises A9feError if the server cannot start."""
    os.umask(UMASK)
    clock = SystemClock()
    check_bind_host(config.auth_strategy, config.bind_host)
    check_keystone(config.auth_strategy, config.keystone_auth_url, config.keystone_password)
    store = Store(config.database_connection, clock.now)
    upgrader = Standby(lambda: upgrade(store, config.server_user))
    listener = listen(config.bind_host, config.bind_port)
    server = prepare(config, store, clock, authenticator_of(config, store, clock))
    known = local_tokens.records(config.state_path, config.host)
    privileges.drop(config.server_user)
    if not store.is_current():
        upgrader.do()
    upgrader.close()
    keep_tokens(store, config.host, known)
    tasks.run(lambda: serve(server, listener))
    store.close()


def upgrade(store: Store, user: str) -> None:
    """Create or upgrade the database as its user. Raises StoreError."""
    store.load_migrations()
    privileges.drop(user)
    store.migrate()


def authenticator_of(config: Config, store: Store, clock: Clock) -> Authenticator:
    """Return the authenticator that auth_strategy names."""
    if config.auth_strategy == TOKEN:
        return OwnTokens(store)
    if config.auth_strategy == KEYSTONE:
        return Keystone(config, store, clock)
    return Everyone()


def keep_tokens(store: Store, host: str, known: list[ApiToken]) -> None:
    """Store the API tokens of this machine in place of its former ones."""
    description = local_tokens.description(host)
    store.transact(lambda session: session.api_tokens.replace(description, known))


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises A9feError if the address is in use or not local."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        reason = f"cannot listen on {host} port {port}: {error.strerror}"
        raise A9feError(f"bind_host, bind_port: {reason}") from error
    return listener


def prepare(
    config: Config,
    store: Store,
    clock: Clock,
    authenticator: Authenticator | None = None,
    hub: Hub | None = None,
) -> Server:
    """Return the server over a store."""
    hub = hub or Hub(store)
    bounds = Bounds(clock.monotonic, descriptors.raise_limit())
    served = uvicorn.Config(
        application(store, config, clock, hub, authenticator),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http=cast(type[asyncio.Protocol], functools.partial(BoundedProtocol, bounds)),
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
    )
    served.load()
    return Server(served, hub, Failover(store, config, clock), bounds)


async def serve(server: Server, listener: socket.socket) -> None:
    """Serve on a listening socket, and publish the feed, until cancelled."""
    hub = server.hub
    publishing = tasks.spawn(tasks.supervise("feed", hub.run), "feed")
    hearing = tasks.spawn(tasks.supervise("notices", hub.listen), "notices")
    moving = tasks.spawn(tasks.supervise("failover", server.failover.run), "failover")
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    host, port = listener.getsockname()[:2]
    log.info("ready", url=f"http://{host}:{port}", database=hub.store.shown)
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
        publishing.cancel()
        hearing.cancel()
        moving.cancel()
