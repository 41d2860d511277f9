"""Problems that last are reported once, and their end too."""

import asyncio
import json
from contextlib import suppress

import httpx

from a9fe.api_client.agent_client import AgentClient
from a9fe.api_client.state_reports import StateReporter
from a9fe.host_agent.problem_reports import Lasting, ProblemReports
from a9fe.model.problems import PROBLEMS_MAX, Problem
from a9fe.plan import parts
from tests.kit.conditions import comes_true

ONE, TWO = parts.network("1"), parts.network("2")


def problem(id: str, reason: str = "no") -> Problem:
    return Problem(kind="network", id=id, reason=reason)


def test_a_problem_is_due_when_it_has_lasted_whatever_its_reason():
    lasting = Lasting(1.0)
    lasting.passed({ONE: frozenset({problem("1")})}, None, 10.0)
    assert lasting.due(10.9) == ()
    assert lasting.next_due(10.25) == 0.75
    lasting.passed({ONE: frozenset({problem("1", "other")})}, [ONE], 10.5)
    assert lasting.due(11.0) == (problem("1", "other"),)
    assert lasting.next_due(11.0) is None


def test_a_pass_over_some_parts_says_nothing_about_others():
    lasting = Lasting(0.0)
    lasting.passed({ONE: frozenset({problem("1")}), TWO: frozenset({problem("2")})}, None, 0.0)
    lasting.passed({}, [ONE], 1.0)
    assert lasting.due(1.0) == (problem("2"),)
    lasting.passed({}, None, 2.0)
    assert lasting.due(2.0) == ()


def test_a_problem_that_comes_again_must_last_again():
    lasting = Lasting(1.0)
    for now, found in ((0.0, {ONE: frozenset({problem("1")})}), (0.5, {})):
        lasting.passed(found, None, now)
    lasting.passed({ONE: frozenset({problem("1")})}, None, 0.9)
    assert lasting.due(1.5) == ()


def test_the_number_of_problems_is_bounded():
    lasting = Lasting(0.0)
    lasting.passed({ONE: frozenset(problem(str(n)) for n in range(PROBLEMS_MAX + 5))}, None, 0.0)
    assert len(lasting.due(0.0)) == PROBLEMS_MAX


def test_reports_are_sent_on_change_only_and_again_after_a_failure():
    async def main() -> None:
        received: list[object] = []
        failing = [True]

        async def answer(request: httpx.Request) -> httpx.Response:
            if failing:
                failing.pop()
                return httpx.Response(503)

            received.append(json.loads(request.content).get("problems"))
            return httpx.Response(200, json={"agent_id": "a"})

        client = AgentClient("http://server", "h1", httpx.MockTransport(answer))
        reporter = StateReporter(client, "DHCP agent", "x")
        reports = ProblemReports(reporter, dict, lasts=0.02, between=0.0)
        task = asyncio.ensure_future(reports.run())
        reports.put({})
        await comes_true(lambda: received == [[]], "the first report clears what was before")
        reports.put({ONE: frozenset({problem("1")})})
        reports.put({ONE: frozenset({problem("1")})})
        await comes_true(lambda: len(received) == 2, "the problem")
        reports.put({})
        await comes_true(lambda: len(received) == 3, "its end")
        assert received[1:] == [[{"kind": "network", "id": "1", "reason": "no"}], []]
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await client.close()

    asyncio.run(main())
