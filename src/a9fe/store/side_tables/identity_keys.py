"""The public keys that verify identity documents and tokens. They are not in the change log."""

from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from a9fe.store.schema.columns import METADATA, NAME, TIME

identity_keys = Table(
    "identity_keys",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("host", NAME, nullable=False),
    Column("jwk", JSON, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("expires_at", TIME, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityKey:
    """The public half of a key with which a host's metadata service signs.

    `id` is the key id in tokens, `jwk` the key as in RFC 7517, `certificate` PEM; times are
    ISO 8601 UTC. A revoked key has no certificate, and its row stays until it expires.
    """

    id: str
    host: str
    jwk: dict[str, Any] = field(hash=False)
    certificate: str
    created_at: str
    expires_at: str

    @property
    def is_revoked(self) -> bool:
        """Whether verifiers must reject everything that the key signed."""
        return not self.certificate


class IdentityKeys:
    """Read and write identity keys inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        """Use the transaction of `connection`."""
        self._connection = connection

    def valid(self, now: str) -> list[IdentityKey]:
        """Return the keys that are neither expired at `now` nor revoked, oldest first."""
        query = (
            select(identity_keys)
            .where(identity_keys.c.expires_at > now, identity_keys.c.certificate != "")
            .order_by(identity_keys.c.created_at, identity_keys.c.id)
        )
        return [IdentityKey(**row) for row in self._connection.execute(query).mappings()]

    def publish(self, key: IdentityKey, now: str) -> None:
        """Add or replace a key, and delete the keys that expired before `now`."""
        expired = identity_keys.c.expires_at <= now
        same = identity_keys.c.id == key.id
        self._connection.execute(delete(identity_keys).where(expired | same))
        row = {f.name: getattr(key, f.name) for f in fields(key)}
        self._connection.execute(insert(identity_keys).values(row))

    def get(self, id: str) -> IdentityKey | None:
        """Return the key with this id, also a revoked one."""
        query = select(identity_keys).where(identity_keys.c.id == id)
        row = self._connection.execute(query).mappings().first()
        return IdentityKey(**row) if row else None

    def revoke(self, id: str) -> bool:
        """Revoke a key. Return False if there is no such key or it was revoked before."""
        at = (identity_keys.c.id == id) & (identity_keys.c.certificate != "")
        query = update(identity_keys).where(at).values(certificate="")
        return self._connection.execute(query).rowcount > 0
