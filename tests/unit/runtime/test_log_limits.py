"""What is logged again and again is bounded; what was held back is counted."""

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
    Repeats,
)
from tests.kit.server_world import HandTurnedClock

pytestmark = pytest.mark.usefixtures("own_log_stream")

log = structlog.get_logger()


def broken(text: str = "x") -> ValueError:
    try:
        int(text)
    except ValueError as error:
        return error
    raise AssertionError(f"{text} is a number")


def elsewhere() -> ValueError:
    try:
        int("x")
    except ValueError as error:
        return error
    raise AssertionError("x is a number")


@pytest.fixture
def clock() -> HandTurnedClock:
    return HandTurnedClock()


@pytest.fixture
def repeats(clock: HandTurnedClock) -> Repeats:
    return Repeats(clock.monotonic)


def said(repeats: Repeats, count: int = 1, **event: object) -> list[Event]:
    """Those of so many equal events that are logged."""
    found = []
    for _ in range(count):
        with contextlib.suppress(structlog.DropEvent):
            found.append(repeats.bound({"level": "error", "event": "defect", **event}))
    return found


def test_a_traceback_is_logged_once_in_an_interval(repeats: Repeats, clock: HandTurnedClock):
    first, *more = said(repeats, 5, exc_info=broken("x"))
    assert "exc_info" in first
    assert {event["error"][:10] for event in more} == {"ValueError"}
    assert all(event["at"] and "exc_info" not in event for event in more)
    assert "exc_info" in said(repeats, exc_info=elsewhere())[0]
    clock.at += TRACE_INTERVAL
    assert "exc_info" in said(repeats, exc_info=broken("y"))[0]


@pytest.mark.parametrize("form", ["exception", "tuple", "true"])
def test_every_form_of_an_exception(repeats: Repeats, form: str):
    try:
        int("x")
    except ValueError as error:
        forms = {"exception": error, "tuple": (ValueError, error, None), "true": True}
        assert "exc_info" in said(repeats, exc_info=forms[form])[0]
        assert "exc_info" not in said(repeats, exc_info=forms[form])[0]


def test_one_event_has_so_many_lines_and_the_next_counts_the_rest(
    repeats: Repeats, clock: HandTurnedClock
):
    assert len(said(repeats, 10 * LINES)) == LINES
    assert len(said(repeats, event="another")) == 1
    assert len(said(repeats, 10 * LINES, level="info")) == 10 * LINES
    clock.at += LINES_INTERVAL
    first, second = said(repeats, 2)
    assert first["held_back"] == 9 * LINES
    assert "held_back" not in second


def test_a_library_is_one_kind_whatever_it_says(repeats: Repeats):
    lines = [line for n in range(100) for line in said(repeats, event=str(n), logger="uvicorn")]
    assert len(lines) == LINES


def test_no_more_kinds_are_remembered_than_there_should_be(repeats: Repeats):
    for number in range(1000):
        said(repeats, event=str(number))
    assert len(repeats._seen) < 300


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
