"""Who calls: what a request shows of itself, and the ways of knowing whose that is.

none: everyone is trusted, and the server listens on loopback only. token: tokens of our own.
keystone: Keystone's tokens for people, and ours for agents.
"""

import base64
import binascii
from collections.abc import Collection
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from a9fe.model import api_tokens as tokens
from a9fe.model.api_tokens import ApiToken
from a9fe.model.errors import A9feError, InvalidInput
from a9fe.model.policy import AGENT, DEFAULT_PROJECT, Caller, trusted
from a9fe.model.rules.text import fits_header
from a9fe.store import Store

TOKEN, KEYSTONE = "token", "keystone"
PROJECT_MAX = 255
TEXT_MAX = 8192  # bytes of a token: Keystone's largest, PKI ones, are below


class Unauthorized(A9feError):
    """The request has no valid token."""

    status = 401
    type = "Unauthorized"


class IdentityUnavailable(A9feError):
    """Keystone, which validates the tokens, does not answer."""

    status = 503
    type = "ServiceUnavailable"


class Authenticator(Protocol):
    """A way of knowing callers. `challenge` is what WWW-Authenticate says with a 401."""

    challenge: str

    async def caller(self, headers: Headers) -> Caller | None:
        """Who it is; None: nothing was shown. Raises Unauthorized, IdentityUnavailable."""
        ...

    async def unknown(self, shown: Collection[str]) -> frozenset[str]:
        """Those of these tokens that are nobody's, or not any more. Raises A9feError."""
        ...


class Everyone:
    """Everyone is admin, of the project that X-Project-Id names."""

    challenge = ""

    async def caller(self, headers: Headers) -> Caller | None:
        """Raises InvalidInput for a project that cannot be."""
        project = headers.get("x-project-id", DEFAULT_PROJECT)
        if not 0 < len(project) <= PROJECT_MAX or not fits_header(project):
            expected = f"1 to {PROJECT_MAX} printable ASCII characters"
            raise InvalidInput("X-Project-Id", project, expected)
        return trusted(project)

    async def unknown(self, _shown: Collection[str]) -> frozenset[str]:
        """None: nobody needs a token."""
        return frozenset()


class OwnTokens:
    """Tokens of our own; with `agents_only` no others than agents'."""

    challenge = 'Bearer realm="a9fe"'

    def __init__(self, store: Store, *, agents_only: bool = False) -> None:
        """Each call asks the store, so that a token is of no use once it is revoked."""
        self._store = store
        self._agents_only = agents_only

    async def caller(self, headers: Headers) -> Caller | None:
        """Raises Unauthorized."""
        shown = shown_in(headers)
        if shown is None:
            return None
        return await run_in_threadpool(self.known, shown)

    def known(self, shown: str) -> Caller:
        """Whose token it is. Raises Unauthorized."""
        token = self._found([shown]).get(shown)
        if token is None:
            raise Unauthorized("The token is not one of this server's, or was revoked")
        if self._agents_only and token.role != AGENT:
            raise Unauthorized("Only agents have tokens of a9fe here; others have Keystone's")
        return token.caller

    async def unknown(self, shown: Collection[str]) -> frozenset[str]:
        """Those that were revoked."""
        found = await run_in_threadpool(self._found, shown)
        return frozenset(shown) - found.keys()

    def _found(self, shown: Collection[str]) -> dict[str, ApiToken]:
        """What is kept of each of those that are ours."""
        ids = {text: id for text in shown if (id := tokens.id_of(text))}
        if not ids:
            return {}
        with self._store.read() as session:
            kept = {token.id: token for token in session.api_tokens.get_many(ids.values())}
        return {
            text: kept[id]
            for text, id in ids.items()
            if id in kept and tokens.matches(kept[id], text)
        }


def shown_in(headers: Headers) -> str | None:
    """The token: X-Auth-Token, or Authorization's Bearer, or Basic's password."""
    text = headers.get("x-auth-token") or _authorization(headers.get("authorization", ""))
    if text is None:
        return None
    if len(text) > TEXT_MAX or not text.isascii() or not text.isprintable():
        raise Unauthorized("The token is not readable")
    return text


def _authorization(header: str) -> str | None:
    scheme, _, value = header.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip() or None
        case "basic":
            return _password(value.strip())
        case _:
            return None


def _password(text: str) -> str:
    try:
        name, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unauthorized("Authorization: Basic is not readable") from error
    return password if colon else name
