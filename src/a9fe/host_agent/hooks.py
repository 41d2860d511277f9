"""Runs the operator's hooks on the events of ports, beside the passes (docs/hooks.md)."""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

import structlog

from a9fe.host_agent.port_events import PortEvent
from a9fe.linux.processes import hook_files

log = structlog.get_logger()

TIMEOUT = 10.0  # s for one hook
PARALLEL = 4  # hooks at once; the events of one port are handled in order
WAITING_MAX = 1000  # events of one worker that wait; the oldest are dropped
OUTPUT_MAX = 4096  # bytes of a hook's output that are logged
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Hooks:
    """A bounded queue of events for each of PARALLEL workers."""

    def __init__(self, directory: str, host: str, *, timeout: float = TIMEOUT) -> None:
        """`directory` of the hooks, read at each event; `timeout` of one hook in seconds."""
        self._directory, self._host, self._timeout = directory, host, timeout
        self._queues: list[deque[PortEvent]] = [deque() for _ in range(PARALLEL)]
        self._news = [asyncio.Event() for _ in range(PARALLEL)]
        self._said: set[tuple[str, str]] = set()

    def put(self, events: Iterable[PortEvent]) -> None:
        """Queue events. Never waits."""
        if not self._directory or not os.path.isdir(self._directory):
            return
        for event in events:
            worker = hash(event.port.id) % PARALLEL
            queue = self._queues[worker]
            if len(queue) >= WAITING_MAX:
                dropped = queue.popleft()
                log.warning("hook event dropped", event_name=dropped.event, port=dropped.port.id)
            queue.append(event)
            self._news[worker].set()

    async def run(self) -> None:
        """Run hooks until cancelled."""
        async with asyncio.TaskGroup() as group:
            for queue, news in zip(self._queues, self._news, strict=True):
                group.create_task(self._work(queue, news))

    async def _work(self, queue: deque[PortEvent], news: asyncio.Event) -> None:
        while True:
            await news.wait()
            news.clear()
            while queue:
                await self._handle(queue.popleft())

    async def _handle(self, event: PortEvent) -> None:
        """Run all hooks, one after another in the order of their names."""
        files = await asyncio.to_thread(hook_files.find, self._directory)
        for skipped in files.skipped:
            if skipped not in self._said:
                log.warning("hook skipped", hook=skipped[0], reason=skipped[1])
        self._said = set(files.skipped)
        environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", **event.environment(self._host)}
        for path in files.run:
            await self._run(path, event, environment)

    async def _run(self, path: str, event: PortEvent, environment: Mapping[str, str]) -> None:
        began = time.monotonic()
        facts = {"hook": path, "event_name": event.event, "port": event.port.id}
        with _output() as (output, write_end):
            try:
                process = await asyncio.create_subprocess_exec(
                    path,
                    env=environment,
                    cwd="/",
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=write_end,
                    stderr=write_end,
                    start_new_session=True,
                )
            except OSError as error:
                log.warning("hook not started", reason=str(error), **facts)
                return
            reason = await _ended(process, self._timeout)
        text = " / ".join(output[:OUTPUT_MAX].decode(errors="replace").splitlines())
        write = log.warning if reason else log.info
        took = round(time.monotonic() - began, 2)
        write("hook ended", output=text, reason=reason or "exit status 0", seconds=took, **facts)


async def _ended(process: asyncio.subprocess.Process, timeout: float) -> str:  # noqa: ASYNC109
    """Wait for the process's end, and kill its process group after `timeout` s.

    Return what went wrong, "" if its exit status is 0.
    """
    try:
        async with asyncio.timeout(timeout):
            status = await process.wait()
    except TimeoutError:
        return f"did not end within {timeout:g} s, killed"
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return f"exit status {status}" if status else ""


@contextmanager
def _output() -> Iterator[tuple[bytearray, int]]:
    """Yield a buffer with the first OUTPUT_MAX bytes of a pipe, and the pipe's write end.

    A program that the hook leaves running may keep the write end; nothing waits for its end.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    buffer, loop = bytearray(), asyncio.get_running_loop()

    def readable() -> None:
        try:
            some = os.read(read_end, OUTPUT_MAX)
        except BlockingIOError:
            return
        buffer.extend(some[: OUTPUT_MAX - len(buffer)])
        if not some:
            loop.remove_reader(read_end)

    loop.add_reader(read_end, readable)
    try:
        yield buffer, write_end
        readable()
    finally:
        loop.remove_reader(read_end)
        os.close(read_end)
        os.close(write_end)
