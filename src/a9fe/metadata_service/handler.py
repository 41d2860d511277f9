"""The service as a handler: a request with signed headers in, an answer out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from inspect import isawaitable

import structlog

from a9fe.metadata import tree
from a9fe.metadata.ec2 import EC2
from a9fe.metadata.gather import view_of
from a9fe.metadata.rendered import TEXT, Rendered
from a9fe.metadata.view import InstanceView, Settings
from a9fe.metadata_service import actions, claim
from a9fe.metadata_service.actions import Action
from a9fe.metadata_service.call import (
    NO_QUERY,
    GuestCall,
    Outcome,
    Refused,
    Result,
    path_of,
    port_that_asks,
    query_of,
)
from a9fe.metadata_service.claim import Claim
from a9fe.metadata_service.readiness import is_expected
from a9fe.metadata_service.source import Source, doubt
from a9fe.model.errors import InvalidInput
from a9fe.model.resources import Instance
from a9fe.replica import ReplicaUnreadable
from a9fe.wire import trusted
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal

log = structlog.get_logger()

METHODS = (b"GET", b"HEAD")
REQUEST_ID_MAX = 64  # bytes; ours have 12, and a longer one is not repeated


def admit_all(_: GuestCall) -> None:
    """A gate that stands open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Nova's metadata API over a source, with actions. It keeps nothing between two requests.

    `settings()` gives what the operator decides, as it is now. `now()` is the time in UNIX
    seconds. `source_lost_after`: the seconds without the server after which the source is called
    lost. `refuse` makes the answer of a refusal, and is where it is counted and logged. `gate`
    says why a call may not go on; actions that are open are not asked of it.
    """

    source: Source
    secret: str
    settings: Callable[[], Settings]
    now: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    source_lost_after: float
    refuse: Callable[[Refusal, Request], Answer]
    gate: Callable[[GuestCall], Refusal | None] = admit_all
    actions: Sequence[Action] = ()

    def __post_init__(self) -> None:
        """An empty secret would sign for anybody."""
        if not self.secret:
            raise InvalidInput("metadata_proxy_shared_secret", "", "a secret that is not empty")

    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        """The answer. HEAD has the body of GET: that it is not sent is the shell's affair."""
        result = self._result(request)
        if isawaitable(result):
            return self._later(result, request)
        return self._said(result, request)

    async def _later(self, result: Awaitable[Outcome], request: Request) -> Answer:
        return self._said(await result, request)

    def _said(self, outcome: Outcome, request: Request) -> Answer:
        if isinstance(outcome, Rendered):
            headers = ((b"content-type", outcome.content_type),)
            return Answer(status=200, headers=headers, body=outcome.body)
        if isinstance(outcome, Refusal):
            return self.refuse(outcome, request)
        if isinstance(outcome, Refused):
            answer = self.refuse(outcome.refusal, request)
            return replace(answer, headers=(*answer.headers, *outcome.headers))
        return outcome

    def _result(self, request: Request) -> Result:
        path = path_of(request.target)
        if tree.is_root(path):
            root = Rendered(content_type=TEXT, body=tree.versions(EC2))
            return self._refusal_at_root(request, path) or _read_only(request, root)
        call = self._call(request, path)
        if isinstance(call, Refusal):
            return call
        there = actions.at(self.actions, path)
        action = next((a for a in there if a.method == request.method), None)
        if action is None or not action.open:
            refusal = self.gate(call)
            if refusal is not None:
                return refusal
        return self._documents(call, there) if action is None else action.run(call)

    def _refusal_at_root(self, request: Request, path: str) -> Refusal | None:
        """Nova shows it to anyone; of an instance that is known the gate is asked."""
        call = self._call(request, path)
        return self.gate(call) if isinstance(call, GuestCall) else None

    def _call(self, request: Request, path: str) -> GuestCall | Refusal:
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
        return GuestCall(
            request=request,
            path=path,
            query=query_of(request.target) if b"?" in request.target else NO_QUERY,
            view=view,
            port_id=port_that_asks(request, view),
            now=self.now(),
        )

    def _view(self, claimed: Claim) -> InstanceView | Refusal:
        instance = self.source.get("instance", claimed.instance_id)
        if not isinstance(instance, Instance):
            return self._unknown(claimed)
        if instance.project_id != claimed.tenant_id:
            return Refusal.WRONG_TENANT
        view = view_of(self.source, instance, self.settings(), self.random_bytes)
        return view or Refusal.NOT_SYNCED

    def _unknown(self, claimed: Claim) -> Refusal:
        now = self.now()
        unsure = doubt(self.source.freshness(now), self.source_lost_after)
        ports = self.source.ports_by_device(claimed.instance_id)
        if unsure is None and is_expected(ports, claimed.tenant_id, now):
            return Refusal.INSTANCE_EXPECTED
        return unsure or Refusal.UNKNOWN_INSTANCE

    def _documents(self, call: GuestCall, there: Sequence[Action]) -> Result:
        rendered = tree.render(call.view, call.path)
        also = tuple(action.method for action in there)
        if rendered is None and call.request.method in METHODS:
            also = tuple(action.method for action in there if not action.changes)
        if rendered is None:
            return _not_allowed(also) if also else Refusal.NO_SUCH_PATH
        return _read_only(call.request, rendered, also)


def _read_only(request: Request, rendered: Rendered, also: tuple[bytes, ...] = ()) -> Outcome:
    return rendered if request.method in METHODS else _not_allowed((*METHODS, *also))


def _not_allowed(methods: Sequence[bytes]) -> Refused:
    allow = (b"allow", b", ".join(methods))
    return Refused(refusal=Refusal.METHOD_NOT_ALLOWED, headers=(allow,))


def request_id(request: Request) -> str:
    """The id under which the first hop logged the request, "" if there is none to repeat."""
    values = request.values(trusted.REQUEST_ID)
    if len(values) != 1 or not values[0].isalnum() or len(values[0]) > REQUEST_ID_MAX:
        return ""
    return values[0].decode("ascii")
