"""A guest that forges its address reaches nothing and misleads no other guest.

Each attack also runs with port security off, where it succeeds, so that it is known to work. Raw
frames of all kinds are in tests/kernel/linux/test_port_security.py.
"""

from pathlib import Path

import pytest

from a9fe.plan.mark import Mark
from a9fe.wire.refusals import Refusal
from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import Cloud, Vm

OFF = {"allowed_address_pairs": [], "port_security_enabled": False, "security_groups": []}
ON = {"port_security_enabled": True}

# Announce ADDRESS at our own MAC by an unsolicited ARP answer.
CLAIM = """
import socket, sys
card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
card.bind(("eth0", 0))
own, all_ = card.getsockname()[4], b"\\xff" * 6
address = socket.inet_aton(sys.argv[1])
arp = b"\\x00\\x01\\x08\\x00\\x06\\x04\\x00\\x02" + own + address + own + address
card.send(all_ + own + b"\\x08\\x06" + arp)
"""


# Send a DHCPRELEASE (7) of ADDRESS to SERVER from OWN, for the client with that hardware address
# and identifier.
RELEASE = """
import socket, struct, sys
server, address, own, *macs = sys.argv[1:6]
mac, identifier = (bytes.fromhex(text.replace(":", "")) for text in macs)
packet = struct.pack(">BBBBIHH4s", 1, 1, 6, 0, 9, 0, 0, socket.inet_aton(address))
packet += bytes(12) + mac + bytes(202) + bytes((99, 130, 83, 99, 53, 1, 7, 54, 4))
packet += socket.inet_aton(server) + bytes((61, 7, 1)) + identifier + bytes((255,))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((own, 0))
udp.sendto(packet, (server, 67))
"""


def change(vm: Vm, **fields: object) -> None:
    vm.house.api.update("ports", vm.port["id"], fields)


def neighbour(vm: Vm, address: str) -> str:
    """Return the MAC of an address in the VM's neighbour cache."""
    words = vm.sh("ip", "neighbour", "show", address).split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else ""


def claim(vm: Vm, address: str) -> None:
    vm.sh("/usr/bin/python3", "-c", CLAIM, address)


def reaches(vm: Vm, address: str, source: str) -> bool:
    """Return whether dnsmasq's TCP port accepts a connection from this source address."""
    ask = ("curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{time_connect}")
    return float(vm.run(*ask, "--interface", source, f"http://{address}:53/").stdout) > 0


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_a_stolen_address_reaches_nothing(cloud: Cloud, kind: str) -> None:
    """It gets no metadata either where port security allows the address, or is off."""
    network = cloud.on(kind)
    dhcp = cloud.dhcp_port(network)["fixed_ips"][0]["ip_address"]
    victim = cloud.vm(network)  # off, so that it does not defend its address
    thief = cloud.vm(network).start("udhcpc")
    assert thief.reads_its_own()
    thief.sh("ip", "address", "add", f"{victim.address}/24", "dev", "eth0")
    stolen = ("--interface", victim.address)
    assert thief.status("/latest/meta-data/instance-id", *stolen) == "000"
    assert not reaches(thief, dhcp, victim.address)
    assert thief.reads_its_own()
    for lie in ({"allowed_address_pairs": [{"ip_address": "0.0.0.0/0"}]}, OFF):
        change(thief, **lie)
        eventually(lambda: reaches(thief, dhcp, victim.address), what=f"{lie} lets it through")
        assert thief.status("/latest/meta-data/instance-id", *stolen) == "000"
        assert thief.reads_its_own()
    change(thief, **ON)
    eventually(lambda: not reaches(thief, dhcp, victim.address), what="the lie is dropped again")


def test_without_filters_a_stolen_address_is_refused_by_its_mac(cloud: Cloud) -> None:
    """The thief's tap is in the device group of our own devices, which no filter stops."""
    network = cloud.isolated()
    victim = cloud.vm(network)
    thief = cloud.vm(network).start("udhcpc")
    change(thief, **OFF)
    mark = Mark(Path(cloud.house.state, "installation").read_text().split()[0])
    host.output("ip", "link", "set", "dev", thief.tap, "group", str(mark.group))
    thief.sh("ip", "address", "add", f"{victim.address}/24", "dev", "eth0")
    stolen = ("--interface", victim.address)
    eventually(
        lambda: thief.status("/latest/meta-data/instance-id", *stolen) == "503",
        what="the connection is answered, with a refusal",
    )
    assert Refusal.WRONG_MAC.value.why in cloud.house.log.read_text(errors="replace")
    assert thief.reads_its_own()


def test_a_guest_that_claims_the_metadata_address_misleads_nobody(cloud: Cloud) -> None:
    network = cloud.isolated()
    victim, thief, other = (cloud.vm(network).start("udhcpc") for _ in range(3))
    way = cloud.dhcp_port(network)
    address = way["fixed_ips"][0]["ip_address"]
    assert victim.reads_its_own()
    change(thief, **OFF)

    def misled() -> bool:
        victim.run("curl", "-s", "-m", "1", f"http://{other.address}/")
        claim(thief, other.address)
        return neighbour(victim, other.address) == thief.mac

    eventually(misled, what="the victim is misled about a neighbour by an unguarded thief")
    for settings in (OFF, ON):
        change(thief, **settings)
        for _ in range(5):
            claim(thief, address)
        assert victim.reads_its_own()
        assert neighbour(victim, address) == way["mac_address"]


def test_no_guest_releases_the_lease_of_another(cloud: Cloud) -> None:
    network = cloud.isolated()
    victim, thief = (cloud.vm(network).start("udhcpc") for _ in range(2))
    server = cloud.dhcp_port(network)["fixed_ips"][0]["ip_address"]
    leases = Path(cloud.house.state, "dhcp", cloud.id("networks", network), "leases")

    def release(by: Vm, client: Vm) -> None:
        told = (server, victim.address, by.address, client.mac, victim.mac)
        by.sh("/usr/bin/python3", "-c", RELEASE, *told)

    eventually(lambda: victim.mac in leases.read_text(), what="the victim's lease")
    for settings in (ON, OFF):
        change(thief, **settings)
        for _ in range(5):
            release(thief, victim)
            release(thief, thief)
        assert thief.reads_its_own()
        assert victim.mac in leases.read_text()
    release(victim, victim)
    eventually(lambda: victim.mac not in leases.read_text(), what="its own may be given back")


def test_a_running_vm_whose_port_is_deleted_reaches_nobody(cloud: Cloud) -> None:
    network = cloud.isolated()
    dhcp = cloud.dhcp_port(network)["fixed_ips"][0]["ip_address"]
    vm = cloud.vm(network).start("udhcpc")
    assert reaches(vm, dhcp, vm.address)
    cloud.house.api.delete("ports", vm.port["id"])
    eventually(lambda: not reaches(vm, dhcp, vm.address), what="nobody is reached")
    eventually(lambda: refusal(cloud, vm.tap), what="the device is named in the log")


def test_a_device_of_another_name_reaches_nobody(cloud: Cloud) -> None:
    """Such as libvirt's own name, if the printed `<target dev>` was left out."""
    network = cloud.isolated()
    dhcp = cloud.dhcp_port(network)["fixed_ips"][0]["ip_address"]
    vm = cloud.vm(network).start("udhcpc")
    assert reaches(vm, dhcp, vm.address)
    for step in (("down",), ("name", "vnet0"), ("up",)):
        host.output("ip", "link", "set", "dev", vm.tap if step[0] != "up" else "vnet0", *step)
    assert not reaches(vm, dhcp, vm.address)
    eventually(lambda: refusal(cloud, "vnet0"), what="the device is named in the log")


def refusal(cloud: Cloud, device: str) -> bool:
    lines = cloud.house.log.read_text(errors="replace").splitlines()
    return any("device refused" in line and device in line for line in lines)
