"""The operator's hooks: which are run, with what, and how long."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import structlog
from structlog.testing import capture_logs

from a9fe.host_agent.hooks import Hooks
from a9fe.host_agent.port_events import PortEvent
from a9fe.linux.processes import hook_files
from tests.kit.conditions import comes_true
from tests.kit.fake_model import network, port, subnet

NET = network(1)
VM = port(2, NET, (subnet(1, NET, "10.1.0.0/24", "10.1.0.1"), "10.1.0.5"))
READY = PortEvent(event="ready", port=VM)


@pytest.fixture
def directory() -> Iterator[Path]:
    """Yield a directory below which only root may write; that of tests is below /tmp."""
    path = Path(f"/run/a9fe-hooks-{uuid4()}")
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path)


def hook(directory: Path, name: str, *lines: str) -> Path:
    path = directory / name
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


@asynccontextmanager
async def running(hooks: Hooks) -> AsyncIterator[None]:
    task = asyncio.ensure_future(hooks.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_hooks_run_in_order_with_the_ports_variables(directory: Path) -> None:
    said = directory.parent / f"{directory.name}.said"
    hook(directory, "10-first", f'echo "first $A9FE_EVENT $A9FE_ADDRESSES" >> {said}')
    hook(directory, "20-second", f"env | sort > {said}.env; echo second >> {said}; exit 3")

    async def main() -> None:
        hooks = Hooks(str(directory), "node1")
        async with running(hooks):
            hooks.put([READY, replace(READY, event="gone")])
            wanted = "first ready 10.1.0.5\nsecond\nfirst gone 10.1.0.5\nsecond\n"
            await comes_true(lambda: said.exists() and said.read_text() == wanted, "both ran")

    asyncio.run(main())
    variables = Path(f"{said}.env").read_text()
    assert f"A9FE_PORT_ID={VM.id}\n" in variables
    assert "A9FE_HOST=node1\n" in variables
    assert "AUTH" not in variables, "nothing of the agent's environment"
    for path in (said, Path(f"{said}.env")):
        path.unlink()


def test_a_hook_that_hangs_is_killed_with_its_children_and_stops_no_other(
    directory: Path,
) -> None:
    pid, done = Path(f"{directory}.pid"), Path(f"{directory}.done")
    hook(directory, "10-hangs", "echo begun", f"sleep 1000 & echo $! > {pid}", "wait")
    hook(directory, "20-next", f"touch {done}")

    async def main() -> None:
        hooks = Hooks(str(directory), "node1", timeout=0.5)
        async with running(hooks):
            hooks.put([READY])
            await comes_true(done.exists, "the next hook")

    structlog.reset_defaults()
    with capture_logs() as logs:
        asyncio.run(main())
    (line,) = [one for one in logs if one["hook"].endswith("10-hangs")]
    assert (line["output"], line["reason"]) == ("begun", "did not end within 0.5 s, killed")
    state = Path(f"/proc/{pid.read_text().strip()}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"
    for path in (pid, done):
        path.unlink()


def test_only_files_that_root_alone_may_change_are_hooks(directory: Path) -> None:
    good = hook(directory, "good")
    hook(directory, "writable").chmod(0o777)
    hook(directory, "group").chmod(0o775)
    hook(directory, "plain").chmod(0o644)
    os.chown(hook(directory, "theirs"), 12345, 0)
    (directory / "link").symlink_to(good)
    hook(directory, "bad name")
    (directory / "folder").mkdir()
    found = hook_files.find(str(directory))
    assert found.run == (str(good),)
    reasons = {path.rpartition("/")[2]: reason for path, reason in found.skipped}
    assert "mode 777" in reasons["writable"]
    assert "mode 775" in reasons["group"]
    assert "not executable" in reasons["plain"]
    assert "user 12345" in reasons["theirs"]
    assert reasons["link"] == reasons["folder"] == "it is no regular file"
    assert "characters" in reasons["bad name"]


def test_a_directory_that_others_may_write_has_no_hooks(directory: Path) -> None:
    hook(directory, "good")
    directory.chmod(0o777)
    found = hook_files.find(str(directory))
    assert found.run == ()
    assert "mode 777" in found.skipped[0][1]
    assert hook_files.find(f"{directory}/none") == hook_files.HookFiles()
