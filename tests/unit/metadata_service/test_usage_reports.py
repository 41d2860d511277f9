"""Usage reports: no counts are lost while the server is unreachable."""

import asyncio
from collections.abc import Sequence

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from a9fe.api_client import ApiError, ServerUnreachable
from a9fe.api_client.agent_client import AgentClient
from a9fe.metadata_service.usage_reports import (
    BATCH,
    InstanceElsewhere,
    UsageReports,
    UsageTally,
    deliverer,
)
from a9fe.model.imds_usage import ImdsUsage
from tests.kit.http_world import run, until

NOW = 1_795_359_600.0  # 2026-11-22T15:00:00Z
QUICK = 0.001  # s


class Server:
    """A server that adds up reports; while `away`, it refuses them."""

    def __init__(self) -> None:
        self.away = False
        self.known: dict[str, ImdsUsage] = {}
        self.messages: list[int] = []
        self.refused = 0
        self.others: frozenset[str] = frozenset()

    async def __call__(self, usage: Sequence[ImdsUsage]) -> None:
        if self.others & {one.instance_id for one in usage}:
            raise InstanceElsewhere("one is another host's")
        if self.away:
            self.refused += 1
            raise ServerUnreachable("http://server", "away")
        self.messages.append(len(usage))
        for one in usage:
            before = self.known.get(one.instance_id)
            self.known[one.instance_id] = before.plus(one) if before else one


class Reporting:
    """Reports of a tally to a server that tests can make unreachable."""

    def __init__(self, tally: UsageTally, server: Server) -> None:
        self._reports = UsageReports(tally, server, interval=QUICK)

    async def __aenter__(self) -> None:
        self._task = asyncio.ensure_future(self._reports.run())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


def test_requests_of_both_versions_with_their_times():
    tally, server = UsageTally(), Server()
    for version, at in ((1, 0), (1, 60), (2, 30)):
        tally.count("a", version, NOW + at)
    tally.count("b", 2, NOW)

    async def main():
        async with Reporting(tally, server):
            await until(lambda: server.messages)

    run(main)
    assert server.known == {
        "a": ImdsUsage(
            instance_id="a",
            v1_requests=2,
            v2_requests=1,
            v1_last_at="2026-11-22T15:01:00Z",
            v2_last_at="2026-11-22T15:00:30Z",
        ),
        "b": ImdsUsage(instance_id="b", v2_requests=1, v2_last_at="2026-11-22T15:00:00Z"),
    }
    assert server.messages == [2]


def test_nothing_is_lost_while_the_server_is_unreachable():
    tally, server = UsageTally(), Server()
    server.away = True

    async def main():
        async with Reporting(tally, server):
            tally.count("a", 1, NOW)
            await until(lambda: server.refused)
            tally.count("a", 1, NOW + 1)
            tally.count("b", 2, NOW + 1)
            server.away = False
            await until(lambda: len(server.known) == 2)

    run(main)
    assert (server.known["a"].v1_requests, server.known["b"].v2_requests) == (2, 1)
    assert server.known["a"].v1_last_at == "2026-11-22T15:00:01Z"
    assert tally.waiting == 0


def test_remaining_counts_are_reported_at_the_end():
    tally, server = UsageTally(), Server()

    async def main():
        task = asyncio.ensure_future(UsageReports(tally, server, interval=3600).run())
        await asyncio.wait([task], timeout=QUICK)
        tally.count("a", 1, NOW)
        task.cancel()
        await asyncio.wait([task])

    run(main)
    assert server.known["a"].v1_requests == 1


def test_many_instances_are_reported_in_several_batches():
    tally, server = UsageTally(), Server()
    for number in range(2 * BATCH + 1):
        tally.count(str(number), 1, NOW)

    async def main():
        async with Reporting(tally, server):
            await until(lambda: len(server.known) == 2 * BATCH + 1)

    run(main)
    assert server.messages == [BATCH, BATCH, 1]


def test_the_number_of_instances_is_bounded():
    lost: list[int] = []
    tally = UsageTally(lost.append, limit=2)
    for id in ("a", "b", "c", "a"):
        tally.count(id, 1, NOW)
    assert (tally.waiting, lost) == (2, [1])
    taken = tally.take()
    tally.count("c", 1, NOW)
    tally.give_back(taken)
    assert (tally.waiting, lost) == (2, [1, 1])
    assert tally.take().keys() == {"c", "a"}


asked = st.tuples(st.sampled_from("abc"), st.integers(1, 2), st.integers(0, 100))


@given(st.lists(st.one_of(asked, st.just("take"), st.just("give back"))))
def test_counts_add_up_after_any_failures(steps):
    tally, taken, expected = UsageTally(), {}, {}
    for step in steps:
        if step == "take":
            tally.give_back(taken)
            taken = tally.take(2)
        elif step == "give back":
            tally.give_back(taken)
            taken = {}
        else:
            id, version, at = step
            tally.count(id, version, NOW + at)
            counts, times = expected.setdefault(id, ([0, 0], [0.0, 0.0]))
            counts[version - 1] += 1
            times[version - 1] = max(times[version - 1], NOW + at)
    tally.give_back(taken)
    found = tally.take(10)
    assert {id: counts.requests for id, counts in found.items()} == {
        id: counts for id, (counts, _) in expected.items()
    }


# -- The call ------------------------------------------------------------------------------


def calls(answer, url="http://down,http://a,http://b") -> AgentClient:
    return AgentClient(url, "node1", httpx.MockTransport(answer), token="secret")


def test_the_first_reachable_server_gets_the_report():
    heard = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "down":
            raise httpx.ConnectError("refused", request=request)
        heard.append((request.headers["x-auth-token"], request.url.path, request.read()))
        return httpx.Response(200, json={"counted": 1})

    async def main():
        made = calls(answer)
        for _ in range(3):
            await deliverer(made)([ImdsUsage(instance_id="a", v1_requests=1)])
        await made.close()

    run(main)
    assert len(heard) == 3
    token, path, body = heard[0]
    assert (token, path) == ("secret", "/a9fe/v1/imds-usage")
    assert b'"host":"node1"' in body.replace(b" ", b"")


@pytest.mark.parametrize("how", ["broken", "error", "refused"])
def test_a_report_that_may_have_arrived_is_not_repeated_at_once(how: str):
    heard = []

    def answer(request: httpx.Request) -> httpx.Response:
        heard.append(request.url.host)
        if how == "broken":
            raise httpx.ReadError("reset", request=request)
        return httpx.Response(503 if how == "error" else 403, json={})

    async def main():
        made = calls(answer, "http://a,http://b")
        for _ in range(2):
            with pytest.raises((ApiError, ServerUnreachable)):
                await made.call("POST", "/x", {})
        await made.close()

    run(main)
    assert len(heard) == 2
    assert (heard[0] == heard[1]) == (how == "refused")


def test_a_server_of_another_kind_is_one_clear_error():
    async def main():
        made = calls(lambda _: httpx.Response(200, text="<html>"), "http://a")
        with pytest.raises(ApiError, match="not as the API server"):
            await made.call("GET", "/x")
        none = calls(lambda _: httpx.Response(204), "http://a")
        assert await none.call("GET", "/x") is None
        nobody = calls(_refuse, "http://a")
        with pytest.raises(ServerUnreachable):
            await nobody.call("GET", "/x")

    run(main)


def _refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_an_instance_that_moved_away_loses_only_its_own_usage(count: int):
    lost: list[int] = []
    tally, server = UsageTally(lost.append), Server()
    names = {str(number) for number in range(count)}
    server.others = frozenset({"0", "3"}) & names
    for name in names:
        tally.count(name, 1, NOW)

    async def main():
        async with Reporting(tally, server):
            await until(lambda: not tally.waiting and len(lost) == len(server.others))

    run(main)
    assert server.known.keys() == names - server.others
    assert {one.v1_requests for one in server.known.values()} <= {1}
