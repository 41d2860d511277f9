"""Namespace guests and the tiny VM, with real DHCP clients, on a network made by hand."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from a9fe.linux.kernel import namespace
from a9fe.linux.processes import process
from a9fe.linux.vms import guest, qemu, taps, tiny_vm
from a9fe.model.errors import A9feError
from tests.kit.conditions import eventually
from tests.lab.handmade import LEASES, isolated_network, sh, stand_in, tap
from tests.lab.places import IMAGES

URL = "http://169.254.169.254/latest/meta-data/instance-id"


@pytest.fixture(scope="module", autouse=True)
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with isolated_network(tmp_path_factory.mktemp("handmade"), LEASES):
        yield


def run(name: str, *argv: str) -> str:
    command = guest.command(name, argv)
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


@pytest.mark.parametrize(("number", "client"), [(1, "dhclient"), (2, "udhcpc"), (3, "dhcpcd")])
def test_each_client_takes_option_121_and_reaches_metadata(number: int, client: str) -> None:
    state = guest.start(stand_in(number, client))
    try:
        assert state.addresses == (f"{LEASES[number - 1].address}/24",)
        assert state.device == tap(number).name
        routes = run(state.name, "ip", "-4", "route")
        assert "169.254.169.254 via 10.9.0.2 dev eth0" in routes
        assert "default via 10.9.0.1 dev eth0" in routes
        assert run(state.name, "curl", "-sS", "-m", "5", URL) == "i-00000001"
        clients = run(state.name, "ps", "-e", "-o", "comm=")
        assert {"busybox", client} & set(clients.split()), "the client stays to renew"
    finally:
        assert guest.stop(state.name)
    assert taps.link(tap(number).name) is None
    assert state.name not in guest.names()


def test_a_guest_has_private_files() -> None:
    before = Path("/etc/hostname").read_text()
    guest.start(stand_in(4))
    try:
        run("g4", "sh", "-c", "echo other >/etc/hostname; echo x >/var/lib/own; echo y >/run/own")
        assert run("g4", "hostname") == "g4\n"
        assert run("g4", "cat", "/etc/resolv.conf") == ""
        assert run("g4", "sh", "-c", "tr '\\0' '\\n' </proc/1/environ | grep product") == (
            "product_name=OpenStack Nova\n"
        )
        assert run("g4", "ls", "/sys/class/net").split() == ["eth0", "lo"]
    finally:
        guest.stop("g4")
    assert Path("/etc/hostname").read_text() == before
    assert not Path("/var/lib/own").exists()
    assert not Path("/run/own").exists()


def test_stop_ends_all_processes_and_returns_whether_the_guest_existed() -> None:
    guest.start(stand_in(4))
    run("g4", "sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &")
    inode = namespace.inode("a9fe-guest-g4")
    assert guest.stop("g4")
    assert [p for p in process.all_pids() if process.network_namespace(p) == inode] == []
    assert not guest.stop("g4")


def test_a_guest_whose_first_process_was_killed_is_listed_stopped_and_started_again() -> None:
    pid = guest.start(stand_in(4)).pid
    sh(f"kill -9 {pid}")
    eventually(lambda: guest.find("g4").pid == 0, what="the holder is dead")
    with pytest.raises(A9feError, match="guest stop g4"):
        guest.command("g4", ["true"])
    assert guest.start(stand_in(4)).pid
    assert guest.stop("g4")


@pytest.mark.parametrize("client", ["dhclient", "udhcpc", "dhcpcd"])
def test_a_guest_without_a_lease_is_removed(client: str) -> None:
    unknown = guest.Guest(name="lost", mac="fa:16:3e:ff:ff:ff", tap=tap(9), client=client, wait=1)
    with pytest.raises(A9feError, match=f"lost: {client} got no lease in 1 s"):
        guest.start(unknown)
    assert guest.names() == []
    assert taps.link(tap(9).name) is None


def test_a_second_guest_of_a_name_or_port_is_refused() -> None:
    guest.start(stand_in(4))
    try:
        with pytest.raises(A9feError, match="running already"):
            guest.start(stand_in(4))
        other = guest.Guest(name="other", mac=LEASES[4].mac, tap=tap(4), client="none")
        with pytest.raises(taps.DeviceBusy):
            guest.start(other)
        assert guest.find("g4").pid
        assert guest.names() == ["g4"]
    finally:
        guest.stop("g4")


UNSEEING = """
import subprocess
from a9fe.linux.processes import process
from a9fe.linux.vms import guest
from a9fe.linux.sweep import clean
from tests.lab.handmade import stand_in
from tests.lab.places import MARK
assert process.network_namespace(1) == process.HIDDEN
guest.start(stand_in(4, "udhcpc"))
print(subprocess.run(guest.command("g4", ["hostname"]), capture_output=True).stdout)
assert guest.stop("g4") and not guest.stop("g4")
guest.start(stand_in(4))
print(clean("/nonexistent", MARK).removed)
"""


def test_root_without_cap_sys_ptrace_starts_guests_and_cleans() -> None:
    unseeing = ["setpriv", "--bounding-set=-sys_ptrace", sys.executable, "-c", UNSEEING]
    done = subprocess.run(unseeing, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[:2] == ["b'g4\\n'", "('guest g4',)"]


@pytest.mark.parametrize(("name", "client"), [("../x", "none"), ("ok", "dhcp9000")])
def test_bad_names_and_clients_are_refused(name: str, client: str) -> None:
    with pytest.raises(A9feError, match="expected"):
        guest.start(guest.Guest(name=name, mac=LEASES[5].mac, tap=tap(6), client=client))
    assert guest.names() == []


def test_the_tiny_vm_boots_takes_its_lease_and_reads_metadata() -> None:
    machine = qemu.Machine(
        uuid="6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
        mac=LEASES[5].mac,
        tap=tap(6).name,
        memory=qemu.TINY_MEMORY,
    )
    console = bytearray()
    outcome = qemu.boot(
        qemu.tiny(machine, tiny_vm.ensure(IMAGES)),
        tap(6),
        console.extend,
        wait_for=tiny_vm.DONE,
        timeout=120,
    )
    text = console.decode(errors="replace")
    assert outcome.reason == "seen", text
    assert "a9fe-vm: route 169.254.169.254 via 10.9.0.2 dev eth0" in text
    assert "a9fe-vm: instance-id i-00000001" in text
    assert "product OpenStack Nova" in text
    assert taps.link(tap(6).name) is None


def test_a_vm_without_its_files_is_refused_before_anything_is_made() -> None:
    machine = qemu.Machine(
        uuid="x", mac=LEASES[5].mac, tap=tap(6).name, kernel=Path("/nonexistent")
    )
    with pytest.raises(A9feError, match="--kernel"):
        qemu.boot(machine, tap(6), lambda chunk: None)
    assert taps.link(tap(6).name) is None
