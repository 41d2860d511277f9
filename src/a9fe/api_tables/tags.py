"""Tags in requests (Neutron's standard-attr-tag)."""

from collections.abc import Collection

from a9fe.api_tables import converters as to
from a9fe.api_tables.envelope import member
from a9fe.model.errors import InvalidInput

TAG_MAX = 255  # characters
TAGS_MAX = 50  # of one resource


def tag(field: str, value: object) -> str:
    """Read a tag: text without a comma, as commas separate tags in filters."""
    expected = f"text of 1 to {TAG_MAX} characters without a comma"
    if not isinstance(value, str) or not 0 < len(value) <= TAG_MAX:
        raise InvalidInput(field, value, expected)
    if "," in value or "\0" in value:
        raise InvalidInput(field, value, expected)
    return value


_TAGS = to.list_of(tag)


def read_tags(document: object) -> frozenset[str]:
    """Read the body {"tags": [...]}. Raises BadRequest or InvalidInput."""
    tags = frozenset(_TAGS("tags", member(document, "tags")))
    check_number(tags)
    return tags


def check_number(tags: Collection[str]) -> None:
    """Raise InvalidInput for more tags than a resource may have."""
    if len(tags) > TAGS_MAX:
        raise InvalidInput("tags", f"{len(tags)} tags", f"at most {TAGS_MAX}")
