"""Keys that sign identities, and who asks without a token: no part of the model that agents
follow, so without rows in the change log."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
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

from a9fe.model.guest import MetadataOptions
from a9fe.model.usage import Usage
from a9fe.store.schema.columns import ID, METADATA, NAME, TIME
from a9fe.store.schema.tables import instances

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

imds_usage = Table(
    "imds_usage",
    METADATA,
    Column("instance_id", ID, primary_key=True),
    Column("v1_requests", BigInteger, nullable=False),
    Column("v2_requests", BigInteger, nullable=False),
    Column("v1_last_at", TIME, nullable=False),
    Column("v2_last_at", TIME, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityKey:
    """The public half of a key that a metadata service signs with.

    `id` is the key id in tokens, `jwk` as RFC 7517 has it, `certificate` PEM; times ISO 8601 UTC.
    One that was revoked has no certificate, and is known until it expires.
    """

    id: str
    host: str
    jwk: dict[str, Any] = field(hash=False)
    certificate: str
    created_at: str
    expires_at: str

    @property
    def is_revoked(self) -> bool:
        """Whether nothing that it signed is to be believed."""
        return not self.certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageOf:
    """What was counted of an instance, and which instance it is."""

    usage: Usage
    name: str
    project_id: str
    options: MetadataOptions


def _row(value: IdentityKey | Usage) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)}


class Guests:
    """Both, inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        """Nothing is read before it is asked for."""
        self._connection = connection

    def keys(self, now: str) -> list[IdentityKey]:
        """The keys that have not expired at `now` and are not revoked, oldest first."""
        query = (
            select(identity_keys)
            .where(identity_keys.c.expires_at > now, identity_keys.c.certificate != "")
            .order_by(identity_keys.c.created_at, identity_keys.c.id)
        )
        return [IdentityKey(**row) for row in self._connection.execute(query).mappings()]

    def add_key(self, key: IdentityKey, now: str) -> None:
        """Publish a key, or say the same again; forget those that expired before `now`."""
        expired = identity_keys.c.expires_at <= now
        same = identity_keys.c.id == key.id
        self._connection.execute(delete(identity_keys).where(expired | same))
        self._connection.execute(insert(identity_keys).values(_row(key)))

    def key(self, id: str) -> IdentityKey | None:
        """The key of that id."""
        query = select(identity_keys).where(identity_keys.c.id == id)
        row = self._connection.execute(query).mappings().first()
        return IdentityKey(**row) if row else None

    def revoke_key(self, id: str) -> bool:
        """Publish a key no longer; False if there is none of that id, or it was revoked before."""
        at = (identity_keys.c.id == id) & (identity_keys.c.certificate != "")
        query = update(identity_keys).where(at).values(certificate="")
        return self._connection.execute(query).rowcount > 0

    def usage(self, project_id: str | None = None) -> list[UsageOf]:
        """What was counted, of one project's instances or of all, by instance."""
        columns = [instances.c[name] for name in ("name", "project_id", "metadata_options")]
        query = (
            select(*imds_usage.c, *columns)
            .join(instances, instances.c.id == imds_usage.c.instance_id)
            .order_by(imds_usage.c.instance_id)
        )
        if project_id is not None:
            query = query.where(instances.c.project_id == project_id)
        return [_usage_of(row) for row in self._connection.execute(query)]

    def there(self, instance_ids: Collection[str]) -> frozenset[str]:
        """Those of the instances that exist."""
        query = select(instances.c.id).where(instances.c.id.in_(instance_ids))
        return frozenset(self._connection.scalars(query))

    def count(self, more: Iterable[Usage]) -> None:
        """Add to what was counted; nothing is kept of instances that are not there."""
        wanted = {one.instance_id: one for one in more}
        there = self.there(wanted.keys())
        query_known = select(imds_usage).where(imds_usage.c.instance_id.in_(there))
        known = {
            row["instance_id"]: Usage(**row)
            for row in self._connection.execute(query_known).mappings()
        }
        for id in sorted(there):
            if id in known:
                at = imds_usage.c.instance_id == id
                values = _row(known[id].plus(wanted[id]))
                self._connection.execute(update(imds_usage).where(at).values(values))
            else:
                self._connection.execute(insert(imds_usage).values(_row(wanted[id])))

    def forget(self, instance_id: str) -> None:
        """Forget an instance's counts."""
        at = imds_usage.c.instance_id == instance_id
        self._connection.execute(delete(imds_usage).where(at))


def _usage_of(row: Any) -> UsageOf:  # noqa: ANN401 - a row of SQLAlchemy's
    return UsageOf(
        usage=Usage(**{f.name: getattr(row, f.name) for f in fields(Usage)}),
        name=row.name,
        project_id=row.project_id,
        options=MetadataOptions(**row.metadata_options),
    )
