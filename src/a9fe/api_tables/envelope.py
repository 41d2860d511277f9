"""The envelope of a body: an object with one member, such as {"network": ...}."""

from a9fe.api_tables.bad_request import BadRequest

NAME_SHOWN_MAX = 100  # characters of a member's name in a message


def shown_name(name: str) -> str:
    """Return a client's name of a member, on one line and shortened."""
    text = repr(name).strip("'\"")
    return text if len(text) <= NAME_SHOWN_MAX else text[:NAME_SHOWN_MAX] + "..."


def member(document: object, name: str) -> object:
    """Return the only member of {"network": ...}. Raises BadRequest."""
    expected = f'{{"{name}": ...}}'
    if not isinstance(document, dict) or name not in document:
        raise BadRequest(400, f"The body should be {expected}")
    for other in document:
        if other != name:
            raise BadRequest(400, f"{shown_name(other)}: should not be there, only {expected}")
    return document[name]
