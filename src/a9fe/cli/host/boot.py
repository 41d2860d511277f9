"""`a9fe vm boot`: boot a VM on its port with QEMU, with its console on the terminal."""

import sys
from pathlib import Path
from typing import TypedDict, Unpack

import click

from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags, settings
from a9fe.cli.host.boot_port import Target, resolve
from a9fe.cli.output import TIMED_OUT
from a9fe.linux.processes import privileges, programs
from a9fe.linux.vms import qemu, tiny_vm

FILE = click.Path(path_type=Path)
ENDED_BADLY = 1


class Options(TypedDict):
    """The command's options by name."""

    port: str | None
    kernel: Path | None
    initrd: Path | None
    disk: Path | None
    append: str
    memory: int | None
    kvm: bool
    timeout: float | None
    wait_for: str
    images: Path | None


@click.command()
@click.argument("name")
@click.option("--port", help="Name or id of a port.  [the VM's first port]")
@click.option("--kernel", type=FILE, help="Kernel to boot.  [without --disk: the tiny VM's]")
@click.option("--initrd", type=FILE, help="Initramfs for --kernel.")
@click.option("--disk", type=FILE, help="Disk, raw or qcow2; boots itself without --kernel.")
@click.option("--append", default="", help="Arguments to add to the kernel command line.")
@click.option("--memory", type=click.IntRange(64), metavar="MIB", help="Memory in MiB.")
@click.option("--kvm", is_flag=True, help="Use /dev/kvm instead of emulation.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="S", help="Stop after S seconds."
)
@click.option("--wait-for", default="", metavar="TEXT", help="Stop when the console prints TEXT.")
@click.option(
    "--images",
    type=FILE,
    help="Directory of the tiny VM's image  [of ./run setup, else <state_path>/images]",
)
@client_flags
@click.pass_context
def boot(context: click.Context, name: str, **options: Unpack[Options]) -> None:
    """Boot the VM NAME with QEMU until it powers off, with its console here (Ctrl-A x ends it).

    Without --kernel and --disk, a tiny VM boots: it gets a DHCP lease, prints its routes and its
    metadata, and starts a shell. The exit status is 124 if --timeout ends before TEXT is printed.

    \b
    a9fe vm boot web1
    a9fe vm boot web1 --disk debian-12-genericcloud-amd64.qcow2 --memory 1024
    a9fe vm boot web1 --timeout 60 --wait-for 'a9fe-vm: done'
    """
    privileges.require_root("a9fe vm boot")
    programs.find(qemu.PROGRAM)
    with resource.connect() as client:
        target = resolve(client, name, options["port"])
    outcome = qemu.boot(
        _machine(target, options, tiny_vm.directory(Path(settings(context).state_path))),
        target.tap,
        _print,
        wait_for=options["wait_for"],
        timeout=options["timeout"],
    )
    context.exit(_status(outcome, waited=bool(options["wait_for"])))


def _machine(target: Target, options: Options, images: Path) -> qemu.Machine:
    own = options["kernel"] or options["disk"]
    machine = qemu.Machine(
        uuid=target.uuid,
        mac=target.mac,
        tap=target.tap.name,
        kernel=options["kernel"],
        initrd=options["initrd"],
        disk=options["disk"],
        append=options["append"],
        memory=options["memory"] or (qemu.MEMORY if own else qemu.TINY_MEMORY),
        kvm=options["kvm"],
    )
    return machine if own else qemu.tiny(machine, tiny_vm.ensure(options["images"] or images))


def _print(chunk: bytes) -> None:
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _status(outcome: qemu.Outcome, *, waited: bool) -> int:
    if outcome.reason == "seen":
        return 0
    if outcome.reason == "timeout":
        return TIMED_OUT if waited else 0
    return outcome.status or (ENDED_BADLY if waited else 0)
