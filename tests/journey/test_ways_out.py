"""A VM behind a router and a host on the provider network reach each other. An operator sets it up
with the commands of OpenStack, on a bridge of the host (conftest maps physnet1 to it).
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from a9fe.api_client.client import ApiClient
from a9fe.linux.kernel import namespace
from a9fe.plan import names
from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import Cloud, Vm
from tests.lab.openstack import Client, neutron, openstack
from tests.lab.places import BR_EX
from tests.lab.tcp import reached, seen_by, serving
from tests.lab.typed import one

PROVIDER, SERVER, FLOATING, GATEWAY = "provider", "203.0.113.1", "203.0.113.77", "203.0.113.10"
METADATA = socket.inet_aton("169.254.169.254")


@pytest.fixture
def provider() -> Iterator[socket.socket]:
    """A bridge of the host's that leads to a namespace; yield a packet socket in the latter."""
    host.output("ip", "netns", "add", PROVIDER)
    try:
        for command in (
            f"link add {BR_EX} type bridge",
            f"link add ext0 type veth peer name out netns {PROVIDER}",
            f"link set ext0 master {BR_EX} up",
            f"link set {BR_EX} up",
            f"-n {PROVIDER} addr add {SERVER}/24 dev out",
            f"-n {PROVIDER} link set out up",
            f"-n {PROVIDER} route add 10.1.0.0/24 via {GATEWAY}",
        ):
            host.output("ip", *command.split())
        with namespace.call_inside(PROVIDER, card) as frames:
            yield frames
    finally:
        for words in (["link", "del", BR_EX], ["netns", "del", PROVIDER]):
            host.output("ip", *words)


def card() -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.bind(("out", 3))
    made.settimeout(0)
    return made


def received(frames: socket.socket) -> Iterator[bytes]:
    """The frames that came in until now."""
    while True:
        try:
            frame, where = frames.recvfrom(4096)
        except BlockingIOError:
            return
        if where[2] != socket.PACKET_OUTGOING:
            yield frame


def status(api: ApiClient, collection: str, id: str) -> str:
    return str(api.show(collection, id)["status"])


def set_gateway(api: ApiClient, router: str, info: object) -> None:
    body = {"router": {"external_gateway_info": info}}
    api.call("PUT", f"/v2.0/routers/{one(api, 'routers', router)['id']}", body)


def gateway_port(api: ApiClient, router: Any) -> Any:
    owner = {"device_id": router["id"], "device_owner": "network:router_gateway"}
    return api.list("ports", **owner)[0]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A VM behind a router, with the API and its clients."""

    api: ApiClient
    client: Client
    router: str
    vm: Vm

    @property
    def inside(self) -> str:
        return names.guest_namespace(self.vm.name)

    def gets_a_gateway(self) -> str:
        """Give the router a gateway; return the port's id when it is ACTIVE."""
        self.client(
            "network create ext --external --provider-network-type flat"
            " --provider-physical-network physnet1",
            f"subnet create exts --network ext --subnet-range 203.0.113.0/24 --gateway {SERVER}"
            " --no-dhcp",
            f"router set {self.router} --external-gateway ext"
            f" --fixed-ip subnet=exts,ip-address={GATEWAY}",
        )
        port = gateway_port(self.api, one(self.api, "routers", self.router))["id"]
        eventually(lambda: status(self.api, "ports", port) == "ACTIVE", what="the gateway")
        return str(port)

    def gets_a_floating_ip(self) -> str:
        """Give the VM a floating IP; return its id when it is ACTIVE."""
        made, listed = self.client(
            f"floating ip create ext --floating-ip-address {FLOATING}"
            f" --port {self.vm.port['id']} -f json",
            "floating ip list -f json",
        )
        assert made["fixed_ip_address"] == self.vm.address
        assert [f["Floating IP Address"] for f in listed] == [FLOATING]
        id = str(made["id"])
        eventually(lambda: status(self.api, "floatingips", id) == "ACTIVE", what="it is ACTIVE")
        return id

    def is_seen_outside(self) -> str:
        """The VM's address as a server on the provider network sees it."""
        with serving(PROVIDER, SERVER) as server:
            eventually(lambda: reached(self.inside, SERVER), what="the provider network")
            return seen_by(server)

    def sees_a_client(self) -> str:
        """The address of a client on the provider network that connects to the floating IP."""
        with serving(self.inside, self.vm.address) as server:
            eventually(lambda: reached(PROVIDER, FLOATING), what="the floating IP")
            return seen_by(server)


def test_a_vm_and_the_provider_network_reach_each_other(
    cloud: Cloud, provider: socket.socket, tmp_path: Path
) -> None:
    api, old, network = cloud.house.api, neutron(), cloud.network()
    router = cloud.router(network)
    space = cloud.settled_routed(router, network)
    vm = cloud.vm(network).start("udhcpc")
    site = Site(api=api, client=openstack(tmp_path), router=router, vm=vm)
    try:
        port = site.gets_a_gateway()
        assert site.is_seen_outside() == GATEWAY
        assert vm.reads_its_own()
        floating = site.gets_a_floating_ip()
        assert site.sees_a_client() == SERVER
        assert site.is_seen_outside() == FLOATING
        assert vm.reads_its_own(), "as itself, not as its floating IP"
        strays(vm)
        old(f"floatingip-disassociate {floating}", f"floatingip-delete {floating}")
        site.client(f"router set {router} --external-gateway ext --disable-snat")
        eventually(lambda: site.is_seen_outside() == vm.address, what="no SNAT")
        old(f"router-gateway-clear {router}")
        gone = names.gateway_device(port)
        eventually(lambda: gone not in host.links(space), what=f"the end of {gone}")
        assert vm.reads_its_own()
        assert [frame for frame in received(provider) if METADATA in frame] == []
    finally:
        set_gateway(api, router, None)
        api.delete("networks", one(api, "networks", "ext")["id"])


def strays(vm: Vm) -> None:
    """Requests to the metadata address that the proxy does not serve."""
    assert vm.status("/", url="http://169.254.169.254:81") == "000"
    vm.run("sh", "-c", "echo stray >/dev/udp/169.254.169.254/53")


def test_a_physical_network_without_a_mapping_is_said_and_the_rest_works(cloud: Cloud) -> None:
    api = cloud.house.api
    network = cloud.network()
    router = cloud.router(network)
    external = api.create(
        "networks",
        {
            "name": "unmapped",
            "router:external": True,
            "provider:network_type": "flat",
            "provider:physical_network": "physnet9",
        },
    )
    try:
        api.create(
            "subnets", {"network_id": external["id"], "cidr": "198.51.100.0/24", "ip_version": 4}
        )
        found = one(api, "routers", router)
        set_gateway(api, router, {"network_id": external["id"]})

        def reason() -> str:
            shown = api.call("GET", f"/a9fe/v1/routers/{found['id']}/status")
            return str(shown["status"]["status_reason"])

        expected = "physical network physnet9: not in bridge_mappings of this host"
        eventually(lambda: expected in reason(), what="the reason")
        assert gateway_port(api, found)["status"] == "DOWN"
        cloud.settled_routed(router, network)
        assert cloud.vm(network).start("udhcpc").reads_its_own()
        set_gateway(api, router, None)
        eventually(lambda: reason() == "", what="no reason left")
    finally:
        set_gateway(api, router, None)
        api.delete("networks", external["id"])
