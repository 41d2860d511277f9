"""`a9fe clean`: remove the kernel objects with this installation's mark, and no others."""

import os
import secrets
from contextlib import ExitStack
from functools import partial

import click

from a9fe.cli.flags import settings, settings_flags
from a9fe.cli.host import run_files as leftovers
from a9fe.cli.processes.pid_file import PidFile
from a9fe.cli.processes.process_table import HOLDER
from a9fe.cli.processes.up import LOCK
from a9fe.linux import foreign
from a9fe.linux.processes import privileges
from a9fe.linux.processes.lock import StateLock
from a9fe.linux.sweep import clean as sweep
from a9fe.model.errors import InvalidInput
from a9fe.plan.mark import ID, Mark
from a9fe.runtime.config import Config
from a9fe.runtime.state import installation


@click.command()
@click.option(
    "--adopt",
    is_flag=True,
    help="Also remove unmarked objects with a9fe's names, which an older a9fe left."
    " Neutron's objects have the same names: first check the list of `a9fe clean` without it.",
)
@click.option(
    "--installation",
    "id",
    metavar="ID",
    help="Remove the objects of another installation, which does not run and lost its state_path.",
)
@settings_flags
def clean(*, adopt: bool, id: str | None) -> None:
    """Remove the namespaces, bridges, devices, DHCP servers and guests of this installation.

    The database (networks, VMs) stays: `a9fe up` builds everything again. `a9fe up` must not be
    running. Objects with a9fe's names but without this installation's mark are listed and kept.

    \b
    sudo a9fe clean
    sudo a9fe clean --adopt
    """
    privileges.require_root("a9fe clean")
    config = settings()
    mark = _mark(config, id)
    with ExitStack() as locks:
        held = _hold_what_exists(locks, config)
        if PidFile(HOLDER.name, config.run_path).end_orphan():
            click.echo(f"ended {HOLDER.name}")
        taken = tuple(foreign.adopt(mark)) if adopt else ()
        for line in taken:
            click.echo(f"took over {line}")
        swept = sweep(config.state_path, mark, partial(click.echo, err=True))
        if held is not None:
            leftovers.remove(config)
            held.remove()
    leftovers.remove_directory(config)
    for line in swept.removed:
        click.echo(f"removed {line}")
    for line in swept.left:
        click.echo(line, err=True)
    if not (swept.removed or taken):
        click.echo("nothing to remove")


def _mark(config: Config, id: str | None) -> Mark:
    """Return the mark of `id` or of state_path; a new mark, which no object has, if both lack."""
    if id is not None and not ID.fullmatch(id):
        raise InvalidInput("--installation", id, "32 hexadecimal digits, as `a9fe clean` lists")
    if id is None and os.path.isdir(config.state_path):
        id = installation.ensure(config)
    return Mark(id or secrets.token_hex(installation.ID_BYTES))


def _hold_what_exists(locks: ExitStack, config: Config) -> StateLock | None:
    """Lock state_path and run_path if they exist. Return the lock of run_path, or None."""
    held: StateLock | None = None
    for path in dict.fromkeys((config.state_path, config.run_path)):
        if os.path.isdir(path):
            held = locks.enter_context(StateLock(os.path.join(path, LOCK)))
    return held if os.path.isdir(config.run_path) else None
