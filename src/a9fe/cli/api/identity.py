"""`a9fe identity`: the keys that hosts sign for guests with, and whether a token is good."""

import sys

import click
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from a9fe.api_client.client import Document, Documents
from a9fe.cli.api import resource
from a9fe.cli.flags import client_flags
from a9fe.cli.output import print_json, print_table
from a9fe.metadata.identity.jwt import TOKEN_MAX, InvalidToken, UnverifiedToken, check, parse
from a9fe.model import jwk
from a9fe.model.errors import A9feError
from a9fe.runtime.clock import SystemClock

BASE = "/a9fe/v1/identity"
COLUMNS = ("kid", "host", "created_at", "expires_at")


@click.group()
def identity() -> None:
    """Signed identities: what guests show others to prove who they are.

    \b
    a9fe identity keys
    a9fe identity verify TOKEN --audience vault.example.org
    """


@identity.command("keys")
@resource.json_flag
@client_flags
def keys(*, as_json: bool) -> None:
    """List the keys that hosts sign with.

    \b
    a9fe identity keys --json
    """
    with resource.connect() as api:
        found: Documents = api.call("GET", f"{BASE}/keys").get("keys", [])
    if as_json:
        print_json(found)
    else:
        rows = [tuple(key.get(name) for name in COLUMNS) for key in found]
        print_table(("Key id", "Host", "Made at", "Expires at"), rows)


class _TakesKeyIds(click.Command):
    """A command whose arguments may begin with a dash, as one in 64 key ids does (RFC 7638)."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move such ids behind `--`, so that click does not read them as options."""
        ids = [word for word in args if word.startswith("-") and jwk.KEY_ID.fullmatch(word)]
        rest = [word for word in args if word not in ids]
        return super().parse_args(ctx, [*rest, "--", *ids] if ids else args)


@identity.command("revoke", cls=_TakesKeyIds)
@click.argument("kids", nargs=-1, required=True, metavar="KID...")
@client_flags
def revoke(kids: tuple[str, ...]) -> None:
    """Let nothing be believed that was signed with a key. Its host makes another one.

    Revoke the token of a host that is not to be trusted first: `a9fe token revoke`.

    \b
    a9fe identity revoke NrzM_wyC5AEbhjvPJskk9FxJzA6lckJbQ4iu824_jAk
    """
    with resource.connect() as api:
        for kid in kids:
            if not jwk.KEY_ID.fullmatch(kid):
                raise click.BadParameter(f"{kid!r} is not valid, expected a key id of the list")
            api.call("DELETE", f"{BASE}/keys/{kid}")
            click.echo(f"identity key {kid}: revoked")


@identity.command("verify")
@click.argument("token", metavar="TOKEN")
@click.option("--audience", required=True, help="For whom it must be.")
@client_flags
def verify(token: str, audience: str) -> None:
    """Verify a guest's token as a relying party would, and print its claims as JSON.

    TOKEN is - to read it from standard input.

    \b
    a9fe identity verify - --audience vault.example.org <token.jwt
    """
    text = sys.stdin.read(TOKEN_MAX + 1) if token == "-" else token  # noqa: S105 - no secret
    with resource.connect() as api:
        issuer = str(api.call("GET", "/.well-known/openid-configuration").get("issuer", ""))
        published: Documents = api.call("GET", f"{BASE}/jwks").get("keys", [])
    try:
        given = parse(text.strip())
        _check_signature(given, published)
        check(given.claims, issuer=issuer, audience=audience, now=SystemClock().now())
    except InvalidToken as error:
        raise A9feError(f"the token is not valid: {error}") from error
    print_json(given.claims)


def _check_signature(given: UnverifiedToken, published: Documents) -> None:
    key: Document | None = next((k for k in published if k.get("kid") == given.kid), None)
    if key is None:
        raise InvalidToken(f"no host signs with a key {given.kid[:64]!r}")
    modulus, exponent = jwk.numbers_of(key)
    public = RSAPublicNumbers(exponent, modulus).public_key()
    try:
        public.verify(given.signature, given.signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise InvalidToken("its signature is not that of its content") from error
