"""`a9fe ns-metadata-proxy`: the proxy for one namespace, with the options of Neutron's program."""

import importlib
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from a9fe.cli.flags import settings
from a9fe.runtime import logging
from a9fe.runtime.config import Config
from a9fe.runtime.errors import StartError

IGNORED = "Accepted for compatibility; it always stays in the foreground."


@click.command("ns-metadata-proxy")
@click.option("--network_id", "--network-id", metavar="ID", help="Serve this isolated network.")
@click.option("--router_id", "--router-id", metavar="ID", help="Serve this router's networks.")
@click.option(
    "--metadata_port",
    "--metadata-port",
    "port",
    type=click.IntRange(1, 65535),
    help="Port to listen on.  [9697 for a router, 80 for a network]",
)
@click.option(
    "--metadata_proxy_socket",
    "--metadata-proxy-socket",
    "proxy_socket",
    metavar="PATH",
    help="Unix socket of the metadata agent.  [<run_path>/metadata_proxy]",
)
@click.option("--pid_file", "--pid-file", metavar="PATH", help="File for the process id.")
@click.option("--state_path", "--state-path", metavar="PATH", help="Directory of state.")
@click.option(
    "--log-dir", "--log_dir", metavar="PATH", help="Also log to a file in this directory."
)
@click.option("--nodaemonize", is_flag=True, help=IGNORED)
@click.option("--debug", is_flag=True, help="Log at debug level.")
@click.option("--verbose", is_flag=True, help="Accepted for compatibility; no effect.")
def ns_metadata_proxy(
    *, network_id: str | None, router_id: str | None, port: int | None, **more: str | bool | None
) -> None:
    """Run the metadata proxy for the current network namespace, in the foreground.

    Ctrl-C stops it. If this host's metadata proxy already listens in the namespace, the port is in
    use: choose another port, or first remove the network from the DHCP agent.

    \b
    ip netns exec qrouter-$ID a9fe ns-metadata-proxy --router_id $ID --metadata_port 9698 --debug
    """
    if bool(network_id) == bool(router_id):
        raise click.UsageError("expected either --network_id or --router_id")
    config = _with(settings(), more)
    logging.configure("ns-metadata-proxy", debug=config.debug, log_dir=config.log_dir or None)
    pid_file = str(more["pid_file"] or "")
    try:
        _write_pid(pid_file)
        foreground = importlib.import_module("a9fe.metadata_proxy.foreground")
        foreground.run_in_namespace(
            config, network_id=network_id or "", router_id=router_id or "", port=port
        )
    finally:
        if pid_file:
            with suppress(
                OSError
            ):  # root wrote it, and the process may have dropped root's privileges
                Path(pid_file).unlink()


def _with(config: Config, more: dict[str, str | bool | None]) -> Config:
    return replace(
        config,
        metadata_proxy_socket=str(more["proxy_socket"] or config.metadata_proxy_socket),
        state_path=str(more["state_path"] or config.state_path),
        log_dir=str(more["log_dir"] or config.log_dir),
        debug=bool(more["debug"]) or config.debug,
    )


def _write_pid(path: str) -> None:
    if not path:
        return
    try:
        Path(path).write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise StartError(f"--pid_file: cannot write {path}: {error.strerror}") from error
