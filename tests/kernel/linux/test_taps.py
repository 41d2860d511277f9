"""Taps of VMs, made by us or by pasted lines; they have a mark, and unused ones are removed."""

import fcntl
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from a9fe.cli.host.boot_lines import Nic, qemu_lines
from a9fe.linux.kernel import namespace, rtnetlink
from a9fe.linux.vms import taps
from a9fe.plan.mark import Mark
from tests.lab.handmade import sh
from tests.lab.places import MARK

BRIDGE, TAP = "brq77777777-77", "tap77777777-77"
WHERE = taps.Tap(name=TAP, bridge=BRIDGE, mtu=1450)
CARD = Nic(port_id="p", mac="fa:16:3e:00:00:01", addresses=(), tap=TAP, bridge=BRIDGE, mtu=1450)


@pytest.fixture(autouse=True)
def bridge() -> Iterator[None]:
    sh(f"ip link add {BRIDGE} type bridge; ip link set {BRIDGE} alias {MARK.text} up")
    yield
    sh(f"ip link del {BRIDGE}; ip link del {TAP} 2>/dev/null || true")


def pasted(alias: str) -> None:
    """The pasted lines without QEMU's."""
    lines = [line for line in qemu_lines("i", [CARD], alias) if line.startswith("ip ")]
    sh("\n".join(lines))


@pytest.mark.parametrize("alias", ["", MARK.text])
def test_pasted_lines_work_twice_and_their_tap_is_removed(alias: str) -> None:
    pasted(alias)
    pasted(alias)
    found = rtnetlink.find(TAP)
    assert found is not None
    assert (found.alias, found.kind, found.mtu, taps.is_tap(TAP)) == (alias, "tun", 1450, True)
    assert taps.remove_idle(TAP)
    assert not taps.remove_idle(TAP)
    assert rtnetlink.find(TAP) is None


def test_a_tap_that_a_vm_uses_stays() -> None:
    pasted(MARK.text)
    with open(taps.TUN_DEVICE, "r+b", buffering=0) as vm:
        name = struct.pack("16sH22x", TAP.encode(), taps.IFF_TAP | taps.IFF_NO_PI)
        fcntl.ioctl(vm, taps.TUNSETIFF, name)
        with pytest.raises(taps.DeviceBusy, match=f"ip link delete dev {TAP}"):
            taps.remove_idle(TAP)
    assert taps.remove_idle(TAP)


@pytest.mark.parametrize("alias", ["", "somebody"])
def test_a_tap_of_others_stays(alias: str) -> None:
    sh(f"ip tuntap add dev {TAP} mode tap; ip link set {TAP} alias '{alias}'")
    for act in (lambda: taps.remove_idle(TAP), lambda: taps.claim(WHERE)):
        with pytest.raises(namespace.NotOurs, match=f"device {TAP}: left alone"):
            act()
    assert rtnetlink.find(TAP) is not None


def test_a_bridge_of_others_takes_no_tap() -> None:
    sh(f"ip link set {BRIDGE} alias ''")
    with pytest.raises(namespace.NotOurs, match=f"bridge {BRIDGE}"), taps.attached(WHERE):
        pass
    assert rtnetlink.find(TAP) is None


def test_a_tap_is_of_the_installation_whose_bridge_it_is_on() -> None:
    other = Mark("ab" * 16)
    sh(f"ip link set {BRIDGE} alias {other.text}")
    with taps.attached(WHERE):
        found = rtnetlink.find(TAP)
    assert found is not None
    assert (found.alias, found.group) == (other.text, other.vm_group)
    assert rtnetlink.find(TAP) is None


KILLED = """
import os, signal, sys
from a9fe.linux.kernel import links
from a9fe.linux.vms import taps
module, function = (links, "adopt") if sys.argv[1] == "before" else (taps, "plug")
setattr(module, function, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
with taps.attached(taps.Tap(name=sys.argv[2], bridge=sys.argv[3], mtu=1450)):
    pass
"""


@pytest.mark.parametrize(("moment", "left"), [("before", False), ("after", True)])
def test_a_tap_outlives_its_killed_maker_with_its_mark_only(moment: str, *, left: bool) -> None:
    argv = [sys.executable, "-c", KILLED, moment, TAP, BRIDGE]
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL
    found = rtnetlink.find(TAP)
    assert (found is not None) == left
    assert found is None or found.alias == MARK.text
    taps.claim(WHERE)
    assert rtnetlink.find(TAP) is None
