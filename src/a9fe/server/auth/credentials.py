"""Authenticates callers by the token of a request, as auth_strategy says.

none: every caller is admin, and the server listens on loopback only. token: our own API tokens.
keystone: Keystone's tokens for people, our own for agents.
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
TEXT_MAX = 8192  # bytes of a token: more than Keystone's largest (PKI)


class Unauthorized(A9feError):
    """The request has no valid token."""

    status = 401
    type = "Unauthorized"


class IdentityUnavailable(A9feError):
    """Keystone, which validates the tokens, does not answer."""

    status = 503
    type = "ServiceUnavailable"


class Authenticator(Protocol):
    """Authenticates callers. `challenge` is the value of WWW-Authenticate of a 401."""

    challenge: str

    async def caller(self, headers: Headers) -> Caller | None:
        """Return the caller, None without a token. Raises Unauthorized, IdentityUnavailable."""
        ...

    async def unknown(self, shown: Collection[str]) -> frozenset[str]:
        """Return which of these tokens are not valid, or not any more. Raises A9feError."""
        ...


class Everyone:
    """auth_strategy none: every caller is admin, of the project in X-Project-Id."""

    challenge = ""

    async def caller(self, headers: Headers) -> Caller | None:
        """Return an admin. Raises InvalidInput for an invalid project id."""
        project = headers.get("x-project-id", DEFAULT_PROJECT)
        if not 0 < len(project) <= PROJECT_MAX or not fits_header(project):
            expected = f"1 to {PROJECT_MAX} printable ASCII characters"
            raise InvalidInput("X-Project-Id", project, expected)
        return trusted(project)

    async def unknown(self, _shown: Collection[str]) -> frozenset[str]:
        """Return no token: none is needed."""
        return frozenset()


class OwnTokens:
    """Our own API tokens; with `agents_only`, only those of agents."""

    challenge = 'Bearer realm="a9fe"'

    def __init__(self, store: Store, *, agents_only: bool = False) -> None:
        """Each call reads the store, so a revoked token is refused at once."""
        self._store = store
        self._agents_only = agents_only

    async def caller(self, headers: Headers) -> Caller | None:
        """Return the caller, None without a token. Raises Unauthorized."""
        shown = shown_in(headers)
        if shown is None:
            return None
        return await run_in_threadpool(self.known, shown)

    def known(self, shown: str) -> Caller:
        """Return the caller that owns a token. Raises Unauthorized."""
        token = self._found([shown]).get(shown)
        if token is None:
            raise Unauthorized("The token is not known to this server, or was revoked")
        if self._agents_only and token.role != AGENT:
            raise Unauthorized("Only agents have tokens of a9fe here; others have Keystone's")
        return token.caller

    async def unknown(self, shown: Collection[str]) -> frozenset[str]:
        """Return the tokens that are unknown or revoked."""
        found = await run_in_threadpool(self._found, shown)
        return frozenset(shown) - found.keys()

    def _found(self, shown: Collection[str]) -> dict[str, ApiToken]:
        """Return the records of the tokens that are ours, by the token's text."""
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
    """Return the token: X-Auth-Token, else Authorization's Bearer, else Basic's password.

    None if the request has none. Raises Unauthorized if it is not readable.
    """
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
