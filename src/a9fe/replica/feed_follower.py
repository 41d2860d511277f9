"""Follows the feed: connect, apply events, and after a break connect again and resume.

replica = open_for(config, "l3")
await follow(replica, connector(config, "l3"), SystemClock())
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

import structlog

from a9fe.api_client.errors import FeedLost
from a9fe.api_client.feed import FeedEvent, stream
from a9fe.api_client.servers import Rotation
from a9fe.model.policy import ANY_HOST
from a9fe.replica.persistence import RETRY
from a9fe.replica.replica import Replica, StoreRefused
from a9fe.runtime import metrics
from a9fe.runtime.clock import Clock
from a9fe.runtime.config import Config
from a9fe.runtime.tasks import Backoff, jittered, spawn

log = structlog.get_logger()

BACKOFF = Backoff(first=0.2, ceiling=5.0)
SERVICE = "service"  # the metadata service's name in the feed
LOG_INTERVAL = 60.0  # s between log lines about a database that is not followed
UNUSUAL = 4  # failures in a row, about 2 s: longer than the server takes to start


class Feed(Protocol):
    """A feed. Its iterator ends, or raises FeedLost, when the stream breaks."""

    def __call__(self, from_revision: int | None) -> AsyncGenerator[FeedEvent, None]:
        """Return the events after a revision; None requests a snapshot."""
        ...


def path_of(config: Config, agent: str) -> str:
    """Return the path of the replica of an agent (l3, dhcp, metadata, service)."""
    return os.path.join(config.state_path, f"replica-{agent}", "replica.db")


def open_for(config: Config, agent: str) -> Replica:
    """Open an agent's replica as it was left. Call it as the user that will write it."""
    source = f"{config.server_url} {host_of(config, agent)} {agent}"
    return Replica.open(path_of(config, agent), source)


def host_of(config: Config, agent: str) -> str:
    """Return the host that an agent follows: this host, or "*" for a service of all hosts."""
    is_central = agent == SERVICE and config.metadata_service_hosts == ANY_HOST
    return ANY_HOST if is_central else config.host


def connector(config: Config, agent: str) -> Feed:
    """Return the feed of an agent of this host. Each connection uses the next server."""
    servers, host = Rotation(config.server_url, f"{config.host} {agent}"), host_of(config, agent)

    async def connect(from_revision: int | None) -> AsyncGenerator[FeedEvent, None]:
        try:
            events = stream(servers.current, host, agent, from_revision, token=config.auth_token)
            async with aclosing(events):
                async for event in events:
                    yield event
        finally:
            servers.turn()

    return connect


async def follow(
    replica: Replica,
    connect: Feed,
    clock: Clock,
    backoff: Backoff = BACKOFF,
    mending: Backoff = RETRY,
) -> None:
    """Follow until cancelled. A broken stream is logged and connected again.

    If the replica's file fails, it is recreated from a snapshot as soon as the disk allows;
    `mending` is the backoff between attempts.
    """
    follower = _Follower(replica, connect, clock)
    mender = spawn(follower.mend(mending), "replica on disk")
    failures, refusal = 0, _Refusal()
    metrics.LAG_SECONDS.set_function(lambda: replica.freshness(clock.now()).lost_for)
    metrics.LAG_REVISIONS.set_function(lambda: replica.lag)
    try:
        while True:
            try:
                await follower.once()
                reason = "the server ended the stream"
            except FeedLost as error:
                reason = str(error)
                if isinstance(error, StoreRefused):
                    refusal.log(error, clock.monotonic())
            finally:
                was_synced = replica.freshness(clock.now()).synced_now
                replica.lost(clock.now())
            failures = 1 if was_synced else failures + 1
            delay = jittered(backoff, failures)
            write = log.warning if was_synced or failures == UNUSUAL else log.debug
            write("change feed lost", reason=reason, again_in=round(delay, 2))
            await asyncio.sleep(delay)
    finally:
        mender.cancel()


class _Refusal:
    """Logs once a minute why a server is not followed, and what to do."""

    def __init__(self) -> None:
        self._logged_at = float("-inf")

    def log(self, error: StoreRefused, now: float) -> None:
        metrics.STORE_REFUSED.set(1)
        if now < self._logged_at + LOG_INTERVAL:
            return
        self._logged_at = now
        log.error(
            "server not followed: its database has another id or a lower revision",
            reason=str(error),
            meanwhile="nothing is removed, VMs are served from the replica",
            to_do=f"restore the database, or accept it with: a9fe db accept {error.known}",
        )


class _Follower:
    """Makes the connections, and ends one early if the file needs a snapshot."""

    def __init__(self, replica: Replica, connect: Feed, clock: Clock) -> None:
        self._replica = replica
        self._connect = connect
        self._clock = clock
        self._until: asyncio.Timeout | None = None
        self._failed = asyncio.Event()
        replica.persistence.on_failure = self._failed.set
        if replica.persistence.behind:
            self._failed.set()

    async def once(self) -> None:
        """Follow until the stream breaks. Raises FeedLost."""
        replica = self._replica
        try:
            async with (
                asyncio.timeout(None) as self._until,
                aclosing(self._connect(replica.resume_from)) as events,
            ):
                async for event in events:
                    replica.apply(event, self._clock.now())
                    if event.event == "synced":
                        metrics.STORE_REFUSED.set(0)
                        log.info("change feed followed", revision=event.revision)
        except TimeoutError as error:
            raise FeedLost(
                "reconnecting for a snapshot, to write the replica to disk again"
            ) from error
        finally:
            self._until = None

    async def mend(self, backoff: Backoff) -> None:
        """Recreate the file each time it fails, and request a snapshot to fill it."""
        persistence = self._replica.persistence
        while True:
            await self._failed.wait()
            self._failed.clear()
            while persistence.behind and not persistence.filling and not persistence.is_in_use:
                if persistence.failures > 1 or not persistence.is_damaged:
                    await asyncio.sleep(jittered(backoff, persistence.failures))
                if persistence.recreate() and self._until is not None:
                    self._until.reschedule(asyncio.get_running_loop().time())
