"""The service as a handler: a request with signed headers in, an answer out."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from a9fe.metadata import tree
from a9fe.metadata.ec2 import EC2
from a9fe.metadata.rendered import TEXT, Rendered
from a9fe.metadata.view import InstanceView, Settings
from a9fe.metadata_service import claim
from a9fe.metadata_service.claim import Claim
from a9fe.metadata_service.source import Source, doubt, view_of
from a9fe.model.errors import InvalidInput
from a9fe.model.resources import Instance
from a9fe.replica import ReplicaUnreadable
from a9fe.wire import trusted
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal

log = structlog.get_logger()

METHODS = (b"GET", b"HEAD")
REQUEST_ID_MAX = 64  # bytes; ours have 12, and a longer one is not repeated


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Nova's metadata API over a source. It keeps nothing between two requests.

    `settings()` gives what the operator decides, as it is now. `now()` is the time in UNIX
    seconds. `source_lost_after`: the seconds without the server after which the source is called
    lost. `refuse` makes the answer of a refusal, and is where it is counted and logged.
    """

    source: Source
    secret: str
    settings: Callable[[], Settings]
    now: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    source_lost_after: float
    refuse: Callable[[Refusal, Request], Answer]

    def __post_init__(self) -> None:
        """An empty secret would sign for anybody."""
        if not self.secret:
            raise InvalidInput("metadata_proxy_shared_secret", "", "a secret that is not empty")

    def __call__(self, request: Request) -> Answer:
        """The answer. HEAD has the body of GET: that it is not sent is the shell's affair."""
        outcome = self._outcome(request)
        if isinstance(outcome, Refusal):
            return _with_allow(outcome, self.refuse(outcome, request))
        return Answer(
            status=200, headers=((b"content-type", outcome.content_type),), body=outcome.body
        )

    def _outcome(self, request: Request) -> Rendered | Refusal:
        path = path_of(request.target)
        if tree.is_root(path):
            found: Rendered | Refusal = Rendered(content_type=TEXT, body=tree.versions(EC2))
        else:
            found = self._document(request, path)
        if isinstance(found, Rendered) and request.method not in METHODS:
            return Refusal.METHOD_NOT_ALLOWED
        return found

    def _document(self, request: Request, path: str) -> Rendered | Refusal:
        claimed = claim.verify(request, self.secret)
        if isinstance(claimed, Refusal):
            return claimed
        try:
            view = self._view(claimed)
        except ReplicaUnreadable as error:
            log.warning("replica unreadable", reason=str(error))
            return Refusal.SOURCE_UNREADABLE
        if isinstance(view, Refusal):
            return view
        return tree.render(view, path) or Refusal.NO_SUCH_PATH

    def _view(self, claimed: Claim) -> InstanceView | Refusal:
        instance = self.source.get("instance", claimed.instance_id)
        if not isinstance(instance, Instance):
            freshness = self.source.freshness(self.now())
            return doubt(freshness, self.source_lost_after) or Refusal.UNKNOWN_INSTANCE
        if instance.project_id != claimed.tenant_id:
            return Refusal.WRONG_TENANT
        view = view_of(self.source, instance, self.settings(), self.random_bytes)
        return view or Refusal.NOT_SYNCED


def path_of(target: bytes) -> str:
    """The path of a request target (RFC 9112 section 3.2): origin or absolute form, no query."""
    text = target.decode("latin-1").partition("?")[0].partition("#")[0]
    if text[:7].lower() == "http://":
        return "/" + text[7:].partition("/")[2]
    return text


def request_id(request: Request) -> str:
    """The id under which the first hop logged the request, "" if there is none to repeat."""
    values = request.values(trusted.REQUEST_ID)
    if len(values) != 1 or not values[0].isalnum() or len(values[0]) > REQUEST_ID_MAX:
        return ""
    return values[0].decode("ascii")


def _with_allow(refusal: Refusal, answer: Answer) -> Answer:
    if refusal is not Refusal.METHOD_NOT_ALLOWED:
        return answer
    return replace(answer, headers=(*answer.headers, (b"allow", b", ".join(METHODS))))
