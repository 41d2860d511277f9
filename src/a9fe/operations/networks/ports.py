"""Ports: made with addresses and a MAC, changed, deleted."""

from dataclasses import replace

from a9fe.api_tables.attributes import Values
from a9fe.api_tables.requests import AddressRequest
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.resources import DhcpOption, FixedIp, Network, Port
from a9fe.model.rules import ports as rules_ports
from a9fe.operations.networks.addressing import Holder, assign
from a9fe.operations.networks.security_groups import checked, groups_for
from a9fe.operations.routers.floating_links import check_readdressed, release
from a9fe.operations.transaction import Transaction, new_id


def create(tx: Transaction, values: Values) -> Port:
    """A new port on a network."""
    network = tx.session.require(Network, values["network_id"])
    values.setdefault("port_security_enabled", network.port_security_enabled)
    values.setdefault("project_id", tx.project_id)
    _check_port_security(values)
    _check_pairs(tx, values)
    values["security_groups"] = _groups(tx, values)
    values["extra_dhcp_opts"] = _options((), values["extra_dhcp_opts"])
    values["host"] = values["host"] or ""
    values["mac_address"] = _mac(tx, network.id, values.get("mac_address"))
    holder = Holder(
        network_id=network.id,
        mac_address=values["mac_address"],
        device_owner=values["device_owner"],
    )
    values["fixed_ips"] = assign(tx, holder, values.get("fixed_ips"))
    return tx.session.insert(Port(id=new_id(), **values))


def make(tx: Transaction, port: Port, wanted: tuple[AddressRequest, ...] | None) -> Port:
    """A port of the server's own making: `port` with a MAC and addresses."""
    mac_address = _mac(tx, port.network_id, port.mac_address or None)
    holder = Holder(
        network_id=port.network_id, mac_address=mac_address, device_owner=port.device_owner
    )
    fixed_ips = assign(tx, holder, wanted)
    made = replace(port, mac_address=mac_address, fixed_ips=fixed_ips)
    if port.port_security_enabled and not port.security_groups:
        groups = groups_for(tx, port.project_id, port.device_owner, None)
        made = replace(made, security_groups=groups)
    return tx.session.insert(made)


def update(tx: Transaction, old: Port, values: Values) -> Port:
    """Change a port. A port that moves to another host is down until its agent says otherwise."""
    _check_port_security(values, old)
    _check_pairs(tx, values)
    if "security_groups" in values:
        values["security_groups"] = checked(tx, values["security_groups"] or ())
    if "extra_dhcp_opts" in values:
        values["extra_dhcp_opts"] = _options(old.extra_dhcp_opts, values["extra_dhcp_opts"])
    if "host" in values:
        values["host"] = values["host"] or ""
    if values.get("mac_address", old.mac_address) != old.mac_address:
        values["mac_address"] = _mac(tx, old.network_id, values["mac_address"])
    if "fixed_ips" in values:
        values["fixed_ips"] = readdress(tx, replace(old, **_plain(values)), values["fixed_ips"])
        check_readdressed(tx, old, values["fixed_ips"])
    return rebind(tx, old, replace(old, **values))


def readdress(
    tx: Transaction, port: Port, wanted: tuple[AddressRequest, ...]
) -> tuple[FixedIp, ...]:
    """The fixed IPs of a port that exists, when these are asked for; it keeps what it can."""
    holder = Holder(
        network_id=port.network_id,
        mac_address=port.mac_address,
        device_owner=port.device_owner,
        held=frozenset(fixed.ip_address for fixed in port.fixed_ips),
    )
    return assign(tx, holder, wanted)


def rebind(tx: Transaction, old: Port, new: Port) -> Port:
    """Store a changed port; DOWN if it is on another host now, or has been switched off."""
    off = old.admin_state_up and not new.admin_state_up
    return tx.session.update(replace(new, status="DOWN") if off or new.host != old.host else new)


def delete(tx: Transaction, port: Port) -> None:
    """Remove a port, unless it is a router's."""
    rules_ports.check_port_delete(port)
    release(tx, port)
    tx.session.delete(Port, port.id)


def _check_port_security(values: Values, old: Port | None = None) -> None:
    """Groups and pairs need port security: it is switched off only without them (Neutron)."""
    if values.get("port_security_enabled", old and old.port_security_enabled):
        return
    if values.get("security_groups"):
        words = "Port security must be enabled to use security groups"
        kind = "PortSecurityAndIPRequiredForSecurityGroups"
        given, expected = (
            values["security_groups"],
            "an empty list, because port security is disabled",
        )
        raise InvalidInput("security_groups", list(given), expected, type=kind, words=words)
    if old is not None and old.security_groups and "security_groups" not in values:
        message = (
            "Port has security group associated. Cannot disable port security until security"
            " group is removed: give an empty security_groups too"
        )
        raise Conflict("PortSecurityPortHasSecurityGroup", message)
    if values.get("allowed_address_pairs", old.allowed_address_pairs if old else ()):
        message = (
            "Port Security must be enabled in order to have allowed address pairs on a port:"
            " give an empty allowed_address_pairs too"
        )
        raise Conflict("AddressPairAndPortSecurityRequired", message)


def _check_pairs(tx: Transaction, values: Values) -> None:
    maximum = tx.config.max_allowed_address_pair
    given = len(values.get("allowed_address_pairs") or ())
    if given > maximum:
        words = f"The number of allowed address pair exceeds the maximum {maximum}"
        raise InvalidInput(
            "allowed_address_pairs",
            f"{given} pairs",
            f"at most {maximum} (max_allowed_address_pair)",
            type="AllowedAddressPairExhausted",
            words=words,
        )


def _plain(values: Values) -> Values:
    return {name: value for name, value in values.items() if name != "fixed_ips"}


def _groups(tx: Transaction, values: Values) -> tuple[str, ...]:
    wanted = values.get("security_groups")
    if wanted is None and not values["port_security_enabled"]:
        return ()
    return groups_for(tx, values["project_id"], values["device_owner"], wanted)


def _mac(tx: Transaction, network_id: str, wanted: str | None) -> str:
    if wanted is None:
        return tx.random_mac()  # taken already: the constraint says so, and the call is repeated
    if tx.session.find(Port, network_id=network_id, mac_address=wanted):
        message = f"Unable to complete operation for network {network_id}"
        message = f"{message}. The mac address {wanted} is in use; choose another"
        raise Conflict("MacAddressInUse", message)
    return wanted


def _options(
    old: tuple[DhcpOption, ...], given: tuple[DhcpOption | str, ...]
) -> tuple[DhcpOption, ...]:
    """Options given replace those of their name; a name alone removes it (Neutron)."""
    options = {(o.opt_name, o.ip_version): o for o in old}
    for option in given:
        if isinstance(option, str):
            options = {key: o for key, o in options.items() if key[0] != option}
        else:
            options[option.opt_name, option.ip_version] = option
    for _, version in options:
        if version not in (4, 6):
            raise InvalidInput("extra_dhcp_opts.ip_version", version, "4 or 6")
    return tuple(options.values())
