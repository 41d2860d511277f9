"""Flavors, images and key pairs: their attribute tables for /a9fe/v1, and what may be done.

The compute and image APIs (compute.py, image.py) are other views of the same records.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import replace

from a9fe.api_tables import converters as to
from a9fe.api_tables import schemas
from a9fe.api_tables.attributes import (
    Attribute,
    AttributeTable,
    Values,
    computed,
    read_only,
    stored,
)
from a9fe.api_tables.schemas import described
from a9fe.model.compute import Flavor, Image, KeypairRecord
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.operations import quota_limits
from a9fe.operations.transaction import Transaction, new_id

FLAVOR_ID_MAX = 64
SIZE_MAX = 2**31 - 1  # of Nova's integers
_FLAVOR_ID = re.compile(r"[\w.\- ]+")
_KEY_TYPES = ("ssh", "x509")
VISIBILITIES = ("public", "private", "shared", "community")


def flavor_id(field: str, value: object) -> str:
    """Short text of Nova's flavor ids."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _FLAVOR_ID.fullmatch(text) or text != text.strip() or len(text) > FLAVOR_ID_MAX:
        expected = f"1 to {FLAVOR_ID_MAX} letters, digits, blanks and .-_"
        raise InvalidInput(field, value, expected)
    return text


def visible_name(field: str, value: object) -> str:
    """A name with something to see in it, blanks around it taken off (Nova)."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > to.NAME_MAX or not text.isprintable():
        raise InvalidInput(field, value, f"printable text of 1 to {to.NAME_MAX} characters")
    return text


def public_key(field: str, value: object) -> str:
    """An OpenSSH public key on one line, or an X.509 certificate in PEM."""
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > to.PUBLIC_KEY_MAX or _key_bytes(text) is None:
        expected = "an OpenSSH public key on one line, or a certificate in PEM"
        raise InvalidInput(field, value, expected)
    return text


_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")


def _key_bytes(text: str) -> bytes | None:
    """The key itself: what a fingerprint is of."""
    pem = _PEM.fullmatch(text)
    words = text.split()
    encoded = "".join(pem.group(1).split()) if pem else words[1] if len(words) > 1 else ""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    if pem:
        return blob or None
    name = words[0].encode("utf-8", "replace")
    framed = len(name).to_bytes(4, "big") + name  # RFC 4253 section 6.6: it begins with its type
    return blob if "\n" not in text and blob.startswith(framed) else None


def fingerprint(keypair: KeypairRecord) -> str:
    """As Nova: MD5 of an SSH key, SHA-1 of a certificate, in hex with colons."""
    blob = _key_bytes(keypair.public_key) or b""
    algorithm = "md5" if keypair.type == "ssh" else "sha1"
    digest = hashlib.new(algorithm, blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


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
        computed("fingerprint", lambda keypair, _: fingerprint(keypair)),
        *_stamps(),
    ),
)


def create_flavor(tx: Transaction, values: Values) -> Flavor:
    """A new flavor; both its id and its name are nobody else's."""
    values.setdefault("id", new_id())
    for field in ("id", "name"):
        if tx.session.find(Flavor, **{field: values[field]}):
            message = f"Flavor with {field} {values[field]} exists already; choose another"
            raise Conflict("FlavorExists", message)
    return tx.session.insert(Flavor(**values))


def update_flavor(tx: Transaction, old: Flavor, values: Values) -> Flavor:
    """Change a flavor; its size stays as it is."""
    return tx.session.update(replace(old, **values))


def delete_flavor(tx: Transaction, flavor: Flavor) -> None:
    """Remove a flavor; instances keep its name."""
    tx.session.delete(Flavor, flavor.id)


def create_image(tx: Transaction, values: Values) -> Image:
    """A new image record."""
    values.setdefault("id", new_id())
    values.setdefault("project_id", tx.project_id)
    if tx.session.get(Image, values["id"]):
        raise Conflict("ImageExists", f"Image with id {values['id']} exists already")
    quota_limits.check_record(tx, "image", values["project_id"])
    return tx.session.insert(Image(**values))


def update_image(tx: Transaction, old: Image, values: Values) -> Image:
    """Change an image record."""
    return tx.session.update(replace(old, **values))


def delete_image(tx: Transaction, image: Image) -> None:
    """Remove an image record, unless it is protected."""
    if image.protected:
        message = f"Image {image.id} is protected; set protected to false before deleting it"
        raise Conflict("ImageProtected", message)
    tx.session.delete(Image, image.id)


def create_keypair(tx: Transaction, values: Values) -> KeypairRecord:
    """A new key pair; the name is the project's only once."""
    values.setdefault("project_id", tx.project_id)
    named = {"name": values["name"], "project_id": values["project_id"]}
    if tx.session.find(KeypairRecord, **named):
        message = f"Key pair '{values['name']}' exists already; choose another name"
        raise Conflict("KeyPairExists", message)
    is_certificate = _PEM.fullmatch(values["public_key"]) is not None
    if is_certificate != (values["type"] == "x509"):
        expected = "ssh for an OpenSSH key, x509 for a certificate"
        raise InvalidInput("type", values["type"], expected)
    quota_limits.check_record(tx, "keypair", values["project_id"])
    return tx.session.insert(KeypairRecord(id=new_id(), **values))


def update_keypair(_call: Transaction, _old: KeypairRecord, values: Values) -> KeypairRecord:
    """Nothing of a key pair can be changed; the table lets nothing through."""
    assert not values
    return _old


def delete_keypair(tx: Transaction, keypair: KeypairRecord) -> None:
    """Remove a key pair; instances keep their copy."""
    tx.session.delete(KeypairRecord, keypair.id)
