"""`a9fe identity`: the identity keys of hosts, and the verification of identity tokens."""

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
    """Signed identities, with which guests prove to other services which VM they are.

    \b
    a9fe identity keys
    a9fe identity verify TOKEN --audience vault.example.org
    """


@identity.command("keys")
@resource.json_flag
@client_flags
def keys(*, as_json: bool) -> None:
    """List the keys with which hosts sign identities.

    \b
    a9fe identity keys --json
    """
    with resource.connect() as api:
        found: Documents = api.call("GET", f"{BASE}/keys").get("keys", [])
    if as_json:
        print_json(found)
    else:
        rows = [tuple(key.get(name) for name in COLUMNS) for key in found]
        print_table(("Key id", "Host", "Created at", "Expires at"), rows)


class _TakesKeyIds(click.Command):
    """A command whose arguments are key ids, one in 64 of which begins with a dash (RFC 7638)."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move key ids with a dash behind `--`, so that click does not read them as options."""
        ids = [word for word in args if word.startswith("-") and jwk.KEY_ID.fullmatch(word)]
        rest = [word for word in args if word not in ids]
        return super().parse_args(ctx, [*rest, "--", *ids] if ids else args)


@identity.command("revoke", cls=_TakesKeyIds)
@click.argument("kids", nargs=-1, required=True, metavar="KID...")
@client_flags
def revoke(kids: tuple[str, ...]) -> None:
    """Revoke identity keys: verifiers reject all that they signed. The host makes a new key.

    If the host is compromised, first revoke its API token: `a9fe token revoke`.

    \b
    a9fe identity revoke NrzM_wyC5AEbhjvPJskk9FxJzA6lckJbQ4iu824_jAk
    """
    with resource.connect() as api:
        for kid in kids:
            if not jwk.KEY_ID.fullmatch(kid):
                expected = "a key id from `a9fe identity keys`"
                raise click.BadParameter(f"{kid!r} is not valid, expected {expected}")
            api.call("DELETE", f"{BASE}/keys/{kid}")
            click.echo(f"identity key {kid}: revoked")


@identity.command("verify")
@click.argument("token", metavar="TOKEN")
@click.option("--audience", required=True, help="The audience that the token must have.")
@client_flags
def verify(token: str, audience: str) -> None:
    """Verify a guest's identity token as a relying party does, and print its claims as JSON.

    With TOKEN -, the token is read from standard input.

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
        raise InvalidToken(f"no host has the key {given.kid[:64]!r}")
    modulus, exponent = jwk.numbers_of(key)
    public = RSAPublicNumbers(exponent, modulus).public_key()
    try:
        public.verify(given.signature, given.signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise InvalidToken("its signature does not match its content") from error
