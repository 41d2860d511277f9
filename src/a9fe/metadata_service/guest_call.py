"""A guest's request after its instance is known, and the possible outcomes. Pure."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.rendered import Rendered
from a9fe.metadata_service.kept_views import KeptView
from a9fe.metadata_service.origin import Origin
from a9fe.wire.message import Answer, Headers, Request
from a9fe.wire.refusals import Refusal

QUERY_FIELDS_MAX = 32
NO_QUERY: Mapping[str, tuple[str, ...]] = {}


@dataclass(slots=True, kw_only=True)  # never changed; a frozen one takes 1 us longer to make
class GuestCall:
    """The request that actions and documents answer.

    `path` is the target's path; `query` has each parameter's values in order. `port_id` is the
    port that the request came from, "" if unknown. `now` is in UNIX seconds. `kept` is what is
    kept of the view.
    """

    origin: Origin
    request: Request
    path: str
    query: Mapping[str, tuple[str, ...]]
    view: InstanceView
    port_id: str
    now: float
    kept: KeptView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailedRefusal:
    """A refusal with additional headers, such as Allow, or a line of detail in its body."""

    refusal: Refusal
    headers: Headers = ()
    detail: str = ""


Outcome = Answer | Rendered | Refusal | DetailedRefusal
Result = Outcome | Awaitable[Outcome]
Gate = Callable[[GuestCall], Refusal | None]
"""Return why a call is refused, None to let it pass."""


def path_of(target: bytes) -> str:
    """Return the path of a request target in origin or absolute form (RFC 9112 section 3.2)."""
    if target.startswith(b"/") and b"?" not in target and b"#" not in target:
        return target.decode("latin-1")
    text = target.decode("latin-1").partition("?")[0].partition("#")[0]
    if text[:7].lower() == "http://":
        return "/" + text[7:].partition("/")[2]
    return text


def query_of(target: bytes) -> Mapping[str, tuple[str, ...]]:
    """Return the query parameters of a request target; none if there are too many."""
    if b"?" not in target:
        return NO_QUERY
    text = target.decode("latin-1").partition("?")[2].partition("#")[0]
    try:
        found = parse_qs(text, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)
    except ValueError:
        return NO_QUERY
    return {name: tuple(values) for name, values in found.items()}
