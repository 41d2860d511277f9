"""The core of hop 3, without headers of hops: a request and its origin in, an answer out.

Hop 3 uses it behind signed headers (signed_service.py), and the host shape behind the look-up.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from a9fe.metadata import tree
from a9fe.metadata.ec2.paths import EC2
from a9fe.metadata.instance_view import Resources, Settings, view_of
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
)
from a9fe.metadata_service.kept_views import KeptView, KeptViews, Page
from a9fe.metadata_service.origin import Origin, requesting_port
from a9fe.metadata_service.read_options import conditional
from a9fe.model.user_data import KnownInstance
from a9fe.replica import ReplicaUnreadable
from a9fe.wire.freshness import Freshness, uncertainty, unconfirmed
from a9fe.wire.message import Answer, Headers, Request
from a9fe.wire.refusals import Refusal

log = structlog.get_logger()

METHODS = (b"GET", b"HEAD")


# Misses that may become hits once the source is as current as the server.
TO_CONFIRM = frozenset(
    (Refusal.UNKNOWN_INSTANCE, Refusal.WRONG_TENANT, Refusal.INSTANCE_EXPECTED, Refusal.NOT_SYNCED)
)
OUTCOMES = (Rendered, Answer, Refusal, DetailedRefusal)  # in place of an awaitable of one


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
    `refuse` makes, counts and logs the refusal of a request with an id, which may be "". Ungated
    actions skip the `gates` and the `path_gates`: these decide by view and path only, or about
    volatile paths, so that a page that is kept has passed them. `confirm` updates the source from
    the server and returns whether that succeeded; only then is a missing instance 404. `views`
    keeps views of the source as long as `settings()` returns the same object; None: each request
    makes its own.
    """

    source: Source
    settings: Callable[[], Settings]
    now: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    source_lost_after: float
    refuse: Callable[[Refusal, Request, str], Answer]
    confirm: Callable[[], Awaitable[bool]]
    gates: Sequence[Gate] = ()
    path_gates: Sequence[Gate] = ()
    documents: DocumentReader = field(default_factory=DocumentReader)
    actions: Sequence[Action] = ()
    views: KeptViews | None = None

    def answer(
        self, origin: Origin, request: Request, *, certain: bool | None = None
    ) -> Answer | Awaitable[Answer]:
        """Answer a request. HEAD gets the body of GET; the server does not send it.

        `certain`: whether the server has already confirmed the source for this request; None if
        it was not asked.
        """
        try:
            result = self._result(origin, request, certain=certain)
        except ReplicaUnreadable as error:
            result = _unreadable(error)
        if isinstance(result, OUTCOMES):
            return self._answer(result, request, origin.request_id, origin.owner)
        return self._awaited(result, request, origin.request_id)

    def without_origin(self, reason: Refusal, request: Request, request_id: str) -> Answer:
        """Answer a request whose origin is not known: the list of versions, or `reason`."""
        is_root = tree.is_root(path_of(request.target))
        return self._answer(_versions(request) if is_root else reason, request, request_id)

    async def _awaited(
        self, result: Awaitable[Outcome], request: Request, request_id: str
    ) -> Answer:
        try:
            outcome = await result
        except ReplicaUnreadable as error:
            outcome = _unreadable(error)
        return self._answer(outcome, request, request_id)

    def _answer(
        self, outcome: Outcome, request: Request, request_id: str, owner: bytes = b""
    ) -> Answer:
        if isinstance(outcome, Rendered):
            headers: Headers = ((b"content-type", outcome.content_type),)
            if outcome.etag:
                headers = (*headers, (b"etag", outcome.etag))
            return Answer(status=200, headers=headers, body=outcome.body, owner=owner)
        if isinstance(outcome, Refusal):
            return self.refuse(outcome, request, request_id)
        if isinstance(outcome, DetailedRefusal):
            answer = self.refuse(outcome.refusal, request, request_id)
            detail = outcome.detail.encode("utf-8", "replace") + b"\n" if outcome.detail else b""
            headers = (*answer.headers, *outcome.headers)
            return replace(answer, headers=headers, body=answer.body + detail)
        return outcome

    def _result(self, origin: Origin, request: Request, *, certain: bool | None) -> Result:
        path = path_of(request.target)
        call = self._agreed(origin, request, path)
        if not isinstance(call, Refusal):
            return self._run(call)
        if tree.is_root(path):
            return _versions(request)
        if call not in TO_CONFIRM:
            return call
        if certain is None:
            return self._confirmed(origin, request, path)
        return call if certain else unconfirmed(call)

    async def _confirmed(self, origin: Origin, request: Request, path: str) -> Outcome:
        """Confirm the miss with the server, look up again, and answer."""
        certain = await self.confirm()
        call = self._agreed(origin, request, path)
        if isinstance(call, Refusal):
            return call if certain else unconfirmed(call)
        result = self._run(call)
        return result if isinstance(result, OUTCOMES) else await result

    def _run(self, call: GuestCall) -> Result:
        page = _page_of(call)
        if page is not None:
            return _refusal(self.gates, call) or conditional(call.request, page.finished())
        at_path = actions_at(self.actions, call.path)
        action = next((a for a in at_path if a.method == call.request.method), None)
        if action is None or not action.ungated:
            refusal = _refusal((*self.gates, *self.path_gates), call)
            if refusal is not None:
                return refusal
        return self._read(call, at_path) if action is None else action.run(call)

    def _agreed(self, origin: Origin, request: Request, path: str) -> GuestCall | Refusal:
        """Return the call, unless its view lacks the port that the hop before names.

        Documents would lack it too. After a wait that is no error: the hop before checks again
        which port has the address.
        """
        call = self._call(origin, request, path)
        if isinstance(call, Refusal) or call.port_id or origin.port_id is None:
            return call
        return Refusal.NOT_SYNCED

    def _call(self, origin: Origin, request: Request, path: str) -> GuestCall | Refusal:
        kept = self._kept(origin)
        if isinstance(kept, Refusal):
            return kept if self._knows_port(origin) else Refusal.NOT_SYNCED
        view = kept.view
        return GuestCall(
            origin=origin,
            request=request,
            path=path,
            query=query_of(request.target) if b"?" in request.target else NO_QUERY,
            view=view,
            port_id=requesting_port(origin, view),
            now=self.now(),
            kept=kept,
        )

    def _knows_port(self, origin: Origin) -> bool:
        """Return whether the port that the hop before names, if any, is the instance's here too.

        If not, its model is newer or older, and that the instance is unknown here proves nothing.
        """
        ports = self.source.ports_by_device(origin.instance_id)
        return origin.port_id is None or origin.port_id in [port.id for port in ports]

    def _kept(self, origin: Origin) -> KeptView | Refusal:
        """Return the view of the requesting instance: the kept one, or one made now."""
        settings = self.settings()
        kept = self.views.get(origin.instance_id) if self.views is not None else None
        if kept is not None and kept.view.settings is settings:
            same_project = kept.view.instance.project_id == origin.tenant_id
            return kept if same_project else Refusal.WRONG_TENANT
        known = self.source.instance(origin.instance_id)
        if known is None:
            return self._unknown(origin)
        if known.instance.project_id != origin.tenant_id:
            return Refusal.WRONG_TENANT
        view = view_of(self.source, known, settings, self.random_bytes)
        if view is None:
            return Refusal.NOT_SYNCED
        return self.views.keep(view) if self.views is not None else KeptView(view)

    def _unknown(self, origin: Origin) -> Refusal:
        now = self.now()
        uncertain = uncertainty(self.source.freshness(now), self.source_lost_after)
        ports = self.source.ports_by_device(origin.instance_id)
        if uncertain is None and is_expected(ports, origin.tenant_id, now):
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
        return self.documents.answer(
            call,
            place,
            refresh=lambda: self._call(call.origin, call.request, call.path),
            keep=lambda page: self._keep(call, at_path, page),
        )

    def _keep(self, call: GuestCall, at_path: Sequence[Action], page: Page) -> None:
        """Keep what GET and HEAD of the call's path read, if no action answers them."""
        if self.views is None or call.kept is None:
            return
        if not any(action.method in METHODS for action in at_path):
            self.views.keep_page(call.kept, call.path, page)


def _refusal(gates: Sequence[Gate], call: GuestCall) -> Refusal | None:
    """Return why a gate refuses the call, None if all let it pass."""
    for gate in gates:
        refusal = gate(call)
        if refusal is not None:
            return refusal
    return None


def _page_of(call: GuestCall) -> Page | None:
    """Return the page that the call reads, if it is kept."""
    if call.kept is None or call.query or call.request.method not in METHODS:
        return None
    return call.kept.pages.get(call.path)


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
