"""Failover between several servers, and the API token in requests."""

import asyncio
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from a9fe.api_client import ApiClient, ApiError, ServerUnreachable
from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.servers import Rotation, servers
from a9fe.api_client.state_reports import StateReporter
from a9fe.replica import connector
from a9fe.runtime.config import Config, load
from tests.kit.running_server import running

NOBODY = "http://127.0.0.1:9"


def test_a_list_of_servers():
    assert servers(" http://a:1/ ,http://b:2") == ("http://a:1", "http://b:2")
    config = load({"server_url": "http://a:1, http://b:2"}, {})
    assert config.server_url == "http://a:1,http://b:2"


def test_clients_share_the_servers_and_each_keeps_its_own():
    urls = ",".join(f"http://s{n}" for n in range(4))
    first = [Rotation(urls, f"h{n} dhcp").current for n in range(100)]
    assert set(first) == set(servers(urls))
    assert first == [Rotation(urls, f"h{n} dhcp").current for n in range(100)]


def failing(error: httpx.HTTPError) -> httpx.Response:
    raise error


FAILURES = {  # what the first server does; whether the same request goes to the second one
    "refused": (lambda: failing(httpx.ConnectError("refused")), True),
    "no connection in time": (lambda: failing(httpx.ConnectTimeout("slow")), True),
    "no answer in time": (lambda: failing(httpx.ReadTimeout("slow")), False),
    "connection reset": (lambda: failing(httpx.ReadError("reset")), False),
    "server error": (lambda: httpx.Response(503), False),
}


@pytest.mark.parametrize(("first", "is_sent_again"), FAILURES.values(), ids=FAILURES.keys())
def test_after_any_failure_the_next_request_goes_to_the_next_server(first, is_sent_again):
    rotation, tried = Rotation("http://a,http://b"), []
    with suppress(ServerUnreachable):
        for attempt in rotation.attempts():
            with attempt:
                tried.append(attempt.url)
                attempt.answered(first() if attempt.url == "http://a" else httpx.Response(200))
                break
    assert tried == ["http://a", "http://b"][: 2 if is_sent_again else 1]
    assert rotation.current == "http://b"


def test_a_call_goes_to_a_server_that_answers():
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "down":
            raise httpx.ConnectError("refused", request=request)
        assert request.headers["X-Auth-Token"] == "t"
        return httpx.Response(200, json={"networks": []})

    transport = httpx.MockTransport(answer)
    with ApiClient("http://down:1,http://up:2", transport, token="t") as client:
        assert client.list("networks") == []
    with (
        ApiClient("http://down:1,http://down:2", transport) as client,
        pytest.raises(ServerUnreachable),
    ):
        client.list("networks")


def test_a_request_that_was_sent_is_not_sent_to_another_server():
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        raise httpx.ReadTimeout("slow", request=request)

    transport = httpx.MockTransport(answer)
    with (
        ApiClient("http://a:1,http://b:2", transport) as client,
        pytest.raises(ServerUnreachable),
    ):
        client.create("networks", {})
    assert asked == ["a"]


def test_a_report_goes_to_the_next_server_after_a_failure():
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.host, request.headers["X-Auth-Token"]))
        return httpx.Response(503 if len(asked) == 1 else 200, json={"agent_id": "a"})

    async def told() -> None:
        client = AgentClient("http://a,http://b", "h1", httpx.MockTransport(answer), token="t")
        reporter = StateReporter(client, "DHCP agent", "x")
        with suppress(Exception):
            await reporter.report({})
        assert await reporter.report({}) == "a"
        await client.close()

    asyncio.run(told())
    assert {host for host, _ in asked} == {"a", "b"}
    assert {token for _, token in asked} == {"t"}


def config_of(directory: Path, **options: str) -> Config:
    return load({"state_path": str(directory), "host": "h1", **options}, {})


def test_a_feed_is_taken_from_the_next_server(tmp_path: Path):
    async def told() -> None:
        async with running(tmp_path) as world:
            urls = f"{NOBODY},http://127.0.0.1:{world.port_number},{NOBODY}"
            connect = connector(config_of(tmp_path, server_url=urls), "dhcp")
            for _ in range(3):
                with suppress(Exception):
                    events = connect(None)
                    assert (await anext(events)).event == "hello"
                    await events.aclose()
                    return
        raise AssertionError("no server was found")

    asyncio.run(told())


def test_401_says_which_token_to_set():
    assert str(ApiError(403, "x", "no")) == "no"
    unknown = ApiError(401, "Unauthorized", "no")
    assert str(unknown).startswith("no: set A9FE_AUTH_TOKEN")
    assert unknown.message == "no"
