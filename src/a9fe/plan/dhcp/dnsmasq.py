"""The dnsmasq of a network: its arguments and its files, for dnsmasq 2.90.

Each address of a port is a static lease; dnsmasq allocates none itself. It answers DNS queries for
the network's hosts, because cloud-init waits 10-20 s for a dead resolver. Other queries go to
`dnsmasq_dns_servers`, or are refused at once if there are none. Cost: O(ports of the network).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from a9fe.model.resources import DhcpOption, Port
from a9fe.plan import names
from a9fe.plan.dhcp import dhcpv6, isolation
from a9fe.plan.dhcp import dnsmasq_lines as lines
from a9fe.plan.dhcp.dnsmasq_lines import Maker, Writer
from a9fe.plan.dhcp.network import DhcpNetwork
from a9fe.plan.dhcp.options import extra, options
from a9fe.plan.host import PID_FILE, Dnsmasq
from a9fe.plan.settings import DhcpSettings

HOSTS_FILE = "host"
NAMES_FILE = "addn_hosts"
OPTIONS_FILE = "opts"
LEASES_FILE = "leases"
FOREVER = -1  # as dhcp_lease_duration


def dnsmasq(network: DhcpNetwork, settings: DhcpSettings) -> Dnsmasq | None:
    """The dnsmasq of a network; None if no subnet has DHCP of its IP version."""
    if not (network.served or dhcpv6.served(network, settings)):
        return None
    directory = f"{settings.dhcp_confs}/{network.network.id}"
    interface = names.dhcp_device(network.port.id)
    writer = Writer()
    hosts = writer.text(_hosts(network, settings))
    options_text = options(network, settings, writer)
    options_text += writer.text(dhcpv6.options(network, settings))
    return Dnsmasq(
        network_id=network.network.id,
        interface=interface,
        directory=directory,
        arguments=(
            *_files(directory),
            *_service(interface, settings),
            *_ranges(network, settings),
        ),
        hosts=hosts,
        names=Writer().text(_names(network, settings)),  # `writer` records the left-out values
        options=options_text,
        next_hops=isolation.next_hops(network, settings),
        lease=settings.dhcp_lease_duration,
        left_out=(*writer.left_out, *_other_routers(network, settings)),
    )


def _other_routers(network: DhcpNetwork, settings: DhcpSettings) -> Iterator[str]:
    """The router ports of a metadata network whose VMs it does not serve."""
    listener = isolation.listener(network, settings)
    if listener.kind == "router":
        for port in network.router_ports:
            if port.device_id != listener.id:
                yield (
                    f"router {port.device_id}: the metadata network serves the router of its first"
                    f" router port only, {listener.id}"
                )


def _files(directory: str) -> tuple[str, ...]:
    return (
        "--conf-file=/dev/null",  # ignore the host's own configuration
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
    # Identify a client by its MAC, which port security enforces; a client id can be forged.
    yield "--dhcp-ignore-clid"
    if settings.dns_domain:
        yield f"--domain={settings.dns_domain}"
        yield f"--local=/{settings.dns_domain}/"
    yield from (f"--server={server}" for server in settings.dnsmasq_dns_servers)


def _ranges(network: DhcpNetwork, settings: DhcpSettings) -> Iterator[str]:
    duration = settings.dhcp_lease_duration
    lease = "infinite" if duration == FOREVER else f"{duration}s"
    size = 0
    for subnet in network.served:
        block = network.blocks[subnet.id]
        size += block.num_addresses
        yield "--dhcp-range=" + lines.line(
            f"set:{lines.tag('subnet', subnet.id)}",
            f"{block.network_address}",
            "static",
            f"{block.netmask}",
            lease,
        )
    yield from dhcpv6.ranges(network, settings, lease)
    size += dhcpv6.size(network, settings)
    yield f"--dhcp-lease-max={min(size, settings.dnsmasq_lease_max)}"
    if network.network.mtu > 0:
        yield f"--dhcp-option-force=option:mtu,{network.network.mtu}"


@dataclass(frozen=True, slots=True)
class _Form:
    """How an IP version's addresses are written, and the options of a port that has one."""

    write: Callable[[str], str]
    shown: str
    options: Callable[[Port], Sequence[DhcpOption]]


_IPV4 = _Form(lines.address, "{}", extra)
_IPV6 = _Form(lines.address6, "[{}]", dhcpv6.extra)


def _leases(network: DhcpNetwork, settings: DhcpSettings) -> Iterator[tuple[_Form, Port, str]]:
    for port, address in network.addresses_on({subnet.id for subnet in network.served}):
        yield _IPV4, port, address
    for port, address in dhcpv6.leases(network, settings):
        yield _IPV6, port, address


def _hosts(network: DhcpNetwork, settings: DhcpSettings) -> Iterator[tuple[str, Maker]]:
    for form, port, address in _leases(network, settings):
        yield f"port {port.id}", partial(_host, form, port, address, settings)


def _host(form: _Form, port: Port, address: str, settings: DhcpSettings) -> str:
    tag = [f"set:{lines.tag('port', port.id)}"] if form.options(port) else []
    ip = form.write(address)
    name = _qualified(_name(ip), settings)
    return lines.line(lines.mac(port.mac_address), name, form.shown.format(ip), *tag)


def _names(network: DhcpNetwork, settings: DhcpSettings) -> Iterator[tuple[str, Maker]]:
    for form, port, address in _leases(network, settings):
        yield f"port {port.id}", partial(_host_names, form, address, settings)


def _host_names(form: _Form, address: str, settings: DhcpSettings) -> str:
    ip = form.write(address)
    name = _name(ip)
    return " ".join(dict.fromkeys((ip, _qualified(name, settings), name)))


def _name(address: str) -> str:
    """Neutron's default host name of an address."""
    return f"host-{address.replace('.', '-').replace(':', '-')}"


def _qualified(name: str, settings: DhcpSettings) -> str:
    return lines.domain(f"{name}.{settings.dns_domain}" if settings.dns_domain else name)
