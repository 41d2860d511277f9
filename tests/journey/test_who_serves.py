"""Which namespace serves a VM: mixed networks, guests without a lease, the agent's options."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.cloud import METADATA, Cloud, Vm
from tests.lab.house import House
from tests.lab.poller import Poller

OPTIONS = {"A9FE_FORCE_METADATA": "true", "A9FE_ENABLE_METADATA_NETWORK": "true"}
UNGUARDED = {"port_security_enabled": False, "security_groups": []}
CUT = {"503", "RemoteDisconnected", "ConnectionResetError"}  # in flight in a killed proxy
DOCUMENT = "/openstack/latest/meta_data.json"
PATH = "/latest/meta-data/instance-id"


def subnet(cloud: Cloud, network: str, cidr: str, **fields: object) -> None:
    """Give the network one more subnet, and wait until its DHCP port has an address there."""
    id = cloud.id("networks", network)
    body = {"network_id": id, "ip_version": 4, "cidr": cidr, **fields}
    made = cloud.house.api.create("subnets", body)["id"]
    given = lambda: [ip["subnet_id"] for ip in cloud.dhcp_port(network)["fixed_ips"]]  # noqa: E731
    eventually(lambda: made in given(), what=f"the DHCP port on {cidr}")


def address(cloud: Cloud, network: str, start: str) -> str:
    """Return the DHCP port's address that starts so."""
    found = [str(ip["ip_address"]) for ip in cloud.dhcp_port(network)["fixed_ips"]]
    return next(ip for ip in found if ip.startswith(start))


def test_a_network_with_a_routed_and_an_isolated_subnet_is_served_by_both(cloud: Cloud) -> None:
    """The isolated one has no gateway, but a default route among its host routes."""
    network = cloud.network("10.1.0.0/24")
    router = cloud.router(network)
    default = {"destination": "0.0.0.0/0", "nexthop": "10.2.0.77"}
    subnet(cloud, network, "10.2.0.0/24", gateway_ip=None, host_routes=[default])
    cloud.settled_isolated(network)
    space = f"qrouter-{cloud.id('routers', router)}"
    eventually(lambda: host.listening(space, 9697), what="the router's listener")
    routed = cloud.vm(network, "--fixed-ip", "10.1.0.50").start("udhcpc")
    isolated = cloud.vm(network, "--fixed-ip", "10.2.0.50").start("udhcpc")
    assert "169.254.169.254 via 10.1.0.1 dev eth0" in routed.routes()
    own = address(cloud, network, "10.2.")
    assert f"169.254.169.254 via {own} dev eth0" in isolated.routes()
    assert "default via 10.2.0.77 dev eth0" in isolated.routes()
    assert "10.1.0.0/24 dev eth0" in isolated.routes()
    for vm in (routed, isolated):
        assert vm.reads_its_own()


def test_a_guest_without_a_lease_reads_its_metadata_on_link(cloud: Cloud) -> None:
    """With port security and a route to the address; without, and zeroconf's route; on a subnet
    without DHCP.
    """
    network = cloud.isolated()
    second = {"network_id": cloud.id("networks", network), "ip_version": 4, "cidr": "10.2.0.0/24"}
    cloud.house.api.create("subnets", second | {"enable_dhcp": False})
    guarded, unguarded = cloud.vm(network), cloud.vm(network)
    apart = cloud.vm(network, "--fixed-ip", "10.2.0.50")
    cloud.house.api.update("ports", unguarded.port["id"], UNGUARDED)
    routes = ("169.254.169.254/32", "169.254.0.0/16", "169.254.169.254/32")
    for vm, route in zip((guarded, unguarded, apart), routes, strict=True):
        vm.start("none")
        vm.sh("ip", "address", "add", f"{vm.address}/24", "dev", "eth0")
        vm.sh("ip", "route", "add", route, "dev", "eth0")
        eventually(lambda vm=vm: vm.status(PATH) == "200", what="an answer")
        assert vm.reads_its_own()


@contextmanager
def options(house: House) -> Iterator[None]:
    """Kill `a9fe up`, and run it with other options for a while."""
    house.kill()
    house.variables |= OPTIONS
    house.start()
    yield
    house.kill()
    for name in OPTIONS:
        del house.variables[name]
    house.start()


def test_with_force_metadata_and_a_metadata_network(cloud: Cloud) -> None:
    """Guests with leases from before and from meanwhile are served on their old ways."""
    network = cloud.routed()
    (router,) = cloud.routers
    before = cloud.vm(network).start("udhcpc")
    polled = [Poller(vm=before).start()]
    with options(cloud.house):
        dhcp = cloud.settled_isolated(network)
        meanwhile = cloud.vm(network).start("dhclient")
        own = address(cloud, network, "10.1.")
        assert f"169.254.169.254 via {own} dev eth0" in meanwhile.routes()
        polled.append(Poller(vm=meanwhile).start())
        serves_forwarded_requests(cloud, router, cloud.vm(network))
    eventually(lambda: "10.1.0.1" in cloud_options(cloud, network), what="the router's route")
    assert host.listening(dhcp, 80), "for leases from meanwhile"
    assert {key for poller in polled for key in poller.stop()} <= {"200", *CUT}
    for vm in (before, meanwhile):
        assert vm.reads_its_own()


def cloud_options(cloud: Cloud, network: str) -> str:
    """Return the routes that dnsmasq announces."""
    state = cloud.house.state / "dhcp" / cloud.id("networks", network)
    lines = (state / "opts").read_text().splitlines()
    return next(line for line in lines if "classless-static-route" in line).split("169.254")[-1]


def serves_forwarded_requests(cloud: Cloud, router: str, vm: Vm) -> None:
    """Assert that a request of the VM is served that its router forwards to a metadata network.

    A router of a9fe forwards none, so it sends one itself, from the VM's address.
    """
    network = cloud.network("169.254.5.0/24")
    cloud.settled_isolated(network)
    cloud.house.a9fe("router", "add-interface", router, network)
    cloud.routers[router].append(network)
    space = f"qrouter-{cloud.id('routers', router)}"
    eventually(lambda: "169.254.5.1/24" in host.within(space, "ip", "address"), what="its address")
    route = ("169.254.169.254", "via", address(cloud, network, "169.254.5."), "table", "77")
    host.within(space, "ip", "address", "add", f"{vm.address}/32", "dev", "lo")
    host.within(space, "ip", "route", "add", *route)  # the agent would remove it from `main`
    host.within(space, "ip", "rule", "add", "to", "169.254.169.254", "lookup", "77")
    asked = ("curl", "-s", "-m", "5", "--interface", vm.address, f"{METADATA}{DOCUMENT}")

    def answer() -> str:
        return host.within(space, "sh", "-c", f"{' '.join(asked)} || true")

    eventually(lambda: vm.instance["id"] in answer(), what="the VM's metadata")
