"""Where a guest's request comes from, as the hops before have found it. Pure."""

from dataclasses import dataclass

from a9fe.metadata.instance_view import InstanceView


@dataclass(slots=True, kw_only=True, unsafe_hash=True)  # frozen ones take 1 us longer to make
class Origin:
    """The requesting instance and the facts of its request that only hops may state.

    `instance_id` and `tenant_id` (its project) are verified. `port_id` is the requesting port;
    None if the hop before names none, and then `guest_address` tells. `is_forwarded`: the guest
    sent an X-Forwarded-For header. `is_probe`: an operator's probe, not counted as a guest's
    request. `request_id` is "" if the hop before sent no valid one. `owner` is the answer's.
    """

    instance_id: str
    tenant_id: str
    port_id: str | None = None
    guest_address: str = ""
    is_forwarded: bool = False
    is_probe: bool = False
    request_id: str = ""
    owner: bytes = b""


def requesting_port(origin: Origin, view: InstanceView) -> str:
    """Return the id of the port that the request came from, "" if unknown.

    Our agent names the port. Neutron's names none: then it is the port with the guest address,
    unless several of the instance's ports have that address.
    """
    named = origin.port_id
    if named is not None:
        for port in view.ports:
            if port.id == named:
                return named
        return ""
    address = origin.guest_address
    having = [p.id for p in view.ports for fixed in p.fixed_ips if fixed.ip_address == address]
    return having[0] if len(having) == 1 else ""
