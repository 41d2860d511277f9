"""IMDSv2: the actions that issue tokens to guests, and the gate that checks them.

EC2's contract: PUT /latest/api/token with a time to live, then the token in a header of each
request. A token that is sent must be valid; the instance's mode decides whether one is required.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from a9fe.metadata.imds_tokens import OFF, REQUIRED, Holder, Tokens, hop_limit_of, mode_of, ttl_of
from a9fe.metadata.tree import parts_of
from a9fe.metadata_service.guest_actions import VERSION, Action
from a9fe.metadata_service.guest_call import GuestCall, Outcome
from a9fe.model.guest import MetadataOptions
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal

# EC2's names, and Firecracker's names for the same headers.
TOKEN = (b"x-aws-ec2-metadata-token", b"x-metadata-token")
TTL = (b"x-aws-ec2-metadata-token-ttl-seconds", b"x-metadata-token-ttl-seconds")
PATH = ("latest", "api", "token")
TEXT = (b"content-type", b"text/plain")

Count = Callable[[GuestCall, int], None]
"""Called with each request of an instance: version 1, without a token, or 2."""


def uncounted(_: GuestCall, __: int) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGate:
    """Actions and gate. `options` are the cloud's; an instance's own options come first."""

    tokens: Tokens
    options: MetadataOptions = field(default_factory=lambda: MetadataOptions(http_tokens=OFF))
    count: Count = uncounted

    @property
    def actions(self) -> tuple[Action, ...]:
        """Return the rows for the service's actions."""
        return (
            Action(method=b"PUT", parts=PATH, run=self.issue, ungated=True),
            Action(method=b"PUT", parts=(VERSION, *PATH[1:]), run=self.refuse_dated, ungated=True),
        )

    def issue(self, call: GuestCall) -> Outcome:
        """Return a token, or a refusal."""
        self._count(call, 2)
        if call.origin.is_forwarded:
            return Refusal.FORWARDED
        if self._mode(call) == OFF:
            return Refusal.TOKENS_OFF
        requested = _headers(call.request, TTL)
        ttl = ttl_of(requested[0][1]) if len(requested) == 1 else None
        if ttl is None:
            return Refusal.TOKEN_TTL
        token = self.tokens.issue(_holder(call), ttl, call.now)
        return Answer(
            status=200,
            headers=(TEXT, (requested[0][0], b"%d" % ttl)),
            body=token,
            hop_limit=hop_limit_of(call.view.instance, self.options),
        )

    def refuse_dated(self, call: GuestCall) -> Outcome:
        """Refuse a token at a dated version: EC2 issues them at `latest` only."""
        self._count(call, 2)
        return Refusal.TOKEN_DATED

    def gate(self, call: GuestCall) -> Refusal | None:
        """Return why the call is refused, None if it may go on. Counts the call."""
        shown = [pair for pair in call.request.headers if pair[0] in TOKEN]
        self._count(call, 2 if shown else 1)
        mode = self._mode(call)
        if mode == OFF:
            return None
        if not shown:
            needed = mode == REQUIRED and parts_of(call.path) != PATH  # its action answers 405
            return Refusal.NO_TOKEN if needed else None
        if len(shown) > 1 or self.tokens.check(shown[0][1], _holder(call), call.now):
            return Refusal.BAD_TOKEN
        return None

    def _count(self, call: GuestCall, version: int) -> None:
        """Count the call, unless it is an operator's probe (wait-ready)."""
        if not call.origin.is_probe:
            self.count(call, version)

    def _mode(self, call: GuestCall) -> str:
        return mode_of(call.view.instance, self.options, call.now)


def _headers(request: Request, names: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    return [pair for pair in request.headers if pair[0] in names]


def _holder(call: GuestCall) -> Holder:
    return Holder(instance_id=call.view.instance.id, port_id=call.port_id)
