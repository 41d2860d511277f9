"""The change feed as a client: one HTTP stream of JSON lines (docs/contracts/change-feed.md).

{"event":"hello","revision":R,"store":S,"accepts":[...]}   the first line: which database it is
{"event":"snapshot","revision":R}      forget resources that are not sent again before synced
{"event":"upsert","revision":R,"kind":K,"object":{...}}
{"event":"delete","revision":R,"kind":K,"id":I}
{"event":"synced","revision":R}        complete up to R
{"event":"heartbeat","revision":R}     every 10 s
"""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from a9fe.api_client.errors import ApiError, FeedLost, raise_for, reason_of
from a9fe.api_client.transport import async_client
from a9fe.model.codec import CodecError, decode_kind
from a9fe.model.resources import KINDS, Resource

CONNECT_TIMEOUT = 5.0  # s
SILENCE = 30.0  # s without a line (three heartbeats) after which the stream is lost
EVENTS = frozenset({"hello", "snapshot", "upsert", "delete", "synced", "heartbeat"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """A line of the feed.

    upsert and delete have `kind` and `id`, upsert also `object`. hello has the database's id
    (`store`) and the ids of the databases that it replaces (`accepts`).
    """

    event: str
    revision: int
    kind: str = ""
    id: str = ""
    object: Resource | None = None
    store: str = ""
    accepts: tuple[str, ...] = ()


def parse(line: str) -> FeedEvent | None:
    """Return the event of a line, None for one that only newer versions have. Raises FeedLost."""
    try:
        document = json.loads(line)
        return _event(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = error if isinstance(error, CodecError) else f"{line[:80]!r}"
        raise FeedLost(f"change feed: cannot read a line: {text}") from error


def _event(document: dict[str, Any]) -> FeedEvent | None:
    event, revision, kind = document["event"], document["revision"], document.get("kind", "")
    if not isinstance(revision, int):
        raise TypeError(revision)
    if event not in EVENTS or (event in ("upsert", "delete") and kind not in KINDS):
        return None
    if event == "upsert":
        resource = decode_kind(kind, document["object"])
        return FeedEvent(
            event=event, revision=revision, kind=kind, id=resource.id, object=resource
        )
    if event == "delete":
        return FeedEvent(event=event, revision=revision, kind=kind, id=str(document["id"]))
    if event == "hello":
        accepts = tuple(str(id) for id in document.get("accepts", ()))
        store = str(document.get("store", ""))
        return FeedEvent(event=event, revision=revision, store=store, accepts=accepts)
    return FeedEvent(event=event, revision=revision)


def query_of(host: str, agent: str, from_revision: int | None, *, once: bool = False) -> str:
    """Return the query of a feed request. With `once` the answer ends after `synced`."""
    query = {"host": host, "agent": agent}
    if from_revision is not None:
        query["from"] = str(from_revision)
    if once:
        query["once"] = "1"
    return urlencode(query)


async def stream(
    url: str,
    host: str,
    agent: str,
    from_revision: int | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    token: str = "",
) -> AsyncGenerator[FeedEvent, None]:
    """Yield the events for an agent (l3, dhcp, metadata, service) of `host`.

    `from_revision` resumes after it, None requests a snapshot. Raises FeedLost when it ends.
    """
    timeout = httpx.Timeout(SILENCE, connect=CONNECT_TIMEOUT)
    address = f"{url.rstrip('/')}/a9fe/v1/feed?{query_of(host, agent, from_revision)}"
    try:
        async with (
            async_client(url, token, timeout, transport) as http,
            http.stream("GET", address) as response,
        ):
            if not response.is_success:
                await response.aread()
            raise_for(response)
            async for line in response.aiter_lines():
                if (event := parse(line)) is not None:
                    yield event
    except httpx.HTTPError as error:
        raise FeedLost(f"change feed of {url}: {reason_of(error)}") from error
    except ApiError as error:
        raise FeedLost(f"change feed of {url}: {error}") from error
    raise FeedLost(f"change feed of {url}: the server ended it")
