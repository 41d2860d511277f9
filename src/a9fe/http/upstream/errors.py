"""What can go wrong with an upstream, and which refusal a guest hears of it."""

from typing import ClassVar

from a9fe.model.errors import A9feError
from a9fe.wire.refusals import Refusal


class UpstreamError(A9feError):
    """An upstream gave no answer. `request_id` is that of the request, if it had one."""

    refusal: ClassVar[Refusal] = Refusal.UPSTREAM_BROKEN

    def __init__(self, text: str, request_id: bytes = b"") -> None:
        """`text` says what happened and where, for the operator."""
        super().__init__(text)
        self.request_id = request_id


class UpstreamUnreachable(UpstreamError):
    """Nothing listens there, or not to us."""

    refusal = Refusal.UPSTREAM_UNREACHABLE


class UpstreamBroken(UpstreamError):
    """It closed without an answer, or its answer is no HTTP."""


class UpstreamTimeout(UpstreamError):
    """It did not answer in time."""

    refusal = Refusal.UPSTREAM_TIMEOUT


class UpstreamFull(UpstreamError):
    """As many requests wait there as may."""

    refusal = Refusal.TOO_MANY_WAITERS


class UpstreamOverloaded(UpstreamError):
    """The queue for a connection is full."""

    refusal = Refusal.TOO_MANY_AT_ONCE
