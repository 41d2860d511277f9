"""`a9fe fork-server`: how `a9fe up` starts its processes (linux.processes.fork_server)."""

import importlib
import os
import sys
from collections.abc import Mapping

import click

from a9fe.cli.flags import as_arguments
from a9fe.cli.processes import run_process
from a9fe.cli.processes.process_table import BY_NAME
from a9fe.linux.processes import fork_server as servers
from a9fe.linux.processes.title import as_shown, set_title
from a9fe.runtime.config import load

NAME = "fork-server"
# What the server imports and other processes too: imported before the first process is forked.
COMMON = (
    "a9fe.api_client.agent_client",
    "a9fe.metadata.config_drive",
    "a9fe.runtime.tasks",
    "cryptography.hazmat.primitives.serialization.pkcs7",
    "cryptography.x509",
)


@click.command(NAME, hidden=True)
@click.option("--link", type=int, required=True, help="Descriptor of the socket to `a9fe up`.")
@click.argument("room")
def fork_server(*, link: int, room: str) -> None:
    """Start processes for `a9fe up`, which runs this; it needs no configuration.

    ROOM is only as long as the command lines of those processes, which are written over it.

    \b
    a9fe fork-server --link 4 ....................
    """
    del room
    set_title((*servers.interpreter(), NAME), NAME)
    ahead = [process.imported for process in BY_NAME.values() if not process.alone]
    start = servers.serve(link, warm_up, ahead)
    if start is not None:
        sys.exit(run_process.supervised(BY_NAME[start.command[0]], start.flags))


def warm_up() -> None:
    """Run once what each process runs at its start, so that they share what it leaves in memory:
    OpenSSL's tables, caches, code that the interpreter has specialised. It reads no configuration.
    """
    for module in COMMON:
        importlib.import_module(module)
    load({}, {}, os.devnull)
    importlib.import_module("httpx").AsyncClient(verify=False, trust_env=False)  # sends nothing


def start(flags: Mapping[str, str]) -> servers.ForkServer:
    """Start it, for processes with these flags."""
    words, arguments = servers.interpreter(), as_arguments(flags)
    room = "." * max(len(as_shown((*words, name, *arguments))) for name in BY_NAME)
    return servers.ForkServer(lambda fd: (*words, NAME, "--link", str(fd), room))
