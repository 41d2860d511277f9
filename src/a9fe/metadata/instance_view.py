"""Everything the trees are made from: one instance with its ports, networks and subnets."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from a9fe.metadata import identifiers
from a9fe.metadata.document_signer import DocumentSigner
from a9fe.metadata.rendered import Json
from a9fe.model.port_order import in_order
from a9fe.model.resources import Instance, Network, Port, Resource, SecurityGroup, Subnet
from a9fe.model.user_data import KnownInstance, UserDataReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The operator's settings for every instance.

    `dhcp_domain` is appended to each host name, "" for none (Nova's option). `vendordata` is the
    content of vendordata_jsonfile_path; without `static_vendordata` it is not served (Nova's
    vendordata_providers). `identity` signs identity documents; None serves none. `region` is the
    name of the cloud's region. `guest_attributes` is the default for instances whose options do
    not say whether guests may write attributes.
    """

    dhcp_domain: str = "novalocal"
    vendordata: Json = field(default_factory=dict)
    static_vendordata: bool = True
    identity: DocumentSigner | None = None
    region: str = "RegionOne"
    guest_attributes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    """One instance as its guest may see it.

    `ports` are its network cards in order. `networks` and `subnets`, by id, include at least
    those of the ports; `groups` maps ids of security groups to names. `random_bytes(n)` returns
    n unpredictable bytes. `read_user_data` returns the user data; None if the instance has none.
    `dynamic_vendordata` has each vendor data provider's answer by its name.
    """

    instance: Instance
    ports: tuple[Port, ...]
    networks: Mapping[str, Network]
    subnets: Mapping[str, Subnet]
    random_bytes: Callable[[int], bytes]
    settings: Settings
    groups: Mapping[str, str] = field(default_factory=dict)
    read_user_data: UserDataReader | None = None
    dynamic_vendordata: Mapping[str, Json] = field(default_factory=dict)

    @property
    def has_user_data(self) -> bool:
        """Whether the instance was created with user data, which may be empty."""
        return self.read_user_data is not None

    @property
    def user_data(self) -> bytes:
        """The user data; empty if there is none."""
        return b"" if self.read_user_data is None else self.read_user_data()

    @property
    def hostname(self) -> str:
        """The guest's full host name, e.g. "web1.novalocal"."""
        return identifiers.full_hostname(self.instance, self.settings.dhcp_domain)

    def all_addresses(self, version: int) -> Iterator[str]:
        """Yield the addresses of IP `version` (4 or 6) of every port, in order."""
        for port in self.ports:
            for address, _ in self.addresses(port, version):
                yield address

    def addresses(self, port: Port, version: int) -> Iterator[tuple[str, Subnet]]:
        """Yield the port's addresses of IP `version` (4 or 6) with their subnets, in order."""
        for fixed in port.fixed_ips:
            subnet = self.subnets[fixed.subnet_id]
            if subnet.ip_version == version:
                yield fixed.ip_address, subnet


class Resources(Protocol):
    """A source of resources: a replica, or a transaction of the store."""

    def get(self, kind: str, id: str) -> Resource | None:
        """Return the resource of a kind of model.resources.KINDS, None if there is none."""
        ...

    def ports_by_device(self, device_id: str) -> tuple[Port, ...]:
        """Return the ports with that device_id, in any order."""
        ...


def view_of(
    source: Resources,
    known: KnownInstance,
    settings: Settings,
    random_bytes: Callable[[int], bytes],
) -> InstanceView | None:
    """Collect the instance's view; None if a network or subnet has not arrived yet."""
    instance = known.instance
    ports = _ports(source, instance)
    networks = {port.network_id: source.get("network", port.network_id) for port in ports}
    subnet_ids = {fixed.subnet_id for port in ports for fixed in port.fixed_ips}
    subnets = {id: source.get("subnet", id) for id in subnet_ids}
    known_networks = {id: found for id, found in networks.items() if isinstance(found, Network)}
    known_subnets = {id: found for id, found in subnets.items() if isinstance(found, Subnet)}
    if len(known_networks) < len(networks) or len(known_subnets) < len(subnets):
        return None
    return InstanceView(
        instance=instance,
        ports=ports,
        networks=known_networks,
        subnets=known_subnets,
        random_bytes=random_bytes,
        settings=settings,
        groups=_groups(source, ports),
        read_user_data=known.read_user_data,
    )


def _groups(source: Resources, ports: tuple[Port, ...]) -> dict[str, str]:
    """Return the names of the ports' security groups, without groups that have not arrived yet."""
    ids = dict.fromkeys(id for port in ports for id in port.security_groups)
    found = (source.get("security_group", id) for id in ids)
    return {group.id: group.name for group in found if isinstance(group, SecurityGroup)}


def _ports(source: Resources, instance: Instance) -> tuple[Port, ...]:
    """Return the instance's ports in the order of its cards.

    Any project can write any device_id into its own ports, so ports of other projects are left
    out.
    """
    claimed = source.ports_by_device(instance.id)
    own = (port for port in claimed if port.project_id == instance.project_id)
    return tuple(in_order(instance, own))
