"""dnsmasq of one network: its arguments and its files, as dnsmasq 2.90 reads them.

Every port's address is a static lease, so dnsmasq hands out nothing of its own accord. It also
answers DNS for the network's hosts (cloud-init waits 10-20 s on a dead resolver), and forwards
only to `dnsmasq_dns_servers`; without any, foreign names are refused at once.
"""

from collections.abc import Iterator

from a9fe.model.resources import Port
from a9fe.plan import names
from a9fe.plan.dhcp_options import CLIENT_ID, DhcpNetwork, options, prefix, usable, ways
from a9fe.plan.host import Dnsmasq
from a9fe.plan.settings import DhcpSettings

HOSTS_FILE = "host"
NAMES_FILE = "addn_hosts"
OPTIONS_FILE = "opts"
LEASES_FILE = "leases"
PID_FILE = "pid"
FOREVER = -1  # as dhcp_lease_duration


def dnsmasq(network: DhcpNetwork, settings: DhcpSettings) -> Dnsmasq:
    """The dnsmasq of a network that has an IPv4 subnet with DHCP."""
    directory = f"{settings.dhcp_confs}/{network.network.id}"
    interface = names.dhcp_device(network.port.id)
    return Dnsmasq(
        network_id=network.network.id,
        interface=interface,
        directory=directory,
        arguments=(
            *_files(directory),
            *_service(interface, settings),
            *_ranges(network, settings),
        ),
        hosts="".join(f"{line}\n" for line in _hosts(network, settings)),
        names="".join(f"{line}\n" for line in _names(network, settings)),
        options=options(network, settings),
        ways=ways(network, settings),
        lease=settings.dhcp_lease_duration,
    )


def _files(directory: str) -> tuple[str, ...]:
    return (
        "--conf-file=/dev/null",  # nothing of the host's own configuration
        "--no-hosts",
        "--no-resolv",
        f"--pid-file={directory}/{PID_FILE}",
        f"--dhcp-hostsfile={directory}/{HOSTS_FILE}",
        f"--addn-hosts={directory}/{NAMES_FILE}",
        f"--dhcp-optsfile={directory}/{OPTIONS_FILE}",
        f"--dhcp-leasefile={directory}/{LEASES_FILE}",
    )


def _service(interface: str, settings: DhcpSettings) -> Iterator[str]:
    yield from ("--bind-dynamic", f"--interface={interface}", "--except-interface=lo")
    yield "--dhcp-authoritative"
    if settings.dns_domain:
        yield f"--domain={settings.dns_domain}"
        yield f"--local=/{settings.dns_domain}/"
    yield from (f"--server={server}" for server in settings.dnsmasq_dns_servers)


def _ranges(network: DhcpNetwork, settings: DhcpSettings) -> Iterator[str]:
    duration = settings.dhcp_lease_duration
    lease = "infinite" if duration == FOREVER else f"{duration}s"
    size = 0
    for subnet in network.served:
        block = prefix(subnet)
        size += block.num_addresses
        yield (
            f"--dhcp-range=set:subnet-{subnet.id},{block.network_address},static,"
            f"{block.netmask},{lease}"
        )
    yield f"--dhcp-lease-max={min(size, settings.dnsmasq_lease_max)}"
    if network.network.mtu > 0:
        yield f"--dhcp-option-force=option:mtu,{network.network.mtu}"


def _leases(network: DhcpNetwork) -> Iterator[tuple[Port, str]]:
    served = {subnet.id for subnet in network.served}
    for port in network.ports:
        for ip in port.fixed_ips:
            if ip.subnet_id in served:
                yield port, ip.ip_address


def _hosts(network: DhcpNetwork, settings: DhcpSettings) -> Iterator[str]:
    for port, address in _leases(network):
        extra = [option for option in port.extra_dhcp_opts if usable(option)]
        client = [f"id:{o.opt_value}" for o in extra if o.opt_name in CLIENT_ID]
        tag = [f"set:port-{port.id}"] if extra else []
        name = _qualified(_name(address), settings)
        yield ",".join((port.mac_address, *client, name, address, *tag))


def _names(network: DhcpNetwork, settings: DhcpSettings) -> Iterator[str]:
    for _, address in _leases(network):
        name = _name(address)
        yield " ".join(dict.fromkeys((address, _qualified(name, settings), name)))


def _name(address: str) -> str:
    """Neutron's name of a host without one of its own."""
    return f"host-{address.replace('.', '-')}"


def _qualified(name: str, settings: DhcpSettings) -> str:
    return f"{name}.{settings.dns_domain}" if settings.dns_domain else name
