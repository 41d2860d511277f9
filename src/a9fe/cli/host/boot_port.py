"""The port to which a command connects a VM or guest."""

from dataclasses import dataclass

from a9fe.api_client.client import ApiClient, Document
from a9fe.linux.vms import taps
from a9fe.model.errors import A9feError
from a9fe.model.rules import addresses as rules
from a9fe.plan import names


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A port and its device; `uuid` is the instance's id, or the port's if it has no instance."""

    uuid: str
    mac: str
    tap: taps.Tap


def resolve(client: ApiClient, name: str, port: str | None = None) -> Target:
    """Return the port with the name or id `port`, by default the first of the VM `name`.

    Raises A9feError.
    """
    found = client.find("ports", port) if port else _first_port(client, name)
    network = client.show("networks", found["network_id"])
    return Target(
        uuid=found["device_id"] or found["id"],
        mac=found["mac_address"],
        tap=taps.Tap(
            name=names.outer_device(found["id"]),
            bridge=names.bridge(network["id"]),
            mtu=rules.device_mtu(network["mtu"]),
        ),
    )


def _first_port(client: ApiClient, name: str) -> Document:
    instance = client.find("instances", name)
    ports = client.list("ports", device_id=instance["id"])
    if not ports:
        raise A9feError(f"vm {name}: has no port; name one with --port")
    return ports[0]
