"""The access log: which requests have a line, and what is in it."""

import asyncio
from collections import defaultdict
from pathlib import Path

from structlog.testing import capture_logs

from a9fe.http import metrics_page, trace
from a9fe.http.access_log import FIELDS, AccessLog, parts_of
from a9fe.http.report import RequestIds, report_of
from a9fe.http.server.fair_handler import FairHandler
from a9fe.http.trace import Trace
from a9fe.http.upstream.errors import UpstreamTimeout
from a9fe.runtime import metrics
from a9fe.runtime.config import load
from a9fe.wire.limits import AT_ONCE, WAITING
from a9fe.wire.message import Answer, Listener, Request
from a9fe.wire.refusals import Refusal, refuse
from tests.kit.fake_clock import FakeClock

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
LISTENER = Listener(
    kind="network", id="n1", namespace="qdhcp-n1", address="169.254.169.254", port=80
)
OK = Answer(status=200, body=b"0123456789", owner=b"p1/i1")


class Durations:
    """Counts durations by part."""

    def __init__(self) -> None:
        self.of: defaultdict[str, list[float]] = defaultdict(list)

    def duration(self, process: str, part: str):
        return self.of[part].append


def asked(client: str = "10.0.0.5", **more: object) -> Request:
    facts = {"method": b"GET", "target": b"/latest", "headers": (), "listener": LISTENER, **more}
    return Request(client_address=client, **facts)


def test_a_line_has_the_vm_the_answer_and_the_time_of_each_step():
    clock, durations, ids = FakeClock(), Durations(), RequestIds()
    seen: list[bytes] = []

    def handler(request: Request) -> Answer:
        seen.append(ids.new())
        trace.current.started, trace.current.identified = (
            clock.monotonic() + 0.001,
            clock.monotonic() + 0.003,
        )
        clock.turn(0.010)
        return OK

    log = AccessLog("metadata-host", durations, 10, clock.monotonic)
    with capture_logs() as lines:
        assert log.of(handler)(asked()) is OK
    assert lines == [
        {
            "event": "request",
            "log_level": "info",
            "request": seen[0].decode(),
            "port": "p1",
            "instance": "i1",
            "network": "n1",
            "client_address": "10.0.0.5",
            "method": "GET",
            "path": "/latest",
            "status": 200,
            "bytes": 10,
            "ms": 10.0,
            "queue_ms": 1.0,
            "identify_ms": 2.0,
            "render_ms": 7.0,
        }
    ]
    assert {part: len(found) for part, found in durations.of.items()} == {
        "whole": 1, "queue": 1, "identify": 1, "render": 1,
    }  # fmt: skip
    assert trace.current is None


def test_lines_are_bounded_in_a_second_and_for_a_client_and_the_others_counted():
    clock, durations = FakeClock(), Durations()
    ask = AccessLog("metadata-host", durations, 8, clock.monotonic).of(lambda _: OK)
    with capture_logs() as lines:
        for _ in range(100):
            ask(asked("10.0.0.66"))
        for number in range(20):
            ask(asked(f"10.0.1.{number}"))
    assert [line["client_address"] for line in lines] == [
        *["10.0.0.66"] * 2,
        *(f"10.0.1.{number}" for number in range(6)),
    ]
    clock.turn(1.0)
    with capture_logs() as lines:
        ask(asked())
        ask(asked())
    assert [line.get("not_logged") for line in lines] == [120 - 8 - 98, None]
    assert len(durations.of["whole"]) == 122


def test_a_guest_with_many_addresses_is_one_client_and_a_hop_before_is_none():
    log = AccessLog("metadata-host", Durations(), 8, FakeClock().monotonic)
    with capture_logs() as lines:
        for number in range(20):
            log.of(lambda _: OK)(asked(f"fe80::{number}", client_mac="fa:16:3e:00:00:01"))
    assert [line["client_address"] for line in lines] == ["fe80::0", "fe80::1"]
    log = AccessLog("metadata-service", Durations(), 8, FakeClock().monotonic)
    with capture_logs() as lines:
        for _ in range(20):
            log.of(lambda _: OK)(asked("127.0.0.1", listener=None))
    assert [line.get("client_address") for line in lines] == [None] * 8


def test_without_lines_only_the_time_is_taken():
    clock, durations = FakeClock(), Durations()
    with capture_logs() as lines:
        AccessLog("metadata-host", durations, 0, clock.monotonic).of(lambda _: OK)(asked())
    assert lines == []
    assert durations.of["whole"] == [0.0]


def test_with_debug_on_every_request_has_a_line():
    with capture_logs() as lines:
        ask = report_of(load({"debug": "true", "access_log_rate": "1"}), "a-test").access.of(
            lambda _: OK
        )
        for _ in range(50):
            ask(asked())
    assert len(lines) == 50


def test_an_awaited_answer_a_failed_upstream_and_a_client_that_left():
    durations = Durations()

    async def later() -> Answer:
        return refuse(Refusal.NO_SUCH_PATH, "abc")

    async def failed() -> Answer:
        raise UpstreamTimeout("slow")

    async def use() -> None:
        log = AccessLog("metadata-proxy", durations, 100)
        await log.of(lambda _: later())(asked())
        await asyncio.gather(log.of(lambda _: failed())(asked()), return_exceptions=True)
        left = log.of(lambda _: asyncio.get_running_loop().create_future())(asked())
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)

    with capture_logs() as lines:
        asyncio.run(use())
    assert [(line["status"], line["request"]) for line in lines] == [
        (404, "abc"),
        (Refusal.UPSTREAM_TIMEOUT.value.status, ""),
    ]
    assert len(durations.of["whole"]) == 2


def test_the_time_in_the_fair_queue_is_that_of_the_queued_request():
    durations = Durations()

    async def use() -> None:
        release = asyncio.Event()

        async def handler(request: Request) -> Answer:
            await release.wait()
            return OK

        fair = FairHandler(
            handler, lambda _: "one", lambda *_: OK, limits=AT_ONCE, waiting=WAITING
        )
        ask = AccessLog("metadata-proxy", durations, 1000).of(fair)
        answers = [ask(asked("")) for _ in range(AT_ONCE.at_once_per_client + 1)]
        assert fair.queued == 1
        release.set()
        await asyncio.gather(*answers)
        fair.close()

    asyncio.run(use())
    assert len(durations.of["queue"]) == AT_ONCE.at_once_per_client + 1
    assert trace.current is None


def test_steps_that_were_not_reached_have_no_time():
    assert parts_of(Trace(1.0), 2.0) == {}
    assert parts_of(Trace(1.0, identified=1.5), 2.0) == {"identify": 0.5, "render": 0.5}


def test_buckets_are_powers_of_two_microseconds():
    histogram = metrics.Histogram()
    for seconds in (0.0, 15e-6, 17e-6, 40.0):
        histogram.note(seconds)
    bounds = dict(histogram.buckets())
    assert list(bounds)[:2] == ["1.6e-05", "3.2e-05"]
    assert (bounds["1.6e-05"], bounds["3.2e-05"], bounds["16.7772"], bounds["+Inf"]) == (
        2,
        3,
        3,
        4,
    )
    assert histogram.total == 40.0 + 32e-6


def test_the_page_is_of_all_metrics_and_fields():
    assert PAGE.read_text() == metrics_page.markdown(), "./run docs writes it again"
    exposed = {
        line.split()[2] for line in metrics.exposition().decode().splitlines() if "# TYPE" in line
    }
    ours = {name for name in exposed if name.startswith("a9fe_") and not name.endswith("_created")}
    text = PAGE.read_text()
    assert {name for name in ours if f"| `{name}` |" not in text} == set()
    assert all(f"| `{name}` |" in text for name in FIELDS)
