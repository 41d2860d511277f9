"""One log stream: `2026-11-22T15:00:00.123Z <process> <level> <event> key=value ...`.

Values are quoted and escaped, so that no request can forge a line. Lines go to stderr and, with
log_dir, to <log_dir>/<process>.log.
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
from a9fe.runtime.log_limits import LogLimits, short_trace

EventDict = MutableMapping[str, Any]
READY = "ready"  # each process logs this event when it serves; readiness.notify follows
PLAIN = re.compile(r"[!#-<>-\[\]-~]+")  # printable ASCII but space, quote, = and backslash
# Libraries whose info lines repeat ours.
QUIET = ("httpx", "httpcore", "uvicorn.access", "uvicorn.error", "alembic", "asyncio")


class _Output:
    """Writes lines to the current sys.stderr, and to a file if there is one."""

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


_open_output = [_Output(None)]  # the current one; the next `configure` closes it


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if PLAIN.fullmatch(text) else json_module.dumps(text)


def render_text(process: str, event: EventDict) -> str:
    """Return the event as a line of text, with the lines of its traceback. Pure."""
    trace = event.pop("exception", None)
    at, level, what = event.pop("timestamp"), event.pop("level"), event.pop("event")
    pairs = "".join(f" {key}={_quoted(value)}" for key, value in event.items())
    line = f"{at} {process} {level} {_one_line(str(what))}{pairs}"
    return "\n".join([line, *_traced(process, trace or "")])


def _traced(process: str, trace: str) -> list[str]:
    """Prefix each line of a traceback, so that an exception's text cannot forge an event."""
    return [f"{process} | {line}" for line in trace.splitlines()]


def _one_line(text: str) -> str:
    return text if text.isprintable() else json_module.dumps(text)


def render_json(process: str, event: EventDict) -> str:
    """Return the event as one line of JSON. Pure."""
    return json_module.dumps({"process": process, **event}, default=str)


class _ToStructlog(logging.Handler):
    """Passes the records of libraries to our stream."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        level = record.levelname.lower()
        write = getattr(log, level, log.info)
        write(record.getMessage(), logger=record.name, **_exception_of(record))


def _exception_of(record: logging.LogRecord) -> dict[str, Any]:
    return {"exc_info": record.exc_info} if record.exc_info else {}


def configure(
    process: str, *, debug: bool = False, json: bool = False, log_dir: str | None = None
) -> None:
    """Set up the log stream of this process, or replace it. Raises StartError for log_dir."""
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
            _bounded(LogLimits(time.monotonic)),
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


def _bounded(limits: LogLimits) -> Callable[[Any, str, EventDict], EventDict]:
    return lambda _logger, _method, event: limits.bound(dict(event))


def _rendered(
    renderer: Callable[[str, EventDict], str], process: str
) -> Callable[[Any, str, EventDict], str]:
    def render(_logger: object, _method: str, event: EventDict) -> str:
        ready = event.get("event") == READY
        line = renderer(process, event)
        if ready:
            readiness.notify()
        return line

    return render


def _open(log_dir: str, process: str) -> TextIO:
    path = os.path.join(log_dir, f"{process}.log")
    try:
        os.makedirs(log_dir, exist_ok=True)
        return open(path, "a", encoding="utf-8")
    except OSError as error:
        raise StartError(f"log_dir: cannot write {path}: {error.strerror}") from error
