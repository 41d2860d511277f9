"""All that the trees are made from: one instance, its ports, and what those stand on."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from a9fe.metadata import identifiers
from a9fe.metadata.identity.signed import Identity
from a9fe.metadata.rendered import Json
from a9fe.model.resources import Instance, Network, Port, Subnet


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator decides for every instance.

    `dhcp_domain` is put behind each host name, "" for none (Nova's option). `vendordata` is the
    content of vendordata_jsonfile_path, unless `static_vendordata` says that nobody is served it
    (Nova's vendordata_providers). `identity` signs for instances, None: nobody does.
    `region` is the name of the cloud's region. `guest_attributes`: guests may write some, unless
    their instance's options say otherwise.
    """

    dhcp_domain: str = "novalocal"
    vendordata: Json = field(default_factory=dict)
    static_vendordata: bool = True
    identity: Identity | None = None
    region: str = "RegionOne"
    guest_attributes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    """One instance as its guest may see it.

    `ports` are its network cards in their order; `networks` and `subnets`, by id, hold at least
    those that the ports name; `groups` are names of security groups by id. `random_bytes(n)`
    gives n fresh unpredictable bytes. `read_user_data`, where there is one, gives the user data
    that `instance` leaves out, since it may be large and is seldom asked for.
    `dynamic_vendordata` has the answers of its providers by name.
    """

    instance: Instance
    ports: tuple[Port, ...]
    networks: Mapping[str, Network]
    subnets: Mapping[str, Subnet]
    random_bytes: Callable[[int], bytes]
    settings: Settings
    groups: Mapping[str, str] = field(default_factory=dict)
    read_user_data: Callable[[], bytes | None] | None = None
    dynamic_vendordata: Mapping[str, Json] = field(default_factory=dict)

    @property
    def has_user_data(self) -> bool:
        """Whether any was given; it may be empty."""
        return self.read_user_data is not None or self.instance.user_data is not None

    @property
    def user_data(self) -> bytes:
        """The user data, empty where there is none."""
        known = self.instance.user_data if self.read_user_data is None else self.read_user_data()
        return known or b""

    @property
    def hostname(self) -> str:
        """The guest's full host name, e.g. "web1.novalocal"."""
        return identifiers.full_hostname(self.instance, self.settings.dhcp_domain)

    def all_addresses(self, version: int) -> Iterator[str]:
        """The addresses of IP `version` of every port, in order."""
        for port in self.ports:
            for address, _ in self.addresses(port, version):
                yield address

    def addresses(self, port: Port, version: int) -> Iterator[tuple[str, Subnet]]:
        """The port's addresses of IP `version` (4 or 6) with their subnets, in order."""
        for fixed in port.fixed_ips:
            subnet = self.subnets[fixed.subnet_id]
            if subnet.ip_version == version:
                yield fixed.ip_address, subnet
