"""Errors of an upstream, each with the refusal that the guest gets."""

import ssl
from typing import ClassVar

from a9fe.model.errors import A9feError
from a9fe.wire.refusals import Refusal


class UpstreamError(A9feError):
    """An upstream gave no answer. `request_id` is b"" if the request had none."""

    refusal: ClassVar[Refusal] = Refusal.UPSTREAM_BROKEN

    def __init__(self, text: str, request_id: bytes = b"") -> None:
        """`text` is for the operator: what happened, and where."""
        super().__init__(text)
        self.request_id = request_id


class UpstreamUnreachable(UpstreamError):
    """No connection could be made."""

    refusal = Refusal.UPSTREAM_UNREACHABLE


class UpstreamUntrusted(UpstreamError):
    """The TLS handshake failed: a certificate is not trusted, on either side."""

    refusal = Refusal.UPSTREAM_UNTRUSTED


class UpstreamBroken(UpstreamError):
    """It closed without an answer, or its answer is not HTTP."""


class UpstreamTimeout(UpstreamError):
    """The request was sent, and not answered in time."""

    refusal = Refusal.UPSTREAM_TIMEOUT


class UpstreamFull(UpstreamError):
    """Too many requests wait for a change there."""

    refusal = Refusal.TOO_MANY_WAITERS


class UpstreamOverloaded(UpstreamError):
    """The queue for a connection is full."""

    refusal = Refusal.TOO_MANY_AT_ONCE


def reason_of(error: BaseException) -> str:
    """Return why a connection failed, for the operator."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"TLS: {error.reason.lower().replace('_', ' ')}"
    return getattr(error, "strerror", None) or str(error) or "no connection in time"
