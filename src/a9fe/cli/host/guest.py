"""`a9fe guest`: stand-in VMs, namespaces with a real DHCP client on a port."""

from dataclasses import asdict

import click

from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags
from a9fe.cli.host.target import resolve
from a9fe.cli.output import print_json, print_table
from a9fe.linux.processes import privileges
from a9fe.linux.vms import guest as guests
from a9fe.model.errors import A9feError


@click.group()
def guest() -> None:
    """Stand-in VMs: namespaces with a real DHCP client on a port.

    \b
    a9fe guest start web1
    a9fe guest exec web1 -- curl -s http://169.254.169.254/latest/meta-data/
    a9fe guest stop web1
    """


@guest.command()
@click.argument("name")
@click.option(
    "--port", help="Port by name or id; without, NAME is a VM and its first port is used."
)
@click.option(
    "--client",
    type=click.Choice(list(guests.CLIENTS)),
    default=guests.DEFAULT_CLIENT,
    show_default=True,
    help="DHCP client.",
)
@client_flags
def start(name: str, port: str | None, client: str) -> None:
    """Start the guest NAME and take its lease.

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
    """Run COMMAND in the guest NAME; its exit status is ours.

    \b
    a9fe guest exec web1 -- ip route
    """
    privileges.require_root("a9fe guest exec")
    guests.execute(name, command)


@guest.command()
@click.argument("name")
def stop(name: str) -> None:
    """End all that runs in the guest NAME and remove it.

    \b
    a9fe guest stop web1
    """
    privileges.require_root("a9fe guest stop")
    if not guests.stop(name):
        raise A9feError(f"guest {name}: does not exist here; a9fe guest list shows those that do")
    click.echo(f"guest {name}: stopped")


@guest.command("list")
@resource.json_flag
def list_(*, as_json: bool) -> None:
    """List the guests of this host.

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
