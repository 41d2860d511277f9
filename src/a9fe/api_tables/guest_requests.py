"""Requests about an instance's guest: metadata options, files, key pairs and events."""

import base64
import binascii
from dataclasses import dataclass

from a9fe.api_tables import converters as to
from a9fe.api_tables import schemas
from a9fe.api_tables.model_values import keypair
from a9fe.model.errors import InvalidInput
from a9fe.model.guest import (
    EVENT_CODES,
    GUEST_ATTRIBUTES,
    HTTP_TOKENS,
    InjectedFile,
    MetadataOptions,
)
from a9fe.model.resources import Keypair
from a9fe.model.rules import guest as rules_guest

HOP_LIMIT_MAX = 64  # EC2's
REQUIRED_AFTER_MAX = 10 * 365 * 86400  # seconds
FILES_MAX = 5  # Nova's default quotas: files, bytes of a path, bytes of a file
FILE_PATH_MAX = 255
FILE_CONTENT_MAX = 10240
KEYPAIRS_MAX = 20  # of one instance
KEYPAIRS_BYTES_MAX = 64 * 1024  # bytes of their public keys, about the bound of user data
_KEYPAIRS = to.list_of(keypair, KEYPAIRS_MAX)

EVENT: dict[str, to.Converter] = {
    "code": to.choice(*EVENT_CODES),
    "description": to.string(),
    "not_before": rules_guest.event_time,
    "not_after": rules_guest.event_time,
}
"""Members of a new event; only the code is required."""
EVENT_END = to.choice("completed", "canceled")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """A scheduled event to announce to a guest, as model.guest.ScheduledEvent has it."""

    code: str
    description: str = ""
    not_before: str = ""
    not_after: str = ""


def new_event(field: str, value: object) -> NewEvent:
    """Read an event to announce: an object with the members of EVENT."""
    given = to.only_members(field, value, EVENT, optional=EVENT.keys() - {"code"})
    return NewEvent(**{name: EVENT[name](name, given[name]) for name in given})


def event_end(field: str, value: object) -> str:
    """Read how an event ended: {"state": "completed"} or {"state": "canceled"}."""
    state: str = EVENT_END("state", to.only_members(field, value, ("state",))["state"])
    return state


OPTIONS: dict[str, to.Converter] = {
    "http_tokens": to.choice("", *HTTP_TOKENS),
    "http_tokens_required_after": to.nullable(to.integer(0, REQUIRED_AFTER_MAX)),
    "http_put_response_hop_limit": to.integer(0, HOP_LIMIT_MAX),
    "guest_attributes": to.choice("", *GUEST_ATTRIBUTES),
}


def metadata_options(field: str, value: object) -> MetadataOptions:
    """Read any of OPTIONS; an option that is not given follows the server's configuration."""
    given = to.only_members(field, value, OPTIONS, optional=OPTIONS)
    return MetadataOptions(**{n: OPTIONS[n](f"{field}.{n}", given[n]) for n in given})


def injected_file(field: str, value: object) -> InjectedFile:
    """Read {"path", "contents"}: an absolute path, and base64 (Nova's personality)."""
    given = to.only_members(field, value, ("path", "contents"))
    path = to.string(FILE_PATH_MAX, minimum=2)(f"{field}.path", given["path"])
    if not path.startswith("/") or not path.isprintable():
        raise InvalidInput(f"{field}.path", path, "an absolute path in printable text")
    expected = f"base64 of at most {FILE_CONTENT_MAX} bytes"
    try:
        content = base64.b64decode(str(given["contents"]), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(f"{field}.contents", given["contents"], expected) from error
    if len(content) > FILE_CONTENT_MAX:
        raise InvalidInput(f"{field}.contents", f"{len(content)} bytes", expected)
    return InjectedFile(path=path, content=content)


def keypairs(field: str, value: object) -> tuple[Keypair, ...]:
    """Read the key pairs of an instance; their total size is bounded, as documents repeat them."""
    found: tuple[Keypair, ...] = _KEYPAIRS(field, value)
    size = sum(len(one.public_key.encode()) for one in found)
    if size > KEYPAIRS_BYTES_MAX:
        expected = f"at most {KEYPAIRS_BYTES_MAX} bytes of public keys together"
        raise InvalidInput(field, f"{size} bytes", expected)
    return found


def shown_file(file: InjectedFile) -> dict[str, str]:
    """Return the file as answers show it."""
    return {"path": file.path, "contents": base64.b64encode(file.content).decode("ascii")}


schemas.described(
    metadata_options,
    schemas.members(
        optional=tuple(OPTIONS), **{n: schemas.taken_by(c) for n, c in OPTIONS.items()}
    ),
)
schemas.described(
    injected_file,
    schemas.members(
        path={"type": "string", "pattern": "^/[ -~]+$", "maxLength": FILE_PATH_MAX},
        contents={"type": "string", "format": "byte"},
    ),
)
schemas.described(keypairs, schemas.taken_by(_KEYPAIRS))
schemas.described(
    rules_guest.event_time, {"type": ["string", "null"], "examples": ["2026-11-22T15:00:00Z"]}
)
