"""The ports that a metadata agent looks up, and the freshness of its replica."""

from dataclasses import replace

from a9fe.model.resources import FixedIp, Port
from a9fe.wire.freshness import Freshness


def port(
    id: str, network: str, *ips: str, device: str = "vm", owner: str = "compute:nova"
) -> Port:
    return Port(
        id=id,
        network_id=network,
        mac_address="fa:16:3e:00:00:01",
        fixed_ips=tuple(FixedIp(subnet_id="s", ip_address=ip) for ip in ips),
        device_id=device,
        device_owner=owner,
    )


class FakePorts:
    """A PortView over a list. An empty network id matches all: callers must not use it."""

    def __init__(self, *ports: Port, since: dict[str, float] | None = None) -> None:
        self.ports = ports
        self.since = since or {}

    def port(self, id: str) -> Port | None:
        return next((p for p in self.ports if p.id == id), None)

    def unchanged_since(self, port_id: str) -> float:
        return self.since.get(port_id, 0.0)

    def ports_by_mac(self, network_id: str, mac: str) -> tuple[Port, ...]:
        return tuple(
            p
            for p in self.ports
            if network_id in ("", p.network_id) and p.mac_address.lower() == mac
        )

    def ports_by_address(self, network_id: str, ip: str) -> tuple[Port, ...]:
        return tuple(
            p
            for p in self.ports
            if network_id in ("", p.network_id) and ip in [f.ip_address for f in p.fixed_ips]
        )

    def ports_by_device(self, device_id: str) -> tuple[Port, ...]:
        return tuple(p for p in self.ports if p.device_id == device_id)


def fresh(
    *, ever_synced: bool = True, synced_now: bool = True, lost_for: float = 0.0
) -> Freshness:
    return Freshness(ever_synced=ever_synced, synced_now=synced_now, lost_for=lost_for)


SECRET = "s3cret"
VM = replace(port("port-1", "net-1", "127.0.0.1", device="vm-1"), project_id="project-1")
