"""The tags of Neutron's resources."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, delete, insert, select

from a9fe.store.schema.queries import IN_CHUNK
from a9fe.store.schema.tables import tags

_TAGS = select(tags.c.object_id, tags.c.tag).order_by(tags.c.tag)
_TAGS_OF_ONE = _TAGS.where(tags.c.object_id == bindparam("of_id"))
_TAGS_OF = _TAGS.where(tags.c.object_id.in_(bindparam("ids", expanding=True)))
_UNTAG = delete(tags).where(tags.c.object_id == bindparam("of_id"))
_TAG = insert(tags)


class Tags:
    """Read and write tags by the resources' ids, inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        """Use the transaction of `connection`."""
        self._connection = connection

    def of(self, ids: Iterable[str]) -> Mapping[str, list[str]]:
        """Return the sorted tags of each id; an id without tags is absent."""
        found: dict[str, list[str]] = defaultdict(list)
        wanted = list(ids)
        for start in range(0, len(wanted), IN_CHUNK):
            chunk = wanted[start : start + IN_CHUNK]
            if len(chunk) == 1:
                rows = self._connection.execute(_TAGS_OF_ONE, {"of_id": chunk[0]})
            else:
                rows = self._connection.execute(_TAGS_OF, {"ids": chunk})
            for object_id, tag in rows:
                found[object_id].append(tag)
        return found

    def replace(self, id: str, wanted: Iterable[str]) -> None:
        """Replace all tags of a resource."""
        self._connection.execute(_UNTAG, {"of_id": id})
        rows = [{"object_id": id, "tag": tag} for tag in sorted(set(wanted))]
        if rows:
            self._connection.execute(_TAG, rows)
