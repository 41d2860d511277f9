"""Instances: records of VMs that something else boots, and the ports made with them."""

from collections.abc import Iterable
from dataclasses import replace

from a9fe.api_tables.attributes import Values
from a9fe.api_tables.requests import AddressRequest, NetworkCard
from a9fe.model import policy
from a9fe.model.errors import InvalidInput, NotFound
from a9fe.model.port_order import in_order
from a9fe.model.resources import Instance, Network, Port
from a9fe.model.rules import ports as rules_ports
from a9fe.operations import access, quota_limits
from a9fe.operations.networks import ports
from a9fe.operations.routers.floating_links import release
from a9fe.operations.transaction import Transaction, new_id


def create(tx: Transaction, values: Values) -> Instance:
    """A new instance with a port for each network asked for."""
    cards = _cards(values)
    host = values.pop("host", tx.config.host)
    groups = values.pop("security_groups", None)
    values.setdefault("project_id", tx.project_id)
    values.setdefault("availability_zone", tx.config.default_availability_zone)
    quota_limits.check_record(tx, "instance", values["project_id"])
    number = tx.session.next_number("instance")
    instance = tx.session.insert(Instance(id=new_id(), number=number, **values))
    plugged = [(card, _plug(tx, instance, card, host, groups)) for card in cards]
    made = [port_id for card, port_id in plugged if not card.port_id]
    tx.session.mark_made(instance.id, made)
    nics = {port_id: card.tag for card, port_id in plugged}
    return tx.session.update(replace(instance, nic_tags=nics)) if nics else instance


def _cards(values: Values) -> list[NetworkCard]:
    cards: list[NetworkCard] = list(values.pop("networks"))
    network, port_id = values.pop("network", ""), values.pop("port_id", "")
    if network and port_id:
        raise InvalidInput("port_id", port_id, "either network or port_id")
    if network or port_id:
        cards.append(NetworkCard(network=network, port_id=port_id))
    return cards


def _plug(
    tx: Transaction,
    instance: Instance,
    card: NetworkCard,
    host: str,
    groups: tuple[str, ...] | None,
) -> str:
    """Give the instance a port; its id.

    `groups` are the security groups of a port that is made; None: the default.
    """
    owner = f"compute:{instance.availability_zone}"
    if card.port_id:
        port = access.require(tx, Port, card.port_id)
        access.check_change(tx, port)
        rules_ports.check_port_free(port)
        plugged = replace(port, device_id=instance.id, device_owner=owner, host=host)
        ports.rebind(tx, port, plugged)
        return card.port_id
    network = _network(tx, card)
    quota_limits.check(tx, "port", instance.project_id)
    port = Port(
        id=new_id(),
        network_id=network.id,
        mac_address="",
        project_id=instance.project_id,
        device_id=instance.id,
        device_owner=owner,
        host=host,
        port_security_enabled=network.port_security_enabled,
        security_groups=groups or (),
    )
    wanted = (AddressRequest(ip_address=card.fixed_ip),) if card.fixed_ip else None
    made: Port = ports.make(tx, port, wanted)
    return made.id


def _network(tx: Transaction, card: NetworkCard) -> Network:
    """The network meant, which the caller may have such a port on."""
    id_or_name = card.network
    scope = access.scope(tx)
    named = tx.session.find(Network, id=id_or_name, **scope)
    named = named or tx.session.find(Network, name=id_or_name, **scope)
    if len(named) > 1:
        expected = "an id, since several networks have that name"
        raise InvalidInput("network", id_or_name, expected)
    if not named:
        raise NotFound("network", id_or_name)
    given = ("fixed_ips",) if card.fixed_ip else ()
    network = access.effective(tx, named[0])
    policy.check_on_network(tx.caller, "port", given, network, create=True)
    return named[0]


def update(tx: Transaction, old: Instance, values: Values) -> Instance:
    """Change an instance. A new name of its flavor or image stands for no record."""
    for name in ("flavor", "image"):
        if values.get(name, getattr(old, name)) != getattr(old, name):
            values[f"{name}_id"] = ""
    return tx.session.update(replace(old, **values))


def delete(tx: Transaction, instance: Instance) -> None:
    """Remove an instance and the ports made with it; free the others."""
    made = tx.session.made_with(instance.id)
    for port in ports_of(tx, instance.id):
        if port.id in made:
            release(tx, port)
            tx.session.delete(Port, port.id)
        else:
            ports.rebind(tx, port, replace(port, device_id="", device_owner="", host=""))
    tx.session.imds_usage.delete(instance.id)
    tx.session.delete(Instance, instance.id)


def own(instance: Instance, found: Iterable[Port]) -> list[Port]:
    """The ports of an instance's own project, in the order of its cards.

    Any project may write any device_id into its port. Nova asks for the project's ports too.
    """
    return in_order(instance, [port for port in found if port.project_id == instance.project_id])


def ports_by_instance(tx: Transaction, found: Iterable[Instance]) -> dict[str, list[Port]]:
    """Return the ports of instances by instance id: each the own project's, in card order."""
    by_id = {instance.id: instance for instance in found}
    named: dict[str, list[Port]] = {id: [] for id in by_id}
    for port in tx.session.find(Port, device_id=list(by_id)) if by_id else ():
        named[port.device_id].append(port)
    return {id: own(instance, named[id]) for id, instance in by_id.items()}


def host_of(ports: Iterable[Port]) -> str:
    """Return the host of an instance, which is that of its first bound port; "" for none."""
    return next((port.host for port in ports if port.host), "")


def ports_of(tx: Transaction, instance_id: str) -> list[Port]:
    """The ports of an instance, in the order of its cards."""
    found = tx.session.find(Port, device_id=instance_id)
    instance = tx.session.get(Instance, instance_id) if found else None
    return in_order(instance, found) if instance else found
