"""The service as a handler: a request with signed headers in, an answer out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from inspect import isawaitable

import structlog

from a9fe.metadata import tree
from a9fe.metadata.ec2.paths import EC2
from a9fe.metadata.instance_view import InstanceView, Settings, view_of
from a9fe.metadata.rendered import Rendered
from a9fe.metadata_service import guest_actions as actions
from a9fe.metadata_service import read_options as conditions
from a9fe.metadata_service import signed_headers as claim
from a9fe.metadata_service.documents import Documents
from a9fe.metadata_service.expected_instances import is_expected
from a9fe.metadata_service.guest_actions import Action
from a9fe.metadata_service.guest_call import (
    NO_QUERY,
    Gate,
    GuestCall,
    Outcome,
    Refused,
    Result,
    path_of,
    port_that_asks,
    query_of,
)
from a9fe.metadata_service.signed_headers import Claim
from a9fe.metadata_service.source import Source
from a9fe.model.errors import InvalidInput
from a9fe.replica import ReplicaUnreadable
from a9fe.wire import trusted
from a9fe.wire.freshness import uncertainty
from a9fe.wire.message import Answer, Headers, Request
from a9fe.wire.refusals import Refusal

log = structlog.get_logger()

METHODS = (b"GET", b"HEAD")
REQUEST_ID_MAX = 64  # bytes; ours have 12, and a longer one is not repeated


# Refusals of which a source that is as current as the server may know better.
MAY_BE_LATE = frozenset(
    (Refusal.UNKNOWN_INSTANCE, Refusal.WRONG_TENANT, Refusal.INSTANCE_EXPECTED, Refusal.NOT_SYNCED)
)
NOT_FOUND = 404


async def always_certain() -> bool:
    """Nothing to confirm: the source is the server's own."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Nova's metadata API over a source, with actions. `documents` answers what is read.

    `settings()` gives the operator's current settings. `now()` is the time in UNIX seconds.
    `source_lost_after`: seconds without the server after which the source counts as lost. `refuse`
    makes, counts and logs a refusal. Open actions skip the `gates`.
    `confirm` updates the source from the server and returns whether that succeeded; without it
    there is no 404 about an instance.
    """

    source: Source
    secret: str
    settings: Callable[[], Settings]
    now: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    source_lost_after: float
    refuse: Callable[[Refusal, Request], Answer]
    confirm: Callable[[], Awaitable[bool]]
    gates: Sequence[Gate] = ()
    documents: Documents = field(default_factory=Documents)
    actions: Sequence[Action] = ()

    def __post_init__(self) -> None:
        """An empty secret would sign for anybody."""
        if not self.secret:
            raise InvalidInput("metadata_proxy_shared_secret", "", "a secret that is not empty")

    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        """The answer. HEAD has the body of GET: that it is not sent is the shell's affair."""
        try:
            result = self._result(request)
        except ReplicaUnreadable as error:
            result = _unreadable(error)
        if isawaitable(result):
            return self._later(result, request)
        return self._said(result, request)

    async def _later(self, result: Awaitable[Outcome], request: Request) -> Answer:
        try:
            outcome = await result
        except ReplicaUnreadable as error:
            outcome = _unreadable(error)
        return self._said(outcome, request)

    def _said(self, outcome: Outcome, request: Request) -> Answer:
        if isinstance(outcome, Rendered):
            headers: Headers = ((b"content-type", outcome.content_type),)
            if outcome.etag:
                headers = (*headers, (b"etag", outcome.etag))
            return Answer(status=200, headers=headers, body=outcome.body)
        if isinstance(outcome, Refusal):
            return self.refuse(outcome, request)
        if isinstance(outcome, Refused):
            answer = self.refuse(outcome.refusal, request)
            detail = outcome.detail.encode("utf-8", "replace") + b"\n" if outcome.detail else b""
            headers = (*answer.headers, *outcome.headers)
            return replace(answer, headers=headers, body=answer.body + detail)
        return outcome

    def _result(self, request: Request) -> Result:
        path = path_of(request.target)
        call = self._call(request, path)
        if isinstance(call, Refusal):
            if tree.is_root(path):
                return _versions(request)
            return self._confirmed(request, path) if call in MAY_BE_LATE else call
        return self._known(call)

    async def _confirmed(self, request: Request, path: str) -> Outcome:
        """Confirm the miss with the server, look up again, and answer."""
        certain = await self.confirm()
        call = self._call(request, path)
        if isinstance(call, Refusal):
            unsure = call.value.status == NOT_FOUND and not certain
            return Refusal.UNCONFIRMED if unsure else call
        result = self._known(call)
        return await result if isawaitable(result) else result

    def _known(self, call: GuestCall) -> Result:
        path = call.path
        there = actions.at(self.actions, path)
        action = next((a for a in there if a.method == call.request.method), None)
        if action is None or not action.open:
            for gate in self.gates:
                refusal = gate(call)
                if refusal is not None:
                    return refusal
        return self._documents(call, there) if action is None else action.run(call)

    def _call(self, request: Request, path: str) -> GuestCall | Refusal:
        claimed = claim.verify(request, self.secret)
        if isinstance(claimed, Refusal):
            return claimed
        view = self._view(claimed)
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
        known = self.source.instance(claimed.instance_id)
        if known is None:
            return self._unknown(claimed)
        if known.instance.project_id != claimed.tenant_id:
            return Refusal.WRONG_TENANT
        view = view_of(self.source, known, self.settings(), self.random_bytes)
        return view or Refusal.NOT_SYNCED

    def _unknown(self, claimed: Claim) -> Refusal:
        now = self.now()
        unsure = uncertainty(self.source.freshness(now), self.source_lost_after)
        ports = self.source.ports_by_device(claimed.instance_id)
        if unsure is None and is_expected(ports, claimed.tenant_id, now):
            return Refusal.INSTANCE_EXPECTED
        return unsure or Refusal.UNKNOWN_INSTANCE

    def _documents(self, call: GuestCall, there: Sequence[Action]) -> Result:
        reads = call.request.method in METHODS
        place = tree.find(call.view, call.path)
        if place is None:
            also = tuple(action.method for action in there if not (reads and action.changes))
            return _not_allowed(also) if also else Refusal.NO_SUCH_PATH
        if not reads:
            return _not_allowed((*METHODS, *(action.method for action in there)))
        return self.documents.answer(call, place, lambda: self._call(call.request, call.path))


def _versions(request: Request) -> Outcome:
    """What Nova shows to anyone."""
    if request.method not in METHODS:
        return _not_allowed(METHODS)
    return conditions.outcome(request, tree.listing(tree.versions(EC2)))


def _unreadable(error: ReplicaUnreadable) -> Refusal:
    log.warning("replica unreadable", reason=str(error))
    return Refusal.SOURCE_UNREADABLE


def _not_allowed(methods: Sequence[bytes]) -> Refused:
    allow = (b"allow", b", ".join(methods))
    return Refused(refusal=Refusal.METHOD_NOT_ALLOWED, headers=(allow,))


def request_id(request: Request) -> str:
    """The id under which the first hop logged the request, "" if there is none to repeat."""
    values = request.values(trusted.REQUEST_ID)
    if len(values) != 1 or not values[0].isalnum() or len(values[0]) > REQUEST_ID_MAX:
        return ""
    return values[0].decode("ascii")
