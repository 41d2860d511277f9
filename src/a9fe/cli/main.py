"""`a9fe`: the table of commands, and the mapping of errors to a line on stderr and an exit code.

Each command is imported when it is called, so that a process loads only its own rooms.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from a9fe.cli import lean_imports
from a9fe.cli.flags import settings_flags
from a9fe.model.errors import A9feError

FAILED, USAGE, INTERRUPTED = 1, 2, 130
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

# Names with module and attribute, in the order of --help.
COMMANDS = {
    "up": "a9fe.cli.processes.up:up",
    "clean": "a9fe.cli.host.clean:clean",
    "config": "a9fe.cli.config:config",
    "network": "a9fe.cli.api.network:network",
    "subnet": "a9fe.cli.api.network:subnet",
    "port": "a9fe.cli.api.port:port",
    "router": "a9fe.cli.api.router:router",
    "agent": "a9fe.cli.api.agent:agent",
    "vm": "a9fe.cli.api.vm:vm",
    "event": "a9fe.cli.api.event:event",
    "flavor": "a9fe.cli.api.compute_records:flavor",
    "image": "a9fe.cli.api.compute_records:image",
    "keypair": "a9fe.cli.api.compute_records:keypair",
    "clouds-yaml": "a9fe.cli.clouds_yaml:clouds_yaml",
    "guest": "a9fe.cli.host.guest:guest",
    "token": "a9fe.cli.api.token:token",
    "imds": "a9fe.cli.api.imds:imds",
    "identity": "a9fe.cli.api.identity:identity",
    "db": "a9fe.cli.db:db",
    "server": "a9fe.cli.processes.run_process:server",
    "l3-agent": "a9fe.cli.processes.run_process:l3_agent",
    "dhcp-agent": "a9fe.cli.processes.run_process:dhcp_agent",
    "metadata-host": "a9fe.cli.processes.run_process:metadata_host",
    "metadata-proxy": "a9fe.cli.processes.run_process:metadata_proxy",
    "listener-holder": "a9fe.cli.processes.run_process:listener_holder",
    "fork-server": "a9fe.cli.processes.fork_server:fork_server",
    "metadata-agent": "a9fe.cli.processes.run_process:metadata_agent",
    "metadata-service": "a9fe.cli.processes.run_process:metadata_service",
    "ns-metadata-proxy": "a9fe.cli.processes.ns_metadata_proxy:ns_metadata_proxy",
}


PROCESSES = "a9fe.cli.processes."
"""The package of the commands that run processes, which stay in memory."""


class Root(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        if module.startswith(PROCESSES):
            lean_imports.load(("structlog",) if cmd_name == "up" else ("structlog", "httpx"))
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name]} is not a command")
        return command

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> Any:  # noqa: ANN401 - click's signature
        """Run a command line and exit: 0 for success, 1 for an error, 2 for wrong usage."""
        extra |= {"prog_name": "a9fe", "standalone_mode": False}
        sys.exit(_exit_code(lambda: super(Root, self).main(args, **extra), args))


def _exit_code(call: Any, args: Sequence[str] | None) -> int:  # noqa: ANN401 - returns what click does
    """Run `call`, print an error on stderr, and return the exit code."""
    try:
        code = call()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.UsageError as error:
        return _say(_usage(error), USAGE)
    except click.ClickException as error:
        return _say(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        return _pipe_closed()
    except A9feError as error:
        _trace_if_debugging(args)
        return _say(str(error), FAILED)
    except Exception as error:  # noqa: BLE001 - users get one line, not a traceback
        shown = _trace_if_debugging(args)
        hint = "" if shown else "; --debug prints the traceback"
        return _say(f"a defect of a9fe: {type(error).__name__}: {error}{hint}", FAILED)
    return code if isinstance(code, int) else 0


def _usage(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx else "a9fe"
    return f"{error.format_message()} (see {path} --help)"


def _say(message: str, code: int) -> int:
    line = " ".join(message.split())
    click.echo(f"a9fe: error: {line}", err=True)
    return code


def _pipe_closed() -> int:
    """Discard all further output, as the reader of the pipe has ended (such as `head`)."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _trace_if_debugging(args: Sequence[str] | None) -> bool:
    wanted = "--debug" in (sys.argv[1:] if args is None else args)
    if wanted:
        click.echo(traceback.format_exc(), err=True)
    return wanted


@click.command(cls=Root, context_settings=CONTEXT)
@click.version_option(package_name="a9fe", message="a9fe %(version)s")
@settings_flags
def main() -> None:
    """Every VM on your Linux networks reads its own metadata at http://169.254.169.254.

    \b
    sudo a9fe up
    a9fe network create lab --subnet 10.1.0.0/24
    a9fe vm create web1 --network lab --ssh-key ~/.ssh/id_ed25519.pub
    a9fe vm boot web1

    Every option of `a9fe config`, except secrets, is a flag here, of `up` and of each process.
    """
