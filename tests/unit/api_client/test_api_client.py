"""Requests, reports and the feed, as they are on the wire."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest

from a9fe.api_client import AmbiguousName, ApiClient, ApiError, ServerUnreachable
from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.errors import FeedLost
from a9fe.api_client.feed import FeedEvent, parse, stream
from a9fe.api_client.state_reports import StateReporter
from a9fe.model.codec import encode
from a9fe.model.resources import Network
from tests.kit.fake_api import FakeApi, running_api

URL = "http://api"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with running_api() as running:
        yield running


# ---- calls


def test_create_show_list_delete(api: FakeApi):
    with ApiClient(api.url) as client:
        made = client.create("networks", {"name": "lab"})
        assert client.show("networks", made["id"]) == made
        assert client.list("networks", name="lab") == [made]
        assert client.list("networks", name="other") == []
        client.delete("networks", made["id"])
        assert client.list("networks") == []


def test_names_ids_and_ambiguity(api: FakeApi):
    one = api.add("networks", name="lab")
    with ApiClient(api.url) as client:
        assert client.find("networks", "lab") == one
        assert client.find("networks", one["id"]) == one
        with pytest.raises(ApiError, match="network: no network has the name or id 'nowhere'"):
            client.find("networks", "nowhere")
        two = api.add("networks", name="lab")
        with pytest.raises(AmbiguousName, match=f"2 are named 'lab'.*{two['id']}"):
            client.find("networks", "lab")
        assert client.find("networks", one["id"]) == one


@pytest.mark.parametrize("name", ["", "a/b", "../networks", "?name=lab"])
def test_a_name_never_changes_the_path(api: FakeApi, name: str):
    api.add("networks", name="lab")
    with ApiClient(api.url) as client, pytest.raises(ApiError, match="no network"):
        client.find("networks", name)


def test_the_servers_message_is_the_error(api: FakeApi):
    network = api.add("networks", name="lab")
    api.add("ports", network_id=network["id"])
    with ApiClient(api.url) as client, pytest.raises(ApiError) as caught:
        client.delete("networks", network["id"])
    assert (caught.value.status, caught.value.type) == (409, "NetworkInUse")
    assert str(caught.value).startswith("Unable to complete operation")


def test_an_unreachable_server_is_an_error_that_says_what_to_do():
    with ApiClient("http://127.0.0.1:9") as client, pytest.raises(ServerUnreachable) as caught:
        client.list("networks")
    assert "http://127.0.0.1:9" in str(caught.value)
    assert "a9fe up" in str(caught.value)


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json={"nets": []}),
        httpx.Response(200, json={"networks": {}}),
    ],
)
def test_an_answer_of_another_server_is_an_error(response: httpx.Response):
    transport = httpx.MockTransport(lambda _: response)
    with ApiClient(URL, transport) as client, pytest.raises(ApiError, match=URL):
        client.list("networks")


def test_null_is_an_answer_without_a_body():
    """As Neutron answers POST agents/{id}/dhcp-networks."""
    transport = httpx.MockTransport(lambda _: httpx.Response(201, text="null"))
    with ApiClient(URL, transport) as client:
        assert client.call("POST", "/v2.0/agents/1/dhcp-networks", {}) == {}


def test_an_error_that_is_not_neutrons():
    transport = httpx.MockTransport(lambda _: httpx.Response(502, text="bad gateway"))
    with ApiClient(URL, transport) as client, pytest.raises(ApiError, match="502"):
        client.list("networks")


# ---- the feed

NETWORK = Network(id="n1", name="lab")
LINES = [
    {"event": "snapshot", "revision": 4},
    {"event": "upsert", "revision": 4, "kind": "network", "object": encode(NETWORK)},
    {"event": "synced", "revision": 4},
    {"event": "delete", "revision": 5, "kind": "network", "id": "n1"},
    {"event": "heartbeat", "revision": 5},
]


def test_lines_become_events():
    events = [parse(json.dumps(line)) for line in LINES]
    assert events[0] == FeedEvent(event="snapshot", revision=4)
    assert events[1] == FeedEvent(
        event="upsert", revision=4, kind="network", id="n1", object=NETWORK
    )
    assert events[3] == FeedEvent(event="delete", revision=5, kind="network", id="n1")


@pytest.mark.parametrize(
    "line",
    [
        '{"event":"fireworks","revision":1}',
        '{"event":"delete","revision":1,"kind":"tap","id":"x"}',
    ],
)
def test_events_of_newer_servers_are_ignored(line: str):
    assert parse(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{",
        '{"event":"synced"}',
        '{"event":"synced","revision":"1"}',
        '{"event":"upsert","revision":1,"kind":"port"}',
        '{"event":"upsert","revision":1,"kind":"port","object":{"id":"x"}}',
        '{"event":"delete","revision":1,"kind":"port"}',
    ],
)
def test_an_unreadable_line_breaks_the_feed(line: str):
    with pytest.raises(FeedLost):
        parse(line)


class Lines(httpx.AsyncByteStream):
    """A body that arrives in pieces of a few bytes."""

    def __init__(self, text: str) -> None:
        self._content = text.encode()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), 7):
            yield self._content[start : start + 7]


def followed(
    answer: Callable[[httpx.Request], httpx.Response], from_revision: int | None = None
) -> tuple[list[FeedEvent], str]:
    """Return the events until the feed was lost, and the reason."""
    events: list[FeedEvent] = []

    async def follow() -> str:
        transport = httpx.MockTransport(answer)
        try:
            async for event in stream(URL, "node1", "l3", from_revision, transport):
                events.append(event)
        except FeedLost as error:
            return str(error)
        return "not lost"

    return events, asyncio.run(follow())


def test_a_stream_is_followed_until_it_breaks():
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        text = "".join(json.dumps(line) + "\n" for line in LINES)
        return httpx.Response(200, stream=Lines(text))

    events, reason = followed(answer)
    assert [e.event for e in events] == ["snapshot", "upsert", "synced", "delete", "heartbeat"]
    assert "ended" in reason
    assert dict(asked[0].params) == {"host": "node1", "agent": "l3"}
    assert asked[0].path == "/a9fe/v1/feed"


def test_resuming_names_the_revision():
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["from"])
        return httpx.Response(200)

    followed(answer, 0)
    followed(answer, 17)
    assert asked == ["0", "17"]


def test_a_refusal_is_a_lost_feed():
    body = {"NeutronError": {"type": "X", "message": "who are you?", "detail": ""}}
    events, reason = followed(lambda _: httpx.Response(400, json=body))
    assert events == []
    assert "who are you?" in reason


# ---- reports


def test_the_first_accepted_report_is_the_start():
    bodies: list[dict[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if not bodies:
            bodies.append({})
            raise httpx.ConnectError("refused")
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json={"agent_id": "a1"})

    async def main() -> None:
        client = AgentClient(URL, "node1", httpx.MockTransport(answer))
        reporter = StateReporter(client, "L3 agent", "neutron-l3-agent")
        with pytest.raises(ServerUnreachable):
            await reporter.report({})
        assert await reporter.report({"x": 1}, ports_up=["b", "a"]) == "a1"
        await reporter.report({}, ports_down=[])
        await client.close()

    asyncio.run(main())
    first, second = bodies[1:]
    assert first == {
        "agent_type": "L3 agent",
        "binary": "neutron-l3-agent",
        "host": "node1",
        "configurations": {"x": 1},
        "start": True,
        "ports_up": ["a", "b"],
    }
    assert second["start"] is False
    assert second["ports_down"] == []
    assert "ports_up" not in second


def test_reporting_goes_on_after_failures():
    seen: list[int] = []

    async def main() -> None:
        done = asyncio.Event()

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(1)
            if len(seen) < 3:
                return httpx.Response(503)
            done.set()
            return httpx.Response(200, json={"agent_id": "a1"})

        client = AgentClient(URL, "node1", httpx.MockTransport(answer))
        reporter = StateReporter(client, "L3 agent", "neutron-l3-agent")
        running = asyncio.ensure_future(reporter.run(0.01, dict))
        await asyncio.wait_for(done.wait(), 10)
        running.cancel()
        await client.close()

    asyncio.run(main())
    assert len(seen) >= 3
