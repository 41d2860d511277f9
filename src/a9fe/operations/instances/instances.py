"""Instances: records of VMs, which something else boots, and their ports."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from a9fe.api_tables.requests import AddressRequest, NetworkCard
from a9fe.api_tables.typed_requests import UNSET, Unset, applied, created, given
from a9fe.model import policy
from a9fe.model.errors import InvalidInput, NotFound
from a9fe.model.guest import InjectedFile, MetadataOptions
from a9fe.model.port_order import in_order
from a9fe.model.resources import Instance, Keypair, Network, Port
from a9fe.model.rules import ports as rules_ports
from a9fe.operations import access, quotas
from a9fe.operations.ports import ports
from a9fe.operations.ports.floating_ip_links import release
from a9fe.operations.ports.ports import NewPort
from a9fe.operations.transaction import Transaction, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInstance:
    """An instance to record, with a port for each network card.

    Cards are those of `networks`, and one more of `network` or `port_id`. `host`: where the VM
    runs, by default this server's own host. `security_groups`: of ports that are made; None is
    the project's default group.
    """

    name: str
    project_id: str | Unset = UNSET
    user_data: bytes | None = None
    keypairs: tuple[Keypair, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    availability_zone: str | Unset = UNSET
    flavor: str = ""
    flavor_id: str = ""
    image: str = ""
    image_id: str = ""
    description: str = ""
    launch_index: int = 0
    files: tuple[InjectedFile, ...] = ()
    metadata_options: MetadataOptions = field(default_factory=MetadataOptions)
    host: str | Unset = UNSET
    network: str = ""
    port_id: str = ""
    networks: tuple[NetworkCard, ...] = ()
    security_groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceChange:
    """What may change of an instance. `description`: in Nova's API only."""

    name: str | Unset = UNSET
    user_data: bytes | Unset | None = UNSET
    keypairs: tuple[Keypair, ...] | Unset = UNSET
    metadata: dict[str, str] | Unset = UNSET
    availability_zone: str | Unset = UNSET
    flavor: str | Unset = UNSET
    image: str | Unset = UNSET
    description: str | Unset = UNSET
    metadata_options: MetadataOptions | Unset = UNSET


def create(tx: Transaction, new: NewInstance) -> Instance:
    """Record an instance with a port for each of its network cards."""
    cards = _cards(new)
    project_id = given(new.project_id, tx.project_id)
    quotas.check_record(tx, "instance", project_id)
    instance = created(
        Instance,
        new,
        id=new_id(),
        number=tx.session.next_number("instance"),
        project_id=project_id,
        availability_zone=given(new.availability_zone, tx.config.default_availability_zone),
    )
    instance = tx.session.insert(instance)
    plugged = [(card, _plug(tx, instance, card, new)) for card in cards]
    tx.session.mark_made(instance.id, [port_id for card, port_id in plugged if not card.port_id])
    tags = {port_id: card.tag for card, port_id in plugged}
    return tx.session.update(replace(instance, nic_tags=tags)) if tags else instance


def _cards(new: NewInstance) -> tuple[NetworkCard, ...]:
    if new.network and new.port_id:
        raise InvalidInput("port_id", new.port_id, "either network or port_id")
    if new.network or new.port_id:
        return (*new.networks, NetworkCard(network=new.network, port_id=new.port_id))
    return new.networks


def _plug(tx: Transaction, instance: Instance, card: NetworkCard, new: NewInstance) -> str:
    """Give the instance the card's port, or a new one; return the port's id."""
    host = given(new.host, tx.config.host)
    owner = f"compute:{instance.availability_zone}"
    if card.port_id:
        port = access.require(tx, Port, card.port_id)
        access.check_change(tx, port)
        rules_ports.check_port_free(port)
        plugged = replace(port, device_id=instance.id, device_owner=owner, host=host)
        ports.rebind(tx, port, plugged)
        return port.id
    network = _network(tx, card)
    quotas.check(tx, "port", instance.project_id)
    wanted = NewPort(
        network_id=network.id,
        project_id=instance.project_id,
        device_id=instance.id,
        device_owner=owner,
        host=host,
        security_groups=new.security_groups or None,
        fixed_ips=(AddressRequest(ip_address=card.fixed_ip),) if card.fixed_ip else UNSET,
    )
    return ports.make(tx, wanted).id


def _network(tx: Transaction, card: NetworkCard) -> Network:
    """Return the network that the card names, if the caller may have such a port on it."""
    id_or_name = card.network
    scope = access.scope(tx)
    named = tx.session.find(Network, id=id_or_name, **scope)
    named = named or tx.session.find(Network, name=id_or_name, **scope)
    if len(named) > 1:
        expected = "an id, since several networks have that name"
        raise InvalidInput("network", id_or_name, expected)
    if not named:
        raise NotFound("network", id_or_name)
    chosen = ("fixed_ips",) if card.fixed_ip else ()
    network = access.effective(tx, named[0])
    policy.check_on_network(tx.caller, "port", chosen, network, create=True)
    return named[0]


def update(tx: Transaction, old: Instance, change: InstanceChange) -> Instance:
    """Change an instance. A new flavor or image name no longer refers to the old one's record."""
    new = applied(old, change)
    flavor_id = old.flavor_id if new.flavor == old.flavor else ""
    image_id = old.image_id if new.image == old.image else ""
    return tx.session.update(replace(new, flavor_id=flavor_id, image_id=image_id))


def delete(tx: Transaction, instance: Instance) -> None:
    """Delete an instance and the ports made with it; release the ports that were given to it."""
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
    """Return the ports of the instance's own project, in the order of its network cards.

    Any project may write any device_id into its own port, so others' ports do not count (Nova
    asks for the project's ports too).
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
    """Return the ports of an instance, in the order of its network cards."""
    found = tx.session.find(Port, device_id=instance_id)
    instance = tx.session.get(Instance, instance_id) if found else None
    return in_order(instance, found) if instance else found
