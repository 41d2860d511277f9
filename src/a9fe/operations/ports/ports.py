"""Create, change and delete ports, with their MAC and addresses."""

from dataclasses import dataclass, field, replace

from a9fe.api_tables.requests import AddressRequest
from a9fe.api_tables.typed_requests import UNSET, Unset, applied, created, given, resolved
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import AddressPair, DhcpOption, FixedIp, Network, Port
from a9fe.model.rules import ports as rules_ports
from a9fe.operations.ports.addressing import Holder, assign
from a9fe.operations.ports.floating_ip_links import check_readdressed, follow_gateway, release
from a9fe.operations.security_groups.security_groups import checked, default_groups
from a9fe.operations.transaction import Transaction, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPort:
    """A port to make on a network.

    `fixed_ips` UNSET: one address of each IP version. `security_groups` None: the project's
    default group. `port_security_enabled` UNSET: as the network has it.
    """

    network_id: str
    project_id: str | Unset = UNSET
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    mac_address: str | Unset = UNSET
    fixed_ips: tuple[AddressRequest, ...] | Unset = resolved(UNSET)
    device_id: str = ""
    device_owner: str = ""
    security_groups: tuple[str, ...] | None = resolved(None)
    port_security_enabled: bool | Unset = UNSET
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    extra_dhcp_opts: tuple[DhcpOption | str, ...] = resolved(())
    host: str = ""
    profile: dict[str, object] = field(default_factory=dict)
    vnic_type: str = "normal"
    dns_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortChange:
    """What may change of a port. `security_groups` None: none. A text among `extra_dhcp_opts` is
    the name of an option to remove.
    """

    name: str | Unset = UNSET
    description: str | Unset = UNSET
    admin_state_up: bool | Unset = UNSET
    mac_address: str | Unset = UNSET
    fixed_ips: tuple[AddressRequest, ...] | Unset = resolved(UNSET)
    device_id: str | Unset = UNSET
    device_owner: str | Unset = UNSET
    security_groups: tuple[str, ...] | Unset | None = resolved(UNSET)
    port_security_enabled: bool | Unset = UNSET
    allowed_address_pairs: tuple[AddressPair, ...] | Unset = UNSET
    extra_dhcp_opts: tuple[DhcpOption | str, ...] | Unset = resolved(UNSET)
    host: str | Unset = UNSET
    profile: dict[str, object] | Unset = UNSET
    vnic_type: str | Unset = UNSET
    dns_name: str | Unset = UNSET


def create(tx: Transaction, new: NewPort) -> Port:
    """Make the port that a client asks for."""
    network = tx.session.require(Network, new.network_id)
    enabled = given(new.port_security_enabled, network.port_security_enabled)
    groups = new.security_groups
    _check_port_security(enabled, UNSET if groups is None else groups, new.allowed_address_pairs)
    _check_pairs(tx, new.allowed_address_pairs)
    if groups is not None:
        new = replace(new, security_groups=checked(tx, groups))
    return make(tx, new)


def make(tx: Transaction, new: NewPort, status: str = "DOWN") -> Port:
    """Make a port with a MAC and addresses; its security groups and pairs are not checked."""
    network = tx.session.require(Network, new.network_id)
    options = _options((), new.extra_dhcp_opts)
    mac_address = _free_mac(tx, network.id, new.mac_address)
    holder = Holder(network_id=network.id, mac_address=mac_address, device_owner=new.device_owner)
    port = created(
        Port,
        new,
        id=new_id(),
        project_id=given(new.project_id, tx.project_id),
        status=status,
        mac_address=mac_address,
        fixed_ips=assign(tx, holder, new.fixed_ips),
        port_security_enabled=given(new.port_security_enabled, network.port_security_enabled),
        extra_dhcp_opts=options,
    )
    return tx.session.insert(replace(port, security_groups=_groups(tx, port, new)))


def update(tx: Transaction, old: Port, change: PortChange) -> Port:
    """Change a port. A port that moves to another host is DOWN until that host's agent reports."""
    new = applied(old, change)
    groups = change.security_groups
    _check_port_security(
        new.port_security_enabled, () if groups is None else groups, new.allowed_address_pairs, old
    )
    _check_pairs(tx, given(change.allowed_address_pairs, ()))
    if groups is not UNSET:
        new = replace(new, security_groups=checked(tx, groups or ()))
    if change.extra_dhcp_opts is not UNSET:
        new = replace(new, extra_dhcp_opts=_options(old.extra_dhcp_opts, change.extra_dhcp_opts))
    if new.mac_address != old.mac_address:
        _free_mac(tx, old.network_id, new.mac_address)
    if change.fixed_ips is not UNSET:
        new = replace(new, fixed_ips=readdress(tx, new, change.fixed_ips))
        check_readdressed(tx, old, new.fixed_ips)
    return rebind(tx, old, new)


def readdress(
    tx: Transaction, port: Port, wanted: tuple[AddressRequest, ...]
) -> tuple[FixedIp, ...]:
    """Return the fixed IPs for an existing port that asks for these; it keeps what it can."""
    holder = Holder(
        network_id=port.network_id,
        mac_address=port.mac_address,
        device_owner=port.device_owner,
        held=frozenset(fixed.ip_address for fixed in port.fixed_ips),
    )
    return assign(tx, holder, wanted)


def rebind(tx: Transaction, old: Port, new: Port) -> Port:
    """Store a changed port: DOWN if it moved to another host or was switched off."""
    off = old.admin_state_up and not new.admin_state_up
    is_down = off or new.host != old.host
    port = tx.session.update(replace(new, status="DOWN") if is_down else new)
    follow_gateway(tx, port)
    return port


def delete(tx: Transaction, port: Port) -> None:
    """Delete a port. Raises Conflict for a port of a router."""
    rules_ports.check_port_delete(port)
    release(tx, port)
    tx.session.delete(Port, port.id)


def _check_port_security(
    enabled: bool,  # noqa: FBT001 - of the port, not a mode of this function
    groups: tuple[str, ...] | Unset,
    pairs: tuple[AddressPair, ...],
    old: Port | None = None,
) -> None:
    """Refuse to switch port security off while the port has groups or pairs (Neutron)."""
    if enabled:
        return
    if groups:
        words = "Port security must be enabled to use security groups"
        kind = "PortSecurityAndIPRequiredForSecurityGroups"
        expected = "an empty list, because port security is disabled"
        raise InvalidInput("security_groups", list(groups), expected, type=kind, words=words)
    if old is not None and old.security_groups and groups is UNSET:
        message = (
            "Port has security group associated. Cannot disable port security until security"
            " group is removed: give an empty security_groups too"
        )
        raise Conflict("PortSecurityPortHasSecurityGroup", message)
    if pairs:
        message = (
            "Port Security must be enabled in order to have allowed address pairs on a port:"
            " give an empty allowed_address_pairs too"
        )
        raise Conflict("AddressPairAndPortSecurityRequired", message)


def _check_pairs(tx: Transaction, pairs: tuple[AddressPair, ...]) -> None:
    maximum = tx.config.max_allowed_address_pair
    if len(pairs) > maximum:
        words = f"The number of allowed address pair exceeds the maximum {maximum}"
        raise InvalidInput(
            "allowed_address_pairs",
            f"{len(pairs)} pairs",
            f"at most {maximum} (max_allowed_address_pair)",
            type="AllowedAddressPairExhausted",
            words=words,
        )


def _groups(tx: Transaction, port: Port, new: NewPort) -> tuple[str, ...]:
    if new.security_groups is not None:
        return new.security_groups
    return default_groups(tx, port) if port.port_security_enabled else ()


def _free_mac(tx: Transaction, network_id: str, wanted: str | Unset) -> str:
    """Return the MAC wanted, or a random one. Raises Conflict if the wanted one is in use."""
    if wanted is UNSET:
        return tx.random_mac()  # if it is in use, the store's constraint repeats the transaction
    if tx.session.find(Port, network_id=network_id, mac_address=wanted):
        message = f"Unable to complete operation for network {network_id}"
        message = f"{message}. The mac address {wanted} is in use; choose another"
        raise Conflict("MacAddressInUse", message)
    return wanted


def _options(
    old: tuple[DhcpOption, ...], wanted: tuple[DhcpOption | str, ...]
) -> tuple[DhcpOption, ...]:
    """Replace options by name and IP version; a name alone removes its options (Neutron)."""
    options = {(o.opt_name, o.ip_version): o for o in old}
    for option in wanted:
        if isinstance(option, str):
            options = {key: o for key, o in options.items() if key[0] != option}
        else:
            options[option.opt_name, option.ip_version] = option
    for _, version in options:
        if version not in (4, 6):
            raise InvalidInput("extra_dhcp_opts.ip_version", version, "4 or 6")
    return tuple(options.values())
