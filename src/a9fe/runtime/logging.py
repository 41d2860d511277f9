"""One log stream: `2026-11-22T15:00:00.123Z <process> <level> <event> key=value ...`.

Values from outside are quoted and escaped, so that no request can write a line of its own.
Lines go to stderr and, where asked, to <log_dir>/<process>.log.
"""

import json as json_module
import logging
import os
import re
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO

import structlog

from a9fe.runtime import readiness
from a9fe.runtime.errors import StartError
from a9fe.runtime.log_limits import Repeats, short_trace

EventDict = MutableMapping[str, Any]
READY = "ready"  # the event that each process logs once it serves; it is told to who waits
PLAIN = re.compile(r"[!#-<>-\[\]-~]+")  # printable ASCII without blank, quote, = and backslash
# Libraries that would repeat at info what we log ourselves.
QUIET = ("httpx", "httpcore", "uvicorn.access", "uvicorn.error", "alembic", "asyncio", "pyroute2")


class _Output:
    """Writes whole lines to the stderr of the moment, and to a file if there is one."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def msg(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
        if self._file is not None:
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    debug = info = warning = error = critical = exception = fatal = msg


_open_output = [_Output(None)]  # the one in use: closed when another takes its place


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if PLAIN.fullmatch(text) else json_module.dumps(text)


def render_text(process: str, event: EventDict) -> str:
    """One line of text. Pure."""
    trace = event.pop("exception", None)
    at, level, what = event.pop("timestamp"), event.pop("level"), event.pop("event")
    pairs = "".join(f" {key}={_quoted(value)}" for key, value in event.items())
    line = f"{at} {process} {level} {_one_line(str(what))}{pairs}"
    return "\n".join([line, *_traced(process, trace or "")])


def _traced(process: str, trace: str) -> list[str]:
    """A traceback, marked on each line, so that no exception's text passes for an event."""
    return [f"{process} | {line}" for line in trace.splitlines()]


def _one_line(text: str) -> str:
    return text if text.isprintable() else json_module.dumps(text)


def render_json(process: str, event: EventDict) -> str:
    """One JSON object. Pure."""
    return json_module.dumps({"process": process, **event}, default=str)


class _ToStructlog(logging.Handler):
    """Brings what libraries log into our stream."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        level = record.levelname.lower()
        say = getattr(log, level, log.info)
        say(record.getMessage(), logger=record.name, **_exception_of(record))


def _exception_of(record: logging.LogRecord) -> dict[str, Any]:
    return {"exc_info": record.exc_info} if record.exc_info else {}


def configure(
    process: str, *, debug: bool = False, json: bool = False, log_dir: str | None = None
) -> None:
    """Set the log stream of this process. Called again, it replaces the former set-up."""
    level = logging.DEBUG if debug else logging.INFO
    renderer = render_json if json else render_text
    output = _Output(_open(log_dir, process) if log_dir else None)
    _open_output[0].close()
    _open_output[0] = output
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _bounded(Repeats(time.monotonic)),
            structlog.processors.format_exc_info,
            lambda _logger, _method, event: short_trace(dict(event)),
            _rendered(renderer, process),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: output,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_ToStructlog()]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _bounded(repeats: Repeats) -> Callable[[Any, str, EventDict], EventDict]:
    return lambda _logger, _method, event: repeats.bound(dict(event))


def _rendered(
    renderer: Callable[[str, EventDict], str], process: str
) -> Callable[[Any, str, EventDict], str]:
    def render(_logger: object, _method: str, event: EventDict) -> str:
        ready = event.get("event") == READY
        line = renderer(process, event)
        if ready:
            readiness.tell_ready()
        return line

    return render


def _open(log_dir: str, process: str) -> TextIO:
    path = os.path.join(log_dir, f"{process}.log")
    try:
        os.makedirs(log_dir, exist_ok=True)
        return open(path, "a", encoding="utf-8")
    except OSError as error:
        raise StartError(f"log_dir: cannot write {path}: {error.strerror}") from error
