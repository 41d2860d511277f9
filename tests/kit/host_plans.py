"""Plans of a network and of a router for one host, and a proxy that accepts every listener."""

from dataclasses import replace

from a9fe.linux.kernel import namespace
from a9fe.plan import sysctls
from a9fe.plan.host import (
    Address,
    Bridge,
    Dnsmasq,
    HostPlan,
    NamespacePlan,
    Route,
    Veth,
)
from a9fe.plan.routers.rules import rules
from a9fe.plan.settings import L3Settings
from a9fe.wire.message import Listener

NETWORK = "11111111-2222-3333-4444-555555555555"
ROUTER = "aaaaaaaa-2222-3333-4444-555555555555"
BRIDGE = Bridge(name="brq11111111-22", mtu=1450)
QDHCP = f"qdhcp-{NETWORK}"
QROUTER = f"qrouter-{ROUTER}"


class FakeProxy:
    """The proxy as linux.host uses it. It accepts every listener and binds nothing."""

    def __init__(self):
        self.held = {}

    def open(self, listener):
        self.held[listener.key] = (listener, namespace.cookie(listener.namespace))

    def close(self, listener):
        self.held.pop(listener.key, None)

    def observed(self, cookies, spaces=None):
        return {
            space: frozenset(
                held for held, at in self.held.values() if (held.namespace, at) == (space, cookie)
            )
            for space, cookie in cookies.items()
        }


def served(confs, **changes):
    directory = f"{confs}/{NETWORK}"
    return replace(
        Dnsmasq(
            network_id=NETWORK,
            interface="ns-0000000d-11",
            directory=directory,
            arguments=(
                "--conf-file=/dev/null",
                "--no-hosts",
                "--no-resolv",
                f"--pid-file={directory}/pid",
                f"--dhcp-hostsfile={directory}/host",
                f"--addn-hosts={directory}/addn_hosts",
                f"--dhcp-optsfile={directory}/opts",
                f"--dhcp-leasefile={directory}/leases",
                "--bind-dynamic",
                "--interface=ns-0000000d-11",
                "--except-interface=lo",
                "--dhcp-range=set:s,10.1.0.0,static,255.255.255.0,86400s",
            ),
            hosts="fa:16:3e:00:00:01,host-10-1-0-5,10.1.0.5\n",
            names="10.1.0.5 host-10-1-0-5\n",
            options="tag:s,option:router,10.1.0.1\n",
        ),
        **changes,
    )


def dhcp_plan(confs, **changes):
    device = "ns-0000000d-11"
    space = NamespacePlan(
        name=QDHCP,
        links=frozenset(
            {
                Veth(
                    inner=device,
                    outer="tap0000000d-11",
                    bridge=BRIDGE.name,
                    mac="fa:16:3e:00:00:02",
                    mtu=1450,
                )
            }
        ),
        addresses=frozenset(
            {
                Address(device=device, cidr="10.1.0.2/24"),
                Address(device=device, cidr="169.254.169.254/32"),
            }
        ),
        routes=frozenset(
            {
                Route(destination="10.9.0.1/32", via="", device=device),
                Route(destination="0.0.0.0/0", via="10.9.0.1", device=device),
            }
        ),
        sysctls=sysctls.dhcp(ipv6_on_host=True),
        dnsmasq=served(confs),
        listeners=frozenset(
            {
                Listener(
                    kind="network",
                    id=NETWORK,
                    namespace=QDHCP,
                    address="169.254.169.254",
                    port=80,
                )
            }
        ),
    )
    space = replace(space, **changes)
    return HostPlan(bridges=frozenset({BRIDGE}), namespaces={QDHCP: space})


def router_plan():
    device = "qr-0000000e-11"
    link = Veth(
        inner=device,
        outer="tap0000000e-11",
        bridge=BRIDGE.name,
        mac="fa:16:3e:00:00:03",
        mtu=1450,
    )
    space = NamespacePlan(
        name=QROUTER,
        links=frozenset({link}),
        addresses=frozenset({Address(device=device, cidr="10.1.0.1/24")}),
        routes=frozenset({Route(destination="10.7.0.0/16", via="10.1.0.9", device=device)}),
        sysctls=sysctls.router(ipv6_on_host=True),
        iptables=rules(L3Settings()),
    )
    return HostPlan(bridges=frozenset({BRIDGE}), namespaces={QROUTER: space})
