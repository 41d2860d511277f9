"""`a9fe vm boot-lines` and `a9fe vm delete`: commands that use a VM's taps on this host."""

from contextlib import suppress

import click

from a9fe.api_client import ApiClient
from a9fe.api_client.client import Document
from a9fe.cli.api import resource
from a9fe.cli.api.port import addresses
from a9fe.cli.flags import client_flags, settings
from a9fe.cli.host.boot_lines import Nic, libvirt_lines, qemu_lines
from a9fe.cli.output import print_table
from a9fe.linux.kernel import namespace
from a9fe.linux.processes import privileges
from a9fe.linux.vms import guest as guests
from a9fe.linux.vms import taps
from a9fe.model.errors import A9feError
from a9fe.model.rules import addresses as rules
from a9fe.plan import names
from a9fe.plan.mark import Mark
from a9fe.runtime.state import installation


@click.command("boot-lines")
@click.argument("name")
@client_flags
def boot_lines(name: str) -> None:
    """Print the commands and XML that boot the VM NAME with QEMU or libvirt.

    \b
    a9fe vm boot-lines web1
    """
    with resource.connect() as api:
        found = api.find("instances", name)
        nics = nics_of(api, found)
    print_nics(nics)
    print_lines(found["id"], nics)


@click.command("delete")
@click.argument("vms", metavar="NAMES...", nargs=-1, required=True)
@client_flags
def delete(vms: tuple[str, ...]) -> None:
    """Delete the VMs NAMES, and remove their taps on this host.

    \b
    a9fe vm delete web1 web2
    """
    with resource.connect() as api:
        found = [api.find("instances", name) for name in vms]
        for name, instance in zip(vms, found, strict=True):
            ports = api.list("ports", device_id=instance["id"])
            api.delete("instances", instance["id"])
            click.echo(f"vm {name}: deleted")
            for port in ports:
                _remove_tap(port["id"])
            _print_guests_on({names.outer_device(port["id"]) for port in ports})


def _print_guests_on(devices: set[str]) -> None:
    """Print the guests that still run on these devices, if root runs the command."""
    if not privileges.is_root():
        return
    for name in guests.names():
        with suppress(A9feError):  # it ended meanwhile
            if guests.find(name).device in devices:
                click.echo(f"guest {name}: still runs; to end it: a9fe guest stop {name}")


def _remove_tap(port_id: str) -> None:
    """Remove the tap of a deleted port, or print why not."""
    tap = names.outer_device(port_id)
    if not taps.is_tap(tap):
        return  # no VM ran here; `a9fe guest stop` removes a guest's device
    if not privileges.is_root():
        click.echo(f"{tap}: not removed, needs root; run: ip link delete dev {tap}", err=True)
        return
    try:
        taps.remove_idle(tap)
    except (taps.DeviceBusy, namespace.NotOurs) as error:
        click.echo(f"{error}", err=True)
    else:
        click.echo(f"{tap}: removed")


def nics_of(api: ApiClient, instance: Document) -> list[Nic]:
    """Return the network cards of an instance, in the order of its ports."""
    return [_nic(api, port) for port in instance["ports"]]


def _nic(api: ApiClient, port: Document) -> Nic:
    return Nic(
        port_id=port["id"],
        mac=port["mac_address"],
        addresses=tuple(addresses(port)),
        tap=names.outer_device(port["id"]),
        bridge=names.bridge(port["network_id"]),
        mtu=rules.device_mtu(api.show("networks", port["network_id"])["mtu"]),
    )


def print_nics(nics: list[Nic]) -> None:
    """Print network cards as a table."""
    print_table(
        ("Port", "MAC", "Addresses", "Bridge", "Tap"),
        [(nic.port_id, nic.mac, nic.addresses, nic.bridge, nic.tap) for nic in nics],
    )


def print_lines(instance_id: str, nics: list[Nic]) -> None:
    """Print the boot lines, with the mark of this host's installation for taps, if it has one."""
    id = installation.read(settings())
    alias = Mark(id).text if id else ""
    click.echo("\nTo boot it with QEMU, as root (or: a9fe vm boot NAME):\n")
    click.echo("\n".join(qemu_lines(instance_id, nics, alias)))
    click.echo("\nTo boot it with libvirt, in its domain's XML:\n")
    click.echo("\n".join(libvirt_lines(instance_id, nics)))
