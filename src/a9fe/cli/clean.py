"""`a9fe clean`: remove every kernel object that is ours, and nothing else."""

import os
from contextlib import ExitStack

import click

from a9fe.cli.flags import settings, settings_flags
from a9fe.cli.up import hold
from a9fe.linux import privileges
from a9fe.linux.sweep import clean as sweep
from a9fe.runtime.config import Config


@click.command()
@settings_flags
def clean() -> None:
    """Remove the namespaces, bridges, devices, DHCP servers and guests that a9fe made.

    State (networks, VMs) is kept: `a9fe up` makes all of it again. Refused while it runs.

    \b
    sudo a9fe clean
    """
    privileges.require_root("a9fe clean")
    config = settings()
    with ExitStack() as locks:
        _hold_what_exists(locks, config)
        swept = sweep(config.state_path)
    for line in swept.removed:
        click.echo(f"removed {line}")
    for line in swept.left:
        click.echo(line, err=True)
    if not swept.removed:
        click.echo("nothing of ours was here")


def _hold_what_exists(locks: ExitStack, config: Config) -> None:
    if os.path.isdir(config.state_path) and os.path.isdir(config.run_path):
        hold(locks, config)
