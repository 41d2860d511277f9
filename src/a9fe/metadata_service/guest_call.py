"""A guest's request of which it is known whose it is, and what may come of it. Pure."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.rendered import Rendered
from a9fe.wire import trusted
from a9fe.wire.message import Answer, Headers, Request
from a9fe.wire.refusals import Refusal

QUERY_FIELDS_MAX = 32
NO_QUERY: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestCall:
    """What actions and documents are made from.

    `path` is the target's without its query; `query` has each parameter's values in order.
    `port_id` is the network card that asks, "" where that is not known. `now` is UNIX seconds.
    """

    request: Request
    path: str
    query: Mapping[str, tuple[str, ...]]
    view: InstanceView
    port_id: str
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A refusal with headers of its own, such as Allow, or a line that says more."""

    refusal: Refusal
    headers: Headers = ()
    detail: str = ""


Outcome = Answer | Rendered | Refusal | Refused
Result = Outcome | Awaitable[Outcome]
Gate = Callable[[GuestCall], Refusal | None]
"""Return why a call is refused, None to let it pass."""


def path_of(target: bytes) -> str:
    """The path of a request target (RFC 9112 section 3.2): origin or absolute form, no query."""
    text = target.decode("latin-1").partition("?")[0].partition("#")[0]
    if text[:7].lower() == "http://":
        return "/" + text[7:].partition("/")[2]
    return text


def query_of(target: bytes) -> Mapping[str, tuple[str, ...]]:
    """The parameters of a request target; none where they are too many to be meant."""
    if b"?" not in target:
        return NO_QUERY
    text = target.decode("latin-1").partition("?")[2].partition("#")[0]
    try:
        found = parse_qs(text, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)
    except ValueError:
        return NO_QUERY
    return {name: tuple(values) for name, values in found.items()}


def port_that_asks(request: Request, view: InstanceView) -> str:
    """The instance's port that the hop before names, or that has the address it vouches for.

    Neutron's agent names none; with an address on two of the instance's networks it is unknown.
    """
    named = request.values(trusted.PORT_ID)
    if len(named) == 1:
        id = named[0].decode("latin-1")
        return id if any(port.id == id for port in view.ports) else ""
    forwarded = b",".join(request.values(trusted.FORWARDED_FOR)).decode("latin-1")
    having = [p.id for p in view.ports for fixed in p.fixed_ips if fixed.ip_address == forwarded]
    return having[0] if len(having) == 1 else ""
