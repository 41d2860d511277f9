"""`a9fe port wait-ready`: wait until a port is ACTIVE, with what is missing if it is not."""

import time

import click

from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags
from a9fe.cli.output import TIMED_OUT

WAIT = 10  # s that one request waits in the server
AT_ONCE = 1.0  # s; a server that cannot hold more requests answers sooner


@click.command("wait-ready")
@click.argument("name", metavar="PORT")
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=300.0,
    metavar="S",
    help="Give up after S seconds, with exit status 124.  [300]",
)
@client_flags
@click.pass_context
def wait_ready(context: click.Context, name: str, timeout: float) -> None:
    """Wait until PORT is ready: its VM can get its lease and its metadata.

    A VM's port is ready when its tap is on its bridge, and its filters, its DHCP entry and the
    listener or router for its metadata are in place. The server answers when that changes; what is
    missing is printed.

    \b
    a9fe port wait-ready 6d4b3a1e-8c52-4f0b-9d9a-2b1c7e5f4a33
    a9fe port wait-ready probe --timeout 30 && echo ready
    """
    end = time.monotonic() + timeout
    said, wait = "", 0
    with resource.connect() as api:
        id = api.find("ports", name)["id"]
        while True:
            began = time.monotonic()
            status = api.status("ports", id, wait)
            if status["ready"]:
                click.echo(f"port {name}: ready")
                return
            reason = status["status_reason"]
            left = end - time.monotonic()
            if left <= 0:
                click.echo(f"port {name}: not ready after {timeout:g} s: {reason}", err=True)
                context.exit(TIMED_OUT)
            if reason != said:
                click.echo(f"port {name}: {reason}", err=True)
                said = reason
            if wait and time.monotonic() - began < AT_ONCE:
                time.sleep(min(left, AT_ONCE))
            wait = min(WAIT, int(left))
            if not wait:
                time.sleep(left)
