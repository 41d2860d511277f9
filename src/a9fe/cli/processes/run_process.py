"""The commands that run one process in the foreground; `a9fe up` runs them too."""

import importlib
import os
from collections.abc import Mapping
from dataclasses import replace

import click
import structlog

from a9fe.cli.flags import settings, settings_flags, settings_of
from a9fe.cli.processes.process_table import BY_NAME, Process
from a9fe.linux.processes import privileges
from a9fe.model.errors import A9feError
from a9fe.runtime import failpoints, logging
from a9fe.runtime.config import Config
from a9fe.runtime.state import directories, local_tokens, shared_secret

log = structlog.get_logger()

HOPELESS = os.EX_CONFIG
"""Exit status that tells the supervisor not to start the process again."""


def prepare(process: Process, config: Config) -> None:
    """Make the directories that the process needs. Raises StartError."""
    directories.ensure("state_path", config.state_path, directories.STATE_MODE)
    directories.ensure("run_path", config.run_path, directories.RUN_MODE)
    if not (process.directories and privileges.is_root()):
        return
    owner = privileges.owner_of(process.user(config))
    for name in process.directories:
        path = os.path.join(config.state_path, name)
        directories.ensure_own(path, owner)


def with_secret(process: Process, config: Config) -> Config:
    """Return the configuration with only the secrets that the process needs."""
    value = shared_secret.read(config) if process.secret else ""
    is_service = process.room == "metadata_service"
    token = local_tokens.for_agent(config, is_service=is_service) if process.follows else ""
    return replace(config, metadata_proxy_shared_secret=value, auth_token=token)


def _command(name: str, help: str) -> click.Command:
    @click.command(name, help=f"{help}\n\n\b\nsudo a9fe {name} --debug")
    @settings_flags
    def command() -> None:
        _run(BY_NAME[name], settings())

    return command


def supervised(process: Process, flags: Mapping[str, str]) -> int:
    """Run the process for `a9fe up`, with these flags by option; return its exit status."""
    privileges.die_with_parent()
    try:
        _run(process, settings_of(flags))
    except A9feError as error:
        log.error("cannot run", reason=str(error))  # noqa: TRY400 - a traceback adds nothing
        return HOPELESS
    except Exception:
        log.exception("cannot run, by a defect of a9fe")
        return 1
    return 0


def _run(process: Process, config: Config) -> None:
    logging.configure(
        process.name,
        debug=config.debug,
        json=config.log_format == "json",
        log_dir=config.log_dir or None,
    )
    failpoints.arm_from(os.environ)
    prepare(process, config)
    config = with_secret(process, config)
    importlib.import_module(process.imported).run(config)


server = _command("server", "Run the API server and the change feed.")
l3_agent = _command("l3-agent", "Run the L3 agent, which builds router namespaces.")
dhcp_agent = _command("dhcp-agent", "Run the DHCP agent, which builds DHCP namespaces.")
metadata_host = _command(
    "metadata-host", "Run the metadata host: the three hops of this host in one process."
)
metadata_proxy = _command(
    "metadata-proxy", "Run the metadata proxy, hop 1: listens in the namespaces of this host."
)
metadata_agent = _command(
    "metadata-agent", "Run the metadata agent, hop 2: finds the instance that sent a request."
)
metadata_service = _command(
    "metadata-service", "Run the metadata service, hop 3: answers requests of instances."
)
listener_holder = _command(
    "listener-holder",
    "Keep copies of all listeners, so that no connection is refused during a restart.",
)
