"""Start processes by fork from a server that has imported their modules.

So they share the memory of those modules, and start without importing them. The fork server is
started anew with an environment without secrets, and reads none: what a process needs (arguments,
environment) is in a file that only the new process reads. It has one thread and no event loop. A
new process is a child of the fork server's parent, which waits for it; so it does not matter to
the processes if the fork server is killed.

Protocol: SOCK_SEQPACKET. A request is the name of a module to import first, or "-" for none, with
the file's descriptor. The reply is the new pid, or minus the number of the system call's error.
"""

import asyncio
import gc
import importlib
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

import structlog

from a9fe.linux.kernel import libc
from a9fe.linux.processes import privileges, title
from a9fe.linux.processes.process import Child, Program
from a9fe.runtime import preload

REQUEST_MAX = 1024
NO_MODULE = "-"
# Of the environment, the fork server gets what interpreter, loader and C library read.
KEPT = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "LC_", "LANG", "TZ", "PATH")
STOPPED_WITHIN = 5.0  # s from the end of the link to the end of the fork server

log = structlog.get_logger("a9fe.linux")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a new process gets: its command line after the interpreter, flags, environment."""

    command: tuple[str, ...]
    flags: Mapping[str, str]
    env: Mapping[str, str]
    survives: bool


class ForkServer:
    """The fork server, seen from its parent. Use it in one event loop, from the main thread."""

    def __init__(self, argv: Callable[[int], Sequence[str]]) -> None:
        """`argv(fd)` returns its command line: it must call `serve` with the socket `fd`.

        It must be as long as any command line that a process shall show (see `title`).
        """
        self._argv = argv
        self._link, self._process = _started(argv)
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def fork(self, program: Program, module: str = NO_MODULE) -> Child:
        """Start the program, after the fork server has imported `module`. Raises OSError.

        A fork server that has ended is started again. Unless the program `survives`, it has our
        stdout and stderr and dies with us.
        """
        async with self._turn:
            try:
                pid = await self._ask(program, module)
            except ConnectionError:
                self._start_again()
                pid = await self._ask(program, module)
        return Child(program, pid)

    async def _ask(self, program: Program, module: str) -> int:
        fd = _written(program)
        try:
            socket.send_fds(self._link, [module.encode()], [fd])
        finally:
            os.close(fd)
        reply = await asyncio.get_running_loop().sock_recv(self._link, REQUEST_MAX)
        if not reply:
            raise ConnectionResetError("the fork server has ended")
        pid = int(reply)
        if pid < 0:
            raise OSError(-pid, f"cannot start {program.name}: {os.strerror(-pid)}")
        return pid

    def _start_again(self) -> None:
        self.close()
        log.warning("fork server ended, started again", status=self._process.returncode)
        self._link, self._process = _started(self._argv)

    def close(self) -> None:
        """End the fork server; the processes go on."""
        self._link.close()
        try:
            self._process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:  # such as while it is stopped by a debugger
            self._process.kill()
            self._process.wait()


def _started(
    argv: Callable[[int], Sequence[str]],
) -> "tuple[socket.socket, subprocess.Popen[bytes]]":
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)  # noqa: FBT003 - its only form
    env = {k: v for k, v in os.environ.items() if k.startswith(KEPT)}
    env |= {privileges.PARENT_DEATH: "1", privileges.PARENT_PID: str(os.getpid())}
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - argv is ours, no shell
            tuple(argv(theirs.fileno())),
            env=env,
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    return ours, process


def _written(program: Program) -> int:
    """Return the descriptor of a file in memory with what the program gets."""
    env = {
        **os.environ,
        **program.env,
        privileges.PARENT_DEATH: "0" if program.survives else "1",
        privileges.PARENT_PID: str(os.getpid()),
    }
    start = Start(command=program.command, flags=program.flags, env=env, survives=program.survives)
    fd = os.memfd_create("a9fe-start", os.MFD_CLOEXEC)
    os.pwrite(fd, json.dumps(asdict(start)).encode(), 0)
    return fd


def serve(
    fd: int, warm_up: Callable[[], None] = lambda: None, ahead: Iterable[str] = ()
) -> Start | None:
    """Fork a process for each request on the socket `fd`; return in each of them what it gets.

    In the fork server itself it returns None when the other end is closed. It calls `warm_up`
    before any request, and imports the modules `ahead` while there is none, and before a request
    with a module: what is imported after a fork is not shared with that process.
    """
    missing = list(ahead)
    privileges.die_with_parent()
    libc.use_one_arena()
    gc.disable()  # until a process enables it: a collection would write to all objects
    warm_up()
    preload.load()
    gc.freeze()
    with socket.socket(fileno=fd) as link:
        while True:
            while missing and not _readable(link):
                _load(missing.pop(0))
            request, fds, _, _ = socket.recv_fds(link, REQUEST_MAX, 1)
            if not request:
                return None
            module = request.decode()
            while missing and module != NO_MODULE:
                _load(missing.pop(0))
            _load(module)
            reply = _fork()
            if reply == 0:
                return _become(fds[0])
            os.close(fds[0])
            link.send(b"%d" % reply)


def _readable(link: socket.socket) -> bool:
    return bool(select.select((link,), (), (), 0)[0])


def _load(module: str) -> None:
    """Import a module, if it can be: the process that needs it reports the error."""
    if module == NO_MODULE or module in sys.modules:
        return
    with suppress(Exception):
        importlib.import_module(module)
    preload.load()
    gc.freeze()  # collections in the processes do not write to these objects


def _fork() -> int:
    """Return 0 in the new process, else its pid, or minus the number of the error."""
    try:
        return libc.fork_sibling()
    except OSError as error:
        return -(error.errno or 1)


def _become(fd: int) -> Start:
    """Read what we get, and have it: environment, command line, session, output."""
    with open(fd, "rb") as file:
        file.seek(0)
        start = Start(**json.load(file))
    os.setsid()
    os.environ.clear()
    os.environ.update(start.env)
    if start.survives:
        _be_silent()
    argv = (*interpreter(), *start.command)
    title.set_title(argv, start.command[0])
    sys.argv = [*sys.argv[:1], *start.command]
    gc.enable()
    return start


def _be_silent() -> None:
    """Have no stdout and stderr of our parent's: their reader would wait for us."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (1, 2):
        os.dup2(nothing, fd)
    os.close(nothing)


def interpreter() -> tuple[str, ...]:
    """Return the words before a command of `a9fe` in a command line of our processes."""
    # -P: root must not import modules from the current directory
    return (sys.executable, "-P", "-m", "a9fe")
