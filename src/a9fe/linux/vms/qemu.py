"""Booting a VM on a port with QEMU, on a tap on the network's bridge.

cloud-init requests OpenStack's metadata only if the VM has this product name. The VM and its tap
end with the command that booted it.
"""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from a9fe.linux.processes import programs
from a9fe.linux.vms import taps
from a9fe.linux.vms.tiny_vm import CONSOLE, FAST, Image
from a9fe.model.errors import A9feError

PROGRAM = "qemu-system-x86_64"
PRODUCT = "OpenStack Nova"
MANUFACTURER = "OpenStack Foundation"
TINY_MEMORY = 128  # MiB; the tiny VM uses about 60
MEMORY = 512  # MiB, for the operator's own kernel or disk
QCOW2 = b"QFI\xfb"  # the first bytes of a qcow2 image
READ = 65536
END = 10.0  # s from SIGTERM until SIGKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What to boot. `mac` and `tap` are the port's; `uuid` is the instance's id.

    Without a `kernel`, the boot loader on `disk` boots. `append` is added to the kernel's command
    line. `memory` is in MiB. `kvm` uses /dev/kvm.
    """

    uuid: str
    mac: str
    tap: str
    kernel: Path | None = None
    initrd: Path | None = None
    disk: Path | None = None
    append: str = ""
    memory: int = MEMORY
    kvm: bool = False


def tiny(machine: Machine, image: Image) -> Machine:
    """The machine with the tiny VM's kernel and initramfs in place of its own."""
    return Machine(
        uuid=machine.uuid,
        mac=machine.mac,
        tap=machine.tap,
        kernel=image.kernel,
        initrd=image.initrd,
        append=f"{CONSOLE} {FAST} {machine.append}".strip(),
        memory=machine.memory,
        kvm=machine.kvm,
    )


def arguments(machine: Machine) -> tuple[str, ...]:
    """Return QEMU's command line."""
    return (
        PROGRAM,
        *("-accel", "kvm" if machine.kvm else "tcg"),
        *("-cpu", "host" if machine.kvm else _emulated_cpu(machine)),
        *("-m", str(machine.memory)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-serial", "mon:stdio"),
        *("-smbios", identity(machine.uuid)),
        *("-netdev", f"tap,id=n0,ifname={machine.tap},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=n0,mac={machine.mac},romfile="),
        *("-device", "virtio-rng-pci"),
        *_boot(machine),
    )


def identity(uuid: str) -> str:
    """The SMBIOS record of an OpenStack VM, with its instance's id, for cloud-init."""
    return f"type=1,product={PRODUCT},manufacturer={MANUFACTURER},uuid={uuid}"


def _emulated_cpu(machine: Machine) -> str:
    """The plain CPU boots fastest; a distribution on a disk may need a newer one."""
    return "max" if machine.disk else "qemu64"


def _boot(machine: Machine) -> Iterator[str]:
    if machine.kernel:
        yield from ("-kernel", str(machine.kernel))
        if machine.append:
            yield from ("-append", machine.append)
    if machine.initrd:
        yield from ("-initrd", str(machine.initrd))
    if machine.disk:
        yield from ("-drive", f"file={machine.disk},if=virtio,format={_disk_format(machine.disk)}")


def _disk_format(disk: Path) -> str:
    with disk.open("rb") as file:
        return "qcow2" if file.read(len(QCOW2)) == QCOW2 else "raw"


def check(machine: Machine) -> None:
    """Raise A9feError if a program, a file or /dev/kvm is missing. Changes nothing."""
    for program in (PROGRAM, "setpriv"):
        programs.find(program)
    for field, path in (
        ("kernel", machine.kernel),
        ("initrd", machine.initrd),
        ("disk", machine.disk),
    ):
        if path is not None and not path.is_file():
            raise A9feError(f"--{field}: {str(path)!r} is not valid, expected a readable file")
    if machine.kvm and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise A9feError("--kvm: /dev/kvm cannot be used here; leave it out for emulation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a boot ended: `reason` is "seen" (wait_for was seen), "timeout" or "ended"."""

    reason: str
    status: int | None = None


def boot(
    machine: Machine,
    link: taps.Tap,
    sink: Callable[[bytes], None],
    *,
    wait_for: str = "",
    timeout: float | None = None,
) -> Outcome:
    """Boot the VM on its tap, pass its console to `sink`, until it prints `wait_for` or ends.

    `timeout` is in s from the start, None for none. Removes the VM and its tap before it returns.
    """
    check(machine)
    with taps.attached(link), _running(machine) as process:
        return _follow(process, sink, wait_for.encode(), timeout)


@contextmanager
def _running(machine: Machine) -> Iterator["subprocess.Popen[bytes]"]:
    command = [programs.find("setpriv"), "--pdeathsig", "KILL", programs.find(PROGRAM)]
    stdin = None if sys.stdin.isatty() else subprocess.DEVNULL
    process = subprocess.Popen(  # noqa: S603 - argv is ours, no shell
        [*command, *arguments(machine)[1:]],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _follow(
    process: "subprocess.Popen[bytes]",
    sink: Callable[[bytes], None],
    wanted: bytes,
    timeout: float | None,
) -> Outcome:
    assert process.stdout is not None
    console = process.stdout.fileno()
    end = None if timeout is None else time.monotonic() + timeout
    tail = b""
    while True:
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            return Outcome(reason="timeout")
        if not select.select([console], [], [], left)[0]:
            continue
        chunk = os.read(console, READ)
        if not chunk:
            return Outcome(reason="ended", status=process.wait())
        sink(chunk)
        tail = (tail + chunk)[-READ:]
        if wanted and wanted in tail:
            return Outcome(reason="seen")
