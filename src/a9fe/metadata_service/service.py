"""The service as a handler: a request with signed headers in, an answer out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from inspect import isawaitable
from typing import Protocol

import structlog

from a9fe.metadata import tree
from a9fe.metadata.ec2.paths import EC2
from a9fe.metadata.instance_view import InstanceView, Resources, Settings, view_of
from a9fe.metadata.rendered import Rendered
from a9fe.metadata_service.documents import DocumentReader
from a9fe.metadata_service.expected_instances import is_expected
from a9fe.metadata_service.guest_actions import Action, actions_at
from a9fe.metadata_service.guest_call import (
    NO_QUERY,
    DetailedRefusal,
    Gate,
    GuestCall,
    Outcome,
    Result,
    path_of,
    query_of,
    requesting_port,
)
from a9fe.metadata_service.read_options import conditional
from a9fe.metadata_service.signed_headers import SignedInstance, verify
from a9fe.model.errors import InvalidInput
from a9fe.model.user_data import KnownInstance
from a9fe.replica import ReplicaUnreadable
from a9fe.wire import trusted
from a9fe.wire.freshness import Freshness, uncertainty
from a9fe.wire.message import Answer, Headers, Request
from a9fe.wire.refusals import Refusal

log = structlog.get_logger()

METHODS = (b"GET", b"HEAD")
REQUEST_ID_MAX = 64  # bytes; ours have 12, and a longer one is not repeated


# Misses that may become hits once the source is as current as the server.
TO_CONFIRM = frozenset(
    (Refusal.UNKNOWN_INSTANCE, Refusal.WRONG_TENANT, Refusal.INSTANCE_EXPECTED, Refusal.NOT_SYNCED)
)
NOT_FOUND = 404


class Source(Resources, Protocol):
    """The replica, as the service reads it. Does not wait. Raises ReplicaUnreadable."""

    def instance(self, id: str) -> KnownInstance | None:
        """Return an instance without reading its user data."""
        ...

    def freshness(self, now: float) -> Freshness:
        """Return how up to date the source is at `now`, UNIX seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Nova's metadata API over a source, with actions. `documents` answers reads.

    `settings()` returns the operator's present settings. `now()` is in UNIX seconds.
    `source_lost_after`: seconds without the server after which the source counts as lost.
    `refuse` makes, counts and logs a refusal. Ungated actions skip the `gates`. `confirm` updates
    the source from the server and returns whether that succeeded; only then is a missing instance
    404.
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
    documents: DocumentReader = field(default_factory=DocumentReader)
    actions: Sequence[Action] = ()

    def __post_init__(self) -> None:
        """Refuse an empty secret, with which anybody could sign. Raises InvalidInput."""
        if not self.secret:
            raise InvalidInput("metadata_proxy_shared_secret", "", "a secret that is not empty")

    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request. HEAD gets the body of GET; the server does not send it."""
        try:
            result = self._result(request)
        except ReplicaUnreadable as error:
            result = _unreadable(error)
        if isawaitable(result):
            return self._awaited(result, request)
        return self._answer(result, request)

    async def _awaited(self, result: Awaitable[Outcome], request: Request) -> Answer:
        try:
            outcome = await result
        except ReplicaUnreadable as error:
            outcome = _unreadable(error)
        return self._answer(outcome, request)

    def _answer(self, outcome: Outcome, request: Request) -> Answer:
        if isinstance(outcome, Rendered):
            headers: Headers = ((b"content-type", outcome.content_type),)
            if outcome.etag:
                headers = (*headers, (b"etag", outcome.etag))
            return Answer(status=200, headers=headers, body=outcome.body)
        if isinstance(outcome, Refusal):
            return self.refuse(outcome, request)
        if isinstance(outcome, DetailedRefusal):
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
            return self._confirmed(request, path) if call in TO_CONFIRM else call
        return self._run(call)

    async def _confirmed(self, request: Request, path: str) -> Outcome:
        """Confirm the miss with the server, look up again, and answer."""
        certain = await self.confirm()
        call = self._call(request, path)
        if isinstance(call, Refusal):
            uncertain = call.value.status == NOT_FOUND and not certain
            return Refusal.UNCONFIRMED if uncertain else call
        result = self._run(call)
        return await result if isawaitable(result) else result

    def _run(self, call: GuestCall) -> Result:
        path = call.path
        at_path = actions_at(self.actions, path)
        action = next((a for a in at_path if a.method == call.request.method), None)
        if action is None or not action.ungated:
            for gate in self.gates:
                refusal = gate(call)
                if refusal is not None:
                    return refusal
        return self._read(call, at_path) if action is None else action.run(call)

    def _call(self, request: Request, path: str) -> GuestCall | Refusal:
        signed = verify(request, self.secret)
        if isinstance(signed, Refusal):
            return signed
        view = self._view(signed)
        if isinstance(view, Refusal):
            return view
        return GuestCall(
            request=request,
            path=path,
            query=query_of(request.target) if b"?" in request.target else NO_QUERY,
            view=view,
            port_id=requesting_port(request, view),
            now=self.now(),
        )

    def _view(self, signed: SignedInstance) -> InstanceView | Refusal:
        known = self.source.instance(signed.instance_id)
        if known is None:
            return self._unknown(signed)
        if known.instance.project_id != signed.tenant_id:
            return Refusal.WRONG_TENANT
        view = view_of(self.source, known, self.settings(), self.random_bytes)
        return view or Refusal.NOT_SYNCED

    def _unknown(self, signed: SignedInstance) -> Refusal:
        now = self.now()
        uncertain = uncertainty(self.source.freshness(now), self.source_lost_after)
        ports = self.source.ports_by_device(signed.instance_id)
        if uncertain is None and is_expected(ports, signed.tenant_id, now):
            return Refusal.INSTANCE_EXPECTED
        return uncertain or Refusal.UNKNOWN_INSTANCE

    def _read(self, call: GuestCall, at_path: Sequence[Action]) -> Result:
        reads = call.request.method in METHODS
        place = tree.find(call.view, call.path)
        if place is None:
            others = tuple(action.method for action in at_path if not (reads and action.changes))
            return _not_allowed(others) if others else Refusal.NO_SUCH_PATH
        if not reads:
            return _not_allowed((*METHODS, *(action.method for action in at_path)))
        return self.documents.answer(call, place, lambda: self._call(call.request, call.path))


def _versions(request: Request) -> Outcome:
    """Return the list of EC2 versions, which needs no signature, as in Nova."""
    if request.method not in METHODS:
        return _not_allowed(METHODS)
    return conditional(request, tree.listing(tree.versions(EC2)))


def _unreadable(error: ReplicaUnreadable) -> Refusal:
    log.warning("replica unreadable", reason=str(error))
    return Refusal.SOURCE_UNREADABLE


def _not_allowed(methods: Sequence[bytes]) -> DetailedRefusal:
    allow = (b"allow", b", ".join(methods))
    return DetailedRefusal(refusal=Refusal.METHOD_NOT_ALLOWED, headers=(allow,))


def request_id(request: Request) -> str:
    """Return the id under which the first hop logged the request, "" if it is not valid."""
    values = request.values(trusted.REQUEST_ID)
    if len(values) != 1 or not values[0].isalnum() or len(values[0]) > REQUEST_ID_MAX:
        return ""
    return values[0].decode("ascii")
