"""The attribute tables of flavors, images and key pairs in a9fe's own API."""

import re

from a9fe.api_tables import converters as to
from a9fe.api_tables import schemas
from a9fe.api_tables.attributes import Attribute, AttributeTable, computed, read_only, stored
from a9fe.api_tables.schemas import described
from a9fe.model.errors import InvalidInput
from a9fe.model.rules.public_keys import fingerprint, key_bytes

FLAVOR_ID_MAX = 64
SIZE_MAX = 2**31 - 1  # of Nova's integers
_FLAVOR_ID = re.compile(r"[\w.\- ]+")
_KEY_TYPES = ("ssh", "x509")
VISIBILITIES = ("public", "private", "shared", "community")


def flavor_id(field: str, value: object) -> str:
    """Return a flavor's id: short text, as Nova's flavorid."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _FLAVOR_ID.fullmatch(text) or text != text.strip() or len(text) > FLAVOR_ID_MAX:
        expected = f"1 to {FLAVOR_ID_MAX} letters, digits, blanks and .-_"
        raise InvalidInput(field, value, expected)
    return text


def visible_name(field: str, value: object) -> str:
    """Return a name that is not blank, without blanks at its ends (Nova)."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > to.NAME_MAX or not text.isprintable():
        raise InvalidInput(field, value, f"printable text of 1 to {to.NAME_MAX} characters")
    return text


def public_key(field: str, value: object) -> str:
    """Return an OpenSSH public key on one line, or an X.509 certificate in PEM."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > to.PUBLIC_KEY_MAX or key_bytes(text) is None:
        expected = "an OpenSSH public key on one line, or a certificate in PEM"
        raise InvalidInput(field, value, expected)
    return text


described(flavor_id, schemas.text_of(FLAVOR_ID_MAX, pattern=r"^[A-Za-z0-9_.\-]+$"))
described(visible_name, schemas.text_of(to.NAME_MAX))
described(public_key, schemas.text_of(to.PUBLIC_KEY_MAX))


def _stamps() -> tuple[Attribute, ...]:
    return (read_only("revision_number"), read_only("created_at"), read_only("updated_at"))


def _owner() -> tuple[Attribute, ...]:
    return (
        stored("project_id", to.header_text(minimum=1), "C"),
        computed("tenant_id", lambda record, _: record.project_id),
    )


FLAVOR = AttributeTable(
    kind="flavor",
    plural="flavors",
    attributes=(
        stored("id", flavor_id, "C"),
        stored("name", visible_name, "CR", default=""),
        stored("vcpus", to.integer(1, SIZE_MAX), "C", default=1),
        stored("ram", to.integer(1, SIZE_MAX), "C", default=512),
        stored("disk", to.integer(0, SIZE_MAX), "C", default=0),
        stored("ephemeral", to.integer(0, SIZE_MAX), "C", default=0),
        stored("swap", to.integer(0, SIZE_MAX), "C", default=0),
        stored("is_public", to.boolean, "C", default=True),
        stored("description", to.string(), default=""),
        stored("extra_specs", to.string_map, default={}),
        *_stamps(),
    ),
)

IMAGE = AttributeTable(
    kind="image",
    plural="images",
    attributes=(
        stored("id", to.identifier, "C"),
        stored("name", to.one_line(), default=""),
        *_owner(),
        stored("visibility", to.choice(*VISIBILITIES), default="shared"),
        stored("disk_format", to.string(16), default=""),
        stored("container_format", to.string(16), default=""),
        stored("min_disk", to.integer(0, SIZE_MAX), default=0),
        stored("min_ram", to.integer(0, SIZE_MAX), default=0),
        stored("protected", to.boolean, default=False),
        stored("tags", to.list_of(to.string(minimum=1), 128), default=()),
        stored("properties", to.string_map, default={}),
        *_stamps(),
    ),
)

KEYPAIR = AttributeTable(
    kind="keypair",
    plural="keypairs",
    attributes=(
        read_only("id", text=True),
        stored("name", visible_name, "CR", default=""),
        *_owner(),
        stored("public_key", public_key, "CR"),
        stored("type", to.choice(*_KEY_TYPES), "C", default="ssh"),
        computed("fingerprint", lambda keypair, _: fingerprint(keypair.public_key, keypair.type)),
        *_stamps(),
    ),
)
