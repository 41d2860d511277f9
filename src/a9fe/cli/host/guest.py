"""`a9fe guest`: namespaces with a DHCP client on a port, in place of VMs."""

from dataclasses import asdict

import click

from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags
from a9fe.cli.host.boot_port import resolve
from a9fe.cli.output import print_json, print_table
from a9fe.linux.processes import privileges
from a9fe.linux.vms import guest as guests
from a9fe.model.errors import A9feError


@click.group()
def guest() -> None:
    """Guests: network namespaces with a DHCP client on a port, which stand in for VMs.

    \b
    a9fe guest start web1
    a9fe guest exec web1 -- curl -s http://169.254.169.254/latest/meta-data/
    a9fe guest stop web1
    """


@guest.command()
@click.argument("name")
@click.option("--port", help="Name or id of a port.  [the first port of the VM NAME]")
@click.option(
    "--client",
    type=click.Choice(list(guests.CLIENTS)),
    default=guests.DEFAULT_CLIENT,
    show_default=True,
    help="DHCP client.",
)
@client_flags
def start(name: str, port: str | None, client: str) -> None:
    """Start the guest NAME and get its DHCP lease.

    \b
    a9fe guest start web1
    a9fe guest start probe --port 6d4b3a1e-... --client udhcpc
    """
    privileges.require_root("a9fe guest start")
    guests.require_programs(client)
    with resource.connect() as api:
        target = resolve(api, name, port)
    running = guests.start(guests.Guest(name=name, mac=target.mac, tap=target.tap, client=client))
    addresses = ", ".join(running.addresses) or "no address"
    click.echo(f"guest {name}: {addresses} on {target.tap.name}, {target.tap.bridge}")


@guest.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(name: str, command: tuple[str, ...]) -> None:
    """Run COMMAND in the guest NAME, and exit with its status.

    \b
    a9fe guest exec web1 -- ip route
    """
    privileges.require_root("a9fe guest exec")
    guests.execute(name, command)


@guest.command()
@click.argument("name")
def stop(name: str) -> None:
    """Stop all processes of the guest NAME and remove it.

    \b
    a9fe guest stop web1
    """
    privileges.require_root("a9fe guest stop")
    if not guests.stop(name):
        raise A9feError(f"guest {name}: does not exist on this host; see `a9fe guest list`")
    click.echo(f"guest {name}: stopped")


@guest.command("list")
@resource.json_flag
def list_(*, as_json: bool) -> None:
    """List the guests on this host.

    \b
    a9fe guest list --json
    """
    privileges.require_root("a9fe guest list")
    found = [guests.find(name) for name in guests.names()]
    if as_json:
        print_json([asdict(running) for running in found])
        return
    rows = [(g.name, g.pid or "gone", g.device, g.addresses) for g in found]
    print_table(("Name", "PID", "Device", "Addresses"), rows)
