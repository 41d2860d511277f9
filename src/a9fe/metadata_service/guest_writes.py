"""What a guest writes: its password, guest attributes, acknowledgements. The server stores them.

An answer waits until the replica has the change, so that a guest reads its own writes. Writes are
rate-limited here, before they reach the database.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from a9fe.api_client.errors import ApiError, ServerUnreachable
from a9fe.metadata.ec2.guest_leaves import ATTRIBUTES, EVENTS, attributes_on
from a9fe.metadata.openstack import paths as openstack
from a9fe.metadata.rendered import HTML, TEXT
from a9fe.metadata.table import LATEST
from a9fe.metadata.tree import parts_of
from a9fe.metadata_service.guest_actions import ANY, Action
from a9fe.metadata_service.guest_call import GuestCall, Outcome, Result
from a9fe.model.errors import InvalidInput
from a9fe.model.rules import guest as rules_guest
from a9fe.runtime import metrics
from a9fe.wire.limits import WRITES
from a9fe.wire.message import Answer
from a9fe.wire.rate_limit import RateLimiter
from a9fe.wire.refusals import Refusal

log = structlog.get_logger()

REVISION_WITHIN = 5.0  # s; then the guest is answered anyway
PASSWORD_VERSIONS = frozenset(v for v in (*openstack.VERSIONS, LATEST) if v >= "2013-04-04")
ATTRIBUTES_PATH = ("openstack", LATEST, ATTRIBUTES)
REFUSALS = {
    "PasswordExists": Refusal.PASSWORD_IS_SET,
    "GuestAttributesExceeded": Refusal.TOO_MANY_ATTRIBUTES,
    "GuestAttributesOff": Refusal.GUEST_ATTRIBUTES_OFF,
    "EventIsOver": Refusal.EVENT_IS_OVER,
    "InstanceNotFound": Refusal.UNCONFIRMED,  # the replica has it: replica or server is behind
    "GuestAttributeNotFound": Refusal.NO_SUCH_PATH,
    "EventNotFound": Refusal.NO_SUCH_PATH,
}
"""Refusals of the guest's request by the type of the server's error."""


class ServerClient(Protocol):
    """A client of the server: api_client.agent_client.AgentClient."""

    async def call(self, method: str, path: str, body: dict[str, str] | None = None) -> object:
        """Return the JSON of the answer. Raises ApiError or ServerUnreachable."""
        ...


class Revisions(Protocol):
    """The progress of the replica."""

    @property
    def revision(self) -> int:
        """The revision of the last change that it has."""
        ...

    async def wait_change(self, after_revision: int) -> int:
        """Wait until the revision differs from `after_revision`, or the feed is lost."""
        ...


async def wait_for_revision(
    replica: Revisions, revision: int, within: float = REVISION_WITHIN
) -> None:
    """Wait until the replica has `revision`, at most `within` seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while replica.revision < revision:
                await replica.wait_change(replica.revision)


def attributes_enabled(call: GuestCall) -> Refusal | None:
    """Refuse requests for guest attributes where they are off. A Gate."""
    inside = (parts_of(call.path) or ())[: len(ATTRIBUTES_PATH)] == ATTRIBUTES_PATH
    return Refusal.GUEST_ATTRIBUTES_OFF if inside and not attributes_on(call.view) else None


@dataclass(frozen=True, slots=True)
class _Write:
    """A call of the server. `what` is its label in metrics, `content_type` the answer's."""

    what: str
    method: str
    path: str
    body: dict[str, str] | None = None
    content_type: bytes = TEXT


class GuestWrites:
    """The actions by which guests write."""

    def __init__(
        self,
        server: ServerClient,
        wait_for: Callable[[int], Awaitable[None]],
        monotonic: Callable[[], float],
    ) -> None:
        """`wait_for` waits until the replica has a revision of the server."""
        self._server = server
        self._wait_for = wait_for
        self._monotonic = monotonic
        self._limiter = RateLimiter((WRITES,))

    def actions(self) -> tuple[Action, ...]:
        """Return the rows for the service's actions."""
        attribute = (*ATTRIBUTES_PATH, ANY, ANY)
        acknowledge = ("openstack", LATEST, EVENTS, ANY, "acknowledge")
        password = ("openstack", PASSWORD_VERSIONS, "password")
        return (
            Action(method=b"POST", parts=password, run=self.post_password, changes=True),
            Action(method=b"PUT", parts=attribute, run=self.put_attribute, changes=True),
            Action(method=b"DELETE", parts=attribute, run=self.delete_attribute, changes=True),
            Action(method=b"POST", parts=acknowledge, run=self.acknowledge),
        )

    def post_password(self, call: GuestCall) -> Result:
        """Set the password to the body, once. A second one is 409, valid or not (Nova)."""
        try:
            text = rules_guest.password("password", _text(call))
        except InvalidInput:
            has_one = bool(call.view.instance.password)
            return Refusal.PASSWORD_IS_SET if has_one else Refusal.BAD_PASSWORD
        body = {"password": text}
        return self._write(call, _Write("password", "PUT", "password", body, HTML))

    def put_attribute(self, call: GuestCall) -> Result:
        """Set an attribute to the request's body."""
        try:
            path = _attribute(call)
            value = rules_guest.attribute_value("value", _text(call))
        except InvalidInput:
            return Refusal.BAD_ATTRIBUTE
        return self._write(call, _Write("attribute", "PUT", path, {"value": value}))

    def delete_attribute(self, call: GuestCall) -> Result:
        """Delete an attribute."""
        try:
            path = _attribute(call)
        except InvalidInput:
            return Refusal.NO_SUCH_PATH
        return self._write(call, _Write("attribute", "DELETE", path))

    def acknowledge(self, call: GuestCall) -> Result:
        """Acknowledge a scheduled event."""
        id = (parts_of(call.path) or ())[3]
        try:
            rules_guest.attribute_name("event", id)
        except InvalidInput:
            return Refusal.NO_SUCH_PATH
        return self._write(call, _Write("acknowledgement", "POST", f"{EVENTS}/{id}/acknowledge"))

    def _write(self, call: GuestCall, write: _Write) -> Result:
        instance_id = call.view.instance.id
        if self._limiter.wait((instance_id, ""), self._monotonic()):
            return Refusal.TOO_MANY_WRITES
        return self._send(f"/a9fe/v1/instances/{instance_id}/{write.path}", write)

    async def _send(self, path: str, write: _Write) -> Outcome:
        try:
            answer = await self._server.call(write.method, path, write.body)
        except ServerUnreachable as error:
            log.warning("guest write not stored", what=write.what, reason=str(error))
            return Refusal.SERVER_AWAY
        except ApiError as error:
            return _refusal(error, write)
        revision = answer.get("revision") if isinstance(answer, dict) else None
        if isinstance(revision, int):
            await self._wait_for(revision)
        metrics.GUEST_WRITES.labels(write.what).inc()
        return Answer(status=200, headers=((b"content-type", write.content_type),))


def _refusal(error: ApiError, write: _Write) -> Refusal:
    known = REFUSALS.get(error.type)
    if known is not None:
        return known
    log.warning("guest write not stored", what=write.what, reason=str(error))
    return Refusal.SERVER_AWAY


def _text(call: GuestCall) -> str | None:
    try:
        return call.request.body.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _attribute(call: GuestCall) -> str:
    """Return the attribute's path at the server. Raises InvalidInput."""
    *_, namespace, key = parts_of(call.path) or ()
    rules_guest.attribute_name("namespace", namespace)
    rules_guest.attribute_name("key", key)
    return f"{ATTRIBUTES}/{namespace}/{key}"
