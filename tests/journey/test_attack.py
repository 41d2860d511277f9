"""A tenant that lies about its address reaches nothing, and misleads nobody.

Each lie is also told with port security off, where it works: so the lie is a good one.
"""

import pytest

from tests.conditions import eventually
from tests.lab.cloud import Cloud, Vm

# Tells everybody, by an ARP answer that nobody asked for, that ADDRESS is at our own MAC.
CLAIM = """
import socket, sys
card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
card.bind(("eth0", 0))
own, all_ = card.getsockname()[4], b"\\xff" * 6
address = socket.inet_aton(sys.argv[1])
arp = b"\\x00\\x01\\x08\\x00\\x06\\x04\\x00\\x02" + own + address + own + address
card.send(all_ + own + b"\\x08\\x06" + arp)
"""


def guard(vm: Vm, *, on: bool) -> None:
    vm.house.api.update(
        "ports", vm.port["id"], {"port_security_enabled": on, "security_groups": []}
    )


def neighbour(vm: Vm, address: str) -> str:
    """The MAC that the VM believes an address to have."""
    words = vm.sh("ip", "neighbour", "show", address).split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else ""


def claim(vm: Vm, address: str) -> None:
    vm.sh("/usr/bin/python3", "-c", CLAIM, address)


@pytest.mark.parametrize("kind", ["isolated", "routed"])
def test_a_stolen_address_reaches_nothing(cloud: Cloud, kind: str) -> None:
    network = cloud.on(kind)
    victim = cloud.vm(network)  # switched off: nobody defends its address
    thief = cloud.vm(network).start("udhcpc")
    assert thief.reads_its_own()
    thief.sh("ip", "address", "add", f"{victim.address}/24", "dev", "eth0")
    stolen = ("--interface", victim.address)
    assert thief.status("/latest/meta-data/instance-id", *stolen) == "000"
    assert thief.reads_its_own()
    guard(thief, on=False)
    eventually(lambda: thief.status("/", *stolen) == "503", what="the lie arrives, in vain")
    guard(thief, on=True)
    eventually(lambda: thief.status("/", *stolen) == "000", what="the lie is dropped again")


def test_who_claims_the_way_to_metadata_misleads_nobody(cloud: Cloud) -> None:
    network = cloud.isolated()
    victim, thief = (cloud.vm(network).start("udhcpc") for _ in range(2))
    way = cloud.dhcp_port(network)
    address = way["fixed_ips"][0]["ip_address"]
    assert victim.reads_its_own()
    assert neighbour(victim, address) == way["mac_address"]
    for _ in range(5):
        claim(thief, address)
    assert victim.reads_its_own()
    assert neighbour(victim, address) == way["mac_address"]
    guard(thief, on=False)

    def misled() -> bool:
        claim(thief, address)
        return neighbour(victim, address) == thief.mac

    eventually(misled, what="the victim is misled once the thief is not guarded")
