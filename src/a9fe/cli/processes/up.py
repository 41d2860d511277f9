"""`a9fe up`: run and supervise all processes, with one log stream."""

import asyncio
import importlib
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack

import click
import structlog

from a9fe.cli.flags import given_flags, settings, settings_flags
from a9fe.cli.output import print_table
from a9fe.cli.processes import fork_server
from a9fe.cli.processes.pid_file import PidFile
from a9fe.cli.processes.process_table import HOLDER, PROCESSES, processes_of
from a9fe.cli.processes.run_process import prepare
from a9fe.cli.processes.supervisor import Supervised, all_ready
from a9fe.linux.processes import privileges
from a9fe.linux.processes.lock import StateLock
from a9fe.linux.processes.standby import Standby
from a9fe.model.auth_strategy import check_bind_host, check_keystone
from a9fe.runtime import logging, tasks
from a9fe.runtime.config import Config
from a9fe.runtime.state import directories, local_tokens, shared_secret

log = structlog.get_logger()

CHECKS = "a9fe.cli.processes.host_checks"
LOCK = "lock"


@click.command()
@click.option(
    "--adopt",
    is_flag=True,
    help="Take over unmarked objects with a9fe's names, which an older a9fe left. Neutron's"
    " objects have the same names: first check the list of `a9fe clean`.",
)
@settings_flags
@click.pass_context
def up(context: click.Context, *, adopt: bool) -> None:
    """Run all processes of a9fe until Ctrl-C or SIGTERM.

    A process that ends is restarted. Logs go to stderr, with the process's name on each line. When
    all processes are ready, a table on stdout shows their addresses. `a9fe up` ends with its
    processes but leaves namespaces and DHCP servers in place; `a9fe clean` removes them. After
    SIGTERM, listeners are kept for five minutes: VMs' requests wait for the next `a9fe up`.
    The database (SQLite) and the shared secret are in --state-path; the first start makes them.

    \b
    sudo a9fe up
    sudo a9fe up --state-path /srv/a9fe --bind-port 19696 --debug
    """
    privileges.require_root("a9fe up")
    flags = given_flags(context)
    forks = fork_server.start(flags)  # it imports the processes' modules meanwhile
    config = settings(context)
    logging.configure(
        "up",
        debug=config.debug,
        json=config.log_format == "json",
        log_dir=config.log_dir or None,
    )
    check_bind_host(config.auth_strategy, config.bind_host)
    check_keystone(config.auth_strategy, config.keystone_auth_url, config.keystone_password)
    make_directories(config)
    with ExitStack() as locks:
        hold(locks, config)
        started = (HOLDER, *processes_of(config))
        for process in PROCESSES:  # of any shape: the former `a9fe up` may have had another one
            PidFile(process.name, config.run_path).end_orphan()
        goes_on = check(config, adopt=adopt)
        set_up(config)
        supervised = [Supervised(p, config, flags, forks, goes_on=goes_on) for p in started]
        put_in_order(supervised)
        tasks.run(lambda: _supervise(supervised, config), lambda n: leave(supervised, n))
        forks.close()
    log.info("stopped; namespaces and DHCP stay, `a9fe clean` removes them")


def check(config: Config, *, adopt: bool) -> bool:
    """Check the host, in a process of its own, which needs much memory only once.

    Return whether processes can serve without the server. Raises A9feError.
    """
    checks = Standby(lambda: importlib.import_module(CHECKS).run(config, adopt=adopt))
    try:
        return bool(checks.do())
    finally:
        checks.close()


def make_directories(config: Config) -> None:
    """Make state_path and run_path. Raises StartError."""
    directories.ensure("state_path", config.state_path, directories.STATE_MODE)
    directories.ensure("run_path", config.run_path, directories.RUN_MODE)


def hold(locks: ExitStack, config: Config) -> None:
    """Lock state_path and run_path. Raises AlreadyRunning."""
    for path in dict.fromkeys((config.state_path, config.run_path)):
        locks.enter_context(StateLock(os.path.join(path, LOCK)))


def set_up(config: Config) -> None:
    """Make the users, their directories, the shared secret and the API tokens."""
    for process in (HOLDER, *processes_of(config)):
        privileges.ensure_user(process.user(config))
        prepare(process, config)
    if any(process.secret for process in processes_of(config)):
        shared_secret.ensure(config)
    local_tokens.ensure(config)


def put_in_order(supervised: Sequence[Supervised]) -> None:
    """Have each process stop after the one that sends it requests."""
    by_name = {one.process.name: one for one in supervised}
    for one in supervised:
        one.stops_after = by_name.get(one.process.asked_by)


def leave(supervised: Sequence[Supervised], number: signal.Signals) -> None:
    """After SIGTERM, which service managers also send to restart us, the holder goes on."""
    for one in supervised:
        one.stays = one.process.survives and number == signal.SIGTERM


async def _supervise(supervised: Sequence[Supervised], config: Config) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            # First those that import modules of their own: the others are forked meanwhile.
            for one in sorted(supervised, key=lambda one: not one.process.alone):
                group.create_task(one.keep())
            group.create_task(_announce(supervised, config))
    except ExceptionGroup as failed:  # the first failure ended all others
        raise failed.exceptions[0] from None


async def _announce(supervised: Sequence[Supervised], config: Config) -> None:
    """Print the table of processes once, and log whether all are ready."""
    ready = await all_ready(supervised)
    rows = [
        (
            one.process.name,
            one.pid or "",
            one.process.user(config),
            one.process.listens(config),
            "ready" if one.ready.is_set() else "not ready",
        )
        for one in supervised
    ]
    print_table(("Process", "PID", "User", "Listens on", "State"), rows)
    if ready:
        log.info(logging.READY, state_path=config.state_path, run_path=config.run_path)
    else:
        late = ", ".join(one.process.name for one in supervised if not one.ready.is_set())
        log.error("not all processes became ready; still trying", missing=late)
