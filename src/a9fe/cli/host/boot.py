"""`a9fe vm boot`: boot a VM on its port with QEMU, its console here."""

import sys
from pathlib import Path
from typing import TypedDict, Unpack

import click

from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags, settings
from a9fe.cli.host.target import Target, resolve
from a9fe.linux.processes import privileges, programs
from a9fe.linux.vms import qemu, tiny_vm

FILE = click.Path(path_type=Path)
ENDED_BADLY = 1
TIMED_OUT = 124  # as timeout(1)


class Options(TypedDict):
    """What the command was given, by the names of its options."""

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
@click.option("--port", help="Port by name or id; without, the first one of the VM NAME.")
@click.option("--kernel", type=FILE, help="Kernel to boot; the tiny VM's without --disk.")
@click.option("--initrd", type=FILE, help="Initramfs for --kernel.")
@click.option("--disk", type=FILE, help="Disk, raw or qcow2; it boots itself without --kernel.")
@click.option("--append", default="", help="Added to the kernel's command line.")
@click.option("--memory", type=click.IntRange(64), metavar="MIB", help="Memory in MiB.")
@click.option("--kvm", is_flag=True, help="Use /dev/kvm, which can be there and not work.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="S", help="End then.")
@click.option("--wait-for", default="", metavar="TEXT", help="End when the console prints it.")
@click.option(
    "--images",
    type=FILE,
    help="Directory of the tiny VM's image  [of ./run setup, else <state_path>/images]",
)
@client_flags
@click.pass_context
def boot(context: click.Context, name: str, **options: Unpack[Options]) -> None:
    """Boot the VM NAME with QEMU until it powers off; its console is here (Ctrl-A x ends it).

    Without --kernel and --disk it is a tiny VM that takes its lease, prints its routes and the
    metadata it read, and gives a shell. Exit status 124 if --timeout came before --wait-for.

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
    if outcome.reason == "said":
        return 0
    if outcome.reason == "timeout":
        return TIMED_OUT if waited else 0
    return outcome.status or (ENDED_BADLY if waited else 0)
