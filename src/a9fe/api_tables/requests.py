"""Parts of requests that are not values of the model: addresses, network cards, gateways."""

from dataclasses import dataclass

from a9fe.api_tables import converters as to
from a9fe.api_tables.typed_requests import UNSET, Unset
from a9fe.model.errors import InvalidInput
from a9fe.model.rules import addresses as rules


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRequest:
    """One of the fixed_ips wanted for a port: a subnet id, an address, or both; "" is any."""

    subnet_id: str = ""
    ip_address: str = ""


def address_request(field: str, value: object) -> AddressRequest:
    """Read {"subnet_id", "ip_address"}, of which one must be given."""
    expected = "an object with subnet_id, ip_address or both"
    if not isinstance(value, dict) or not value or value.keys() - {"subnet_id", "ip_address"}:
        raise InvalidInput(field, value, expected)
    subnet_id, ip_address = value.get("subnet_id"), value.get("ip_address")
    if subnet_id is None and ip_address is None:
        raise InvalidInput(field, value, expected)
    return AddressRequest(
        subnet_id="" if subnet_id is None else to.identifier("fixed_ips.subnet_id", subnet_id),
        ip_address="" if ip_address is None else rules.address("fixed_ips.ip_address", ip_address),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCard:
    """A network card wanted for an instance: on a network (id or name), or an existing port."""

    network: str = ""
    port_id: str = ""
    fixed_ip: str = ""
    tag: str = ""


TAG_MAX = 60  # characters of a device's tag (Nova)


def instance_network(field: str, value: object) -> NetworkCard:
    """Read {"uuid", "fixed_ip", "tag"} or {"port", "tag"} (Nova); the last ones are optional."""
    expected = "an object with uuid (and fixed_ip), or port, and perhaps tag"
    if not isinstance(value, dict) or value.keys() - {"uuid", "fixed_ip", "port", "tag"}:
        raise InvalidInput(field, value, expected)
    if ("uuid" in value) == ("port" in value) or {"port", "fixed_ip"} <= value.keys():
        raise InvalidInput(field, value, expected)
    tag = to.one_line(TAG_MAX)(f"{field}.tag", value.get("tag", ""))
    if "port" in value:
        return NetworkCard(port_id=to.identifier(f"{field}.port", value["port"]), tag=tag)
    fixed_ip = rules.address(f"{field}.fixed_ip", value["fixed_ip"]) if "fixed_ip" in value else ""
    network = to.string(minimum=1)(f"{field}.uuid", value["uuid"])
    return NetworkCard(network=network, fixed_ip=fixed_ip, tag=tag)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRequest:
    """The external gateway wanted for a router. UNSET: as it is, or the default for a new one."""

    network_id: str
    enable_snat: bool | Unset = UNSET
    addresses: tuple[AddressRequest, ...] | Unset = UNSET


def gateway_request(field: str, value: object) -> GatewayRequest | None:
    """Read external_gateway_info; null and {} mean no gateway."""
    if value is None or value == {}:
        return None
    allowed = {"network_id", "enable_snat", "external_fixed_ips"}
    if not isinstance(value, dict) or value.keys() - allowed or "network_id" not in value:
        expected = "an object with network_id and perhaps enable_snat, external_fixed_ips"
        raise InvalidInput(field, value, expected)
    snat, addresses = value.get("enable_snat"), value.get("external_fixed_ips")
    read = to.list_of(address_request)
    return GatewayRequest(
        network_id=to.identifier(f"{field}.network_id", value["network_id"]),
        enable_snat=UNSET if snat is None else to.boolean(f"{field}.enable_snat", snat),
        addresses=UNSET if addresses is None else read(f"{field}.external_fixed_ips", addresses),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceRequest:
    """The subnet or the port of a router interface, by id; "" where it is not given."""

    subnet_id: str = ""
    port_id: str = ""


def interface_request(document: object) -> InterfaceRequest:
    """Read the body of add_router_interface and remove_router_interface. Raises InvalidInput."""
    if not isinstance(document, dict):
        raise InvalidInput("body", document, "an object with subnet_id or port_id")
    for name in document:
        if name not in {"subnet_id", "port_id"}:
            raise InvalidInput(name, document[name], "no attribute but subnet_id and port_id")
    ids = {name: to.identifier(name, id) for name, id in document.items() if id is not None}
    return InterfaceRequest(**ids)
