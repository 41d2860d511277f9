"""Names on a host: the one table of the names of our kernel objects.

| object                         | name                 | where            | made by         |
|--------------------------------|----------------------|------------------|-----------------|
| router namespace               | qrouter-<router id>  | /run/netns       | L3 agent        |
| DHCP namespace                 | qdhcp-<network id>   | /run/netns       | DHCP agent      |
| network's bridge               | brq<network id 11>   | host             | both agents     |
| outer end of a pair, or a tap  | tap<port id 11>      | host, on bridge  | agents, VMs     |
| uplink to a foreign bridge     | upl<network id 11>   | host, on bridge  | both agents     |
| its other end                  | phy<network id 11>   | host             | both agents     |
| router interface               | qr-<port id 11>      | router namespace | L3 agent        |
| router's external gateway      | qg-<port id 11>      | router namespace | L3 agent        |
| DHCP interface                 | ns-<port id 11>      | DHCP namespace   | DHCP agent      |
| guest namespace                | a9fe-guest-<name>    | /run/netns       | `a9fe guest`    |

All but the uplink's and the guest's are the names of Neutron and its linuxbridge driver, so that
its tools work. So a name does not show that an object is ours; its mark does (plan.mark).
"""

import re
import uuid

DEVICE_ID_LENGTH = 11  # of a port's or network's id in a device name (Neutron)

ROUTER_NAMESPACE = re.compile(r"qrouter-([0-9a-f-]{36})")
DHCP_NAMESPACE = re.compile(r"qdhcp-([0-9a-f-]{36})")
BRIDGE = re.compile(r"brq[0-9a-f-]{11}")
OUTER_DEVICE = re.compile(r"tap[0-9a-f-]{11}")
UPLINK = re.compile(r"upl[0-9a-f-]{11}")
ON_BRIDGE = re.compile(r"(brq|upl|phy)[0-9a-f-]{11}")
PORT_DEVICE = re.compile(r"(tap|qr-|qg-|ns-)[0-9a-f-]{11}")
GUEST_PREFIX = "a9fe-guest-"


def router_namespace(router_id: str) -> str:
    """The namespace of a router."""
    return f"qrouter-{router_id}"


def dhcp_namespace(network_id: str) -> str:
    """The namespace of a network's DHCP."""
    return f"qdhcp-{network_id}"


def bridge(network_id: str) -> str:
    """The bridge of a network."""
    return f"brq{network_id[:DEVICE_ID_LENGTH]}"


def uplink(bridge: str) -> str:
    """The end, on a network's bridge, of its pair to a foreign bridge."""
    return f"upl{bridge.removeprefix('brq')}"


def bridge_of_uplink(uplink: str) -> str:
    """The bridge that the end of a pair belongs on."""
    return f"brq{uplink.removeprefix('upl')}"


def uplink_peer(bridge: str) -> str:
    """The end of that pair on the foreign bridge."""
    return f"phy{bridge.removeprefix('brq')}"


def outer_device(port_id: str) -> str:
    """The device of a port in the host's namespace: veth end or tap."""
    return f"tap{port_id[:DEVICE_ID_LENGTH]}"


def router_device(port_id: str) -> str:
    """The device of an internal router port in its namespace."""
    return f"qr-{port_id[:DEVICE_ID_LENGTH]}"


def gateway_device(port_id: str) -> str:
    """The device of a router's external gateway in its namespace."""
    return f"qg-{port_id[:DEVICE_ID_LENGTH]}"


def is_gateway_device(device: str) -> bool:
    """Whether a device of a router's namespace is its external gateway."""
    return device.startswith(gateway_device(""))


def dhcp_device(port_id: str) -> str:
    """The device of a DHCP port in its namespace."""
    return f"ns-{port_id[:DEVICE_ID_LENGTH]}"


def guest_namespace(name: str) -> str:
    """The namespace of a namespace guest."""
    return f"{GUEST_PREFIX}{name}"


def dhcp_device_id(host: str, network_id: str) -> str:
    """device_id of a network's DHCP port on a host, as Neutron makes it."""
    short = host.split(".", maxsplit=1)[0]
    return f"dhcp{uuid.uuid5(uuid.NAMESPACE_DNS, short)}-{network_id}"
