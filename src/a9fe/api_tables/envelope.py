"""The envelope of a body: the object with one member, such as {"network": ...}. Pure."""

from a9fe.api_tables.bad_request import BadRequest

NAME_SHOWN_MAX = 100  # characters of a member's name in a message


def shown_name(name: str) -> str:
    """A name that a client gave, on one line and not too long."""
    text = repr(name).strip("'\"")
    return text if len(text) <= NAME_SHOWN_MAX else text[:NAME_SHOWN_MAX] + "..."


def member(document: object, name: str) -> object:
    """The one member of {"network": ...}. Raises BadRequest."""
    expected = f'{{"{name}": ...}}'
    if not isinstance(document, dict) or name not in document:
        raise BadRequest(400, f"The body should be {expected}")
    for other in document:
        if other != name:
            raise BadRequest(400, f"{shown_name(other)}: should not be there, only {expected}")
    return document[name]
