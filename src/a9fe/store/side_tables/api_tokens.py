"""The API tokens that this server issued, of which only hashes are stored."""

from collections.abc import Iterable

from sqlalchemy import Column, Connection, String, Table, delete, insert, select

from a9fe.model.api_tokens import ApiToken
from a9fe.model.errors import NotFound
from a9fe.store.schema.columns import METADATA, NAME, TIME
from a9fe.store.schema.queries import IN_CHUNK

tokens = Table(
    "tokens",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("project_id", NAME, nullable=False),
    Column("role", String(16), nullable=False),
    Column("host", NAME, nullable=False),
    Column("description", NAME, nullable=False),
    Column("created_at", TIME, nullable=False),
)


class ApiTokens:
    """Read and write API tokens inside a transaction."""

    def __init__(self, connection: Connection, now: str) -> None:
        """`now` is the time of the transaction, ISO 8601 UTC."""
        self._connection = connection
        self._now = now

    def get(self, id: str) -> ApiToken | None:
        """Return the token with this id, or None."""
        return next(iter(self.get_many([id])), None)

    def get_many(self, ids: Iterable[str]) -> list[ApiToken]:
        """Return the tokens with these ids."""
        wanted = sorted(ids)
        chunks = (wanted[start : start + IN_CHUNK] for start in range(0, len(wanted), IN_CHUNK))
        queries = (select(tokens).where(tokens.c.id.in_(chunk)) for chunk in chunks)
        return [ApiToken(**row) for q in queries for row in self._connection.execute(q).mappings()]

    def all(self) -> list[ApiToken]:
        """Return all tokens, oldest first."""
        query = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
        return [ApiToken(**row) for row in self._connection.execute(query).mappings()]

    def add(self, token: ApiToken) -> None:
        """Store a token."""
        row = {name: getattr(token, name) for name in tokens.c.keys()}  # noqa: SIM118 - not a dict
        row["created_at"] = self._now
        self._connection.execute(insert(tokens).values(row))

    def remove(self, id: str) -> None:
        """Delete a token, which revokes it. Raises NotFound."""
        result = self._connection.execute(delete(tokens).where(tokens.c.id == id))
        if not result.rowcount:
            raise NotFound("token", id)

    def replace(self, description: str, wanted: Iterable[ApiToken]) -> None:
        """Replace all tokens with this description."""
        self._connection.execute(delete(tokens).where(tokens.c.description == description))
        for token in wanted:
            self.add(token)
