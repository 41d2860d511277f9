"""Repeated log lines are limited; dropped ones are counted."""

import contextlib
import logging as stdlib_logging

import pytest
import structlog

from a9fe.runtime import logging
from a9fe.runtime.log_limits import (
    LINES,
    LINES_INTERVAL,
    TEXT_MAX,
    TRACE_INTERVAL,
    TRACE_MAX,
    Event,
    LogLimits,
)
from tests.kit.fake_clock import FakeClock

pytestmark = pytest.mark.usefixtures("own_log_stream")

log = structlog.get_logger()


def broken(text: str = "x") -> ValueError:
    try:
        int(text)
    except ValueError as error:
        return error
    raise AssertionError(f"{text} is a number")


def broken_elsewhere() -> ValueError:
    try:
        int("x")
    except ValueError as error:
        return error
    raise AssertionError("x is a number")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def limits(clock: FakeClock) -> LogLimits:
    return LogLimits(clock.monotonic)


def logged(limits: LogLimits, count: int = 1, **event: object) -> list[Event]:
    """Log `count` equal events, and return those that passed."""
    found = []
    for _ in range(count):
        with contextlib.suppress(structlog.DropEvent):
            found.append(limits.bound({"level": "error", "event": "defect", **event}))
    return found


def test_a_traceback_is_logged_once_in_an_interval(limits: LogLimits, clock: FakeClock):
    first, *more = logged(limits, 5, exc_info=broken("x"))
    assert "exc_info" in first
    assert {event["error"][:10] for event in more} == {"ValueError"}
    assert all(event["at"] and "exc_info" not in event for event in more)
    assert "exc_info" in logged(limits, exc_info=broken_elsewhere())[0]
    clock.at += TRACE_INTERVAL
    assert "exc_info" in logged(limits, exc_info=broken("y"))[0]


@pytest.mark.parametrize("form", ["exception", "tuple", "true"])
def test_every_form_of_an_exception(limits: LogLimits, form: str):
    try:
        int("x")
    except ValueError as error:
        forms = {"exception": error, "tuple": (ValueError, error, None), "true": True}
        assert "exc_info" in logged(limits, exc_info=forms[form])[0]
        assert "exc_info" not in logged(limits, exc_info=forms[form])[0]


def test_repeated_lines_are_dropped_and_counted_in_the_next_line(
    limits: LogLimits, clock: FakeClock
):
    assert len(logged(limits, 10 * LINES)) == LINES
    assert len(logged(limits, event="another")) == 1
    assert len(logged(limits, 10 * LINES, level="info")) == 10 * LINES
    clock.at += LINES_INTERVAL
    first, second = logged(limits, 2)
    assert first["held_back"] == 9 * LINES
    assert "held_back" not in second


def test_all_lines_of_a_library_count_as_one_kind(limits: LogLimits):
    lines = [line for n in range(100) for line in logged(limits, event=str(n), logger="uvicorn")]
    assert len(lines) == LINES


def test_the_number_of_remembered_kinds_is_bounded(limits: LogLimits):
    for number in range(1000):
        logged(limits, event=str(number))
    assert len(limits._seen) < 300


def test_a_defect_that_every_request_meets_costs_few_lines(capsys: pytest.CaptureFixture[str]):
    logging.configure("server")
    for number in range(1000):
        try:
            int("x" * 100_000, base=10)
        except ValueError:
            log.exception("defect", request=str(number), path="/" + "y" * 100_000)
        stdlib_logging.getLogger("uvicorn.error").error("in the application", exc_info=broken())
    output = capsys.readouterr().err
    assert output.count("Traceback") == 2
    assert output.count("\n") < 2 * LINES + 60
    assert len(output) < 3 * LINES * TEXT_MAX + 2 * TRACE_MAX
