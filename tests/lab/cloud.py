"""Networks, routers, VMs and guests of one test, made by commands and removed at its end."""

import itertools
import json
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from a9fe.api_client.errors import ApiError
from a9fe.linux.vms import guest
from tests.kit.conditions import eventually
from tests.lab import host
from tests.lab.command import DEADLINE
from tests.lab.house import House

METADATA = "http://169.254.169.254"
_serial = itertools.count(1)


@dataclass(kw_only=True)
class Vm:
    """An instance, its port, and the guest of the same name after `start`."""

    house: House
    name: str
    instance: dict[str, Any]
    port: dict[str, Any]
    started: bool = False

    @property
    def address(self) -> str:
        return str(self.port["fixed_ips"][0]["ip_address"])

    @property
    def mac(self) -> str:
        return str(self.port["mac_address"])

    @property
    def tap(self) -> str:
        return f"tap{self.port['id'][:11]}"

    def start(self, client: str = "dhclient") -> "Vm":
        """Start a guest for the instance and wait for its lease."""
        self.started = True
        self.house.a9fe("guest", "start", self.name, "--client", client)
        return self

    def run(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the guest, without the half second that `a9fe guest exec` takes."""
        command = guest.command(self.name, argv)
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)

    def sh(self, *argv: str) -> str:
        done = self.run(*argv)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}\n{self.house.tail()}"
        return done.stdout

    def routes(self) -> str:
        return self.sh("ip", "-4", "route")

    def fetch(self, path: str, *options: str) -> str:
        """Return the body of an answer; retry 503, as cloud-init does."""
        retry = ("--retry", "30", "--retry-delay", "1")
        return self.sh("curl", "-sSf", "-m", "60", *retry, *options, METADATA + path)

    def status(self, path: str, *options: str, url: str = METADATA) -> str:
        """Return the status of one request, "000" if there was no answer."""
        code = ("-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "5")
        return self.run("curl", *code, *options, url + path).stdout

    def reads_its_own(self) -> bool:
        """Return whether the guest reads its own metadata in both trees."""
        document = json.loads(self.fetch("/openstack/latest/meta_data.json"))
        assert (document["uuid"], document["name"]) == (self.instance["id"], self.name)
        assert self.fetch("/latest/meta-data/local-ipv4") == self.address
        return True


@dataclass(kw_only=True)
class Cloud:
    """The resources of one test. Their names are unique."""

    house: House
    networks: list[str] = field(default_factory=list)
    routers: dict[str, list[str]] = field(default_factory=dict)
    vms: list[Vm] = field(default_factory=list)

    def name(self, what: str) -> str:
        return f"{what}{next(_serial)}"

    def network(self, cidr: str = "10.1.0.0/24", *options: str) -> str:
        """Create an isolated network and return its name."""
        name = self.name("net")
        self.house.a9fe("network", "create", name, "--subnet", cidr, *options)
        self.networks.append(name)
        return name

    def router(self, *networks: str) -> str:
        """Create a router with an interface on each of these networks and return its name."""
        name = self.name("router")
        self.house.a9fe("router", "create", name)
        self.routers[name] = []
        for network in networks:
            self.house.a9fe("router", "add-interface", name, network)
            self.routers[name].append(network)
        return name

    def isolated(self, cidr: str = "10.1.0.0/24") -> str:
        """Create an isolated network, wait until it is ready, and return its name."""
        network = self.network(cidr)
        self.settled_isolated(network)
        return network

    def routed(self, cidr: str = "10.1.0.0/24") -> str:
        """Create a network with a router, wait until both are ready, and return its name."""
        network = self.network(cidr)
        self.settled_routed(self.router(network), network)
        return network

    def on(self, kind: str, cidr: str = "10.1.0.0/24") -> str:
        """Create a network of that kind, "isolated" or "routed"."""
        return self.routed(cidr) if kind == "routed" else self.isolated(cidr)

    def vm(self, network: str, *options: str) -> Vm:
        """Create a VM on that network, with these options; do not start it."""
        name = self.name("vm")
        self.house.a9fe("vm", "create", name, "--network", network, *options)
        instance = self.house.api.find("instances", name)
        first = {"device_id": instance["id"], "network_id": self.id("networks", network)}
        (port,) = self.house.api.list("ports", **first)
        vm = Vm(house=self.house, name=name, instance=instance, port=port)
        self.vms.append(vm)
        return vm

    def settled_isolated(self, network: str) -> str:
        """Wait until the DHCP namespace serves metadata; return its name."""
        space = f"qdhcp-{self.id('networks', network)}"
        eventually(lambda: space in host.namespaces(), what=space)
        eventually(lambda: host.listening(space, 80), what=f"listener in {space}")
        return space

    def settled_routed(self, router: str, network: str) -> str:
        """Wait until only the router namespace serves metadata; return its name."""
        space, dhcp = f"qrouter-{self.id('routers', router)}", self.dhcp_space(network)
        eventually(lambda: space in host.namespaces(), what=space)
        eventually(lambda: host.listening(space, 9697), what=f"listener in {space}")
        eventually(lambda: dhcp in host.namespaces(), what=dhcp)
        eventually(lambda: not host.listening(dhcp, 80), what=f"no listener in {dhcp}")
        return space

    def dhcp_space(self, network: str) -> str:
        return f"qdhcp-{self.id('networks', network)}"

    def id(self, collection: str, name: str) -> str:
        return str(self.house.api.find(collection, name)["id"])

    def dhcp_port(self, network: str) -> dict[str, Any]:
        """Wait for the DHCP port of a network and return it."""
        owner = {"network_id": self.id("networks", network), "device_owner": "network:dhcp"}
        return eventually(lambda: self.house.api.list("ports", **owner), what="DHCP port")[0]

    def clear(self) -> None:
        """Stop all guests, delete all resources by the API, and wait for the agents."""
        networks = self._ids("networks", self.networks)
        gone = {f"qrouter-{id}" for id in self._ids("routers", self.routers)}
        gone |= {f"qdhcp-{id}" for id in networks} | {f"brq{id[:11]}" for id in networks}
        for vm in self.vms:
            if vm.started:
                self.house.a9fe.run("guest", "stop", vm.name)
            self._delete("instances", vm.name)
        for router, networks in self.routers.items():
            for network in networks:
                self._unplug(router, network)
            self._delete("routers", router)
        for network in self.networks:
            self._delete("networks", network)
        eventually(
            lambda: gone.isdisjoint(host.namespaces() | host.links()),
            DEADLINE,
            f"the end of {gone}",
        )

    def _ids(self, collection: str, names: Iterable[str]) -> list[str]:
        listed = {str(r["name"]): str(r["id"]) for r in self.house.api.list(collection)}
        return [listed[name] for name in names if name in listed]

    def _unplug(self, router: str, network: str) -> None:
        with suppress(ApiError):  # the journey may have deleted it
            body = {"subnet_id": self.house.api.find("networks", network)["subnets"][0]}
            id = self.id("routers", router)
            self.house.api.action("routers", id, "remove_router_interface", body)

    def _delete(self, collection: str, name: str) -> None:
        with suppress(ApiError):
            self.house.api.delete(collection, self.id(collection, name))
