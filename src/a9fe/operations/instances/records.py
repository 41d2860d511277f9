"""Flavors, images and key pairs: records that instances name. Nothing is booted from them.

a9fe's own API, Nova's (server.nova) and Glance's (server.glance) show the same records.
"""

from dataclasses import dataclass, field

from a9fe.api_tables.typed_requests import UNSET, Unset, applied, created, given
from a9fe.model.compute import Flavor, Image, KeypairRecord
from a9fe.model.errors import Conflict, InvalidInput
from a9fe.model.rules.public_keys import is_certificate
from a9fe.operations import quotas
from a9fe.operations.transaction import Transaction, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFlavor:
    """A flavor to record; a random UUID is its id if none is given."""

    name: str
    id: str | Unset = UNSET
    vcpus: int = 1
    ram: int = 512
    disk: int = 0
    ephemeral: int = 0
    swap: int = 0
    is_public: bool = True
    description: str = ""
    extra_specs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavorChange:
    """What may change of a flavor; its size may not."""

    description: str | Unset = UNSET
    extra_specs: dict[str, str] | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """An image to record."""

    id: str | Unset = UNSET
    name: str = ""
    project_id: str | Unset = UNSET
    visibility: str = "shared"
    disk_format: str = ""
    container_format: str = ""
    min_disk: int = 0
    min_ram: int = 0
    protected: bool = False
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChange:
    """What may change of an image record. `project_id`: in Glance's API only, for admins."""

    name: str | Unset = UNSET
    project_id: str | Unset = UNSET
    visibility: str | Unset = UNSET
    disk_format: str | Unset = UNSET
    container_format: str | Unset = UNSET
    min_disk: int | Unset = UNSET
    min_ram: int | Unset = UNSET
    protected: bool | Unset = UNSET
    tags: tuple[str, ...] | Unset = UNSET
    properties: dict[str, str] | Unset = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKeypair:
    """A public key to record by a name; `type` is ssh or x509."""

    name: str
    public_key: str
    project_id: str | Unset = UNSET
    type: str = "ssh"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeypairChange:
    """Nothing of a key pair may change."""


class ImageProtected(Conflict):
    """An image is protected from deletion (409; 403 in Glance's API)."""

    def __init__(self, id: str) -> None:
        """`id` is the image's."""
        message = f"Image {id} is protected; set protected to false before deleting it"
        super().__init__("ImageProtected", message)


def create_flavor(tx: Transaction, new: NewFlavor) -> Flavor:
    """Record a flavor. Raises Conflict if its id or its name is in use."""
    flavor = created(Flavor, new, id=given(new.id, new_id()))
    for name, value in (("id", flavor.id), ("name", flavor.name)):
        if tx.session.find(Flavor, **{name: value}):
            message = f"Flavor with {name} {value} exists already; choose another"
            raise Conflict("FlavorExists", message)
    return tx.session.insert(flavor)


def update_flavor(tx: Transaction, old: Flavor, change: FlavorChange) -> Flavor:
    """Change a flavor's description or extra specs."""
    return tx.session.update(applied(old, change))


def delete_flavor(tx: Transaction, flavor: Flavor) -> None:
    """Delete a flavor; instances keep its name."""
    tx.session.delete(Flavor, flavor.id)


def create_image(tx: Transaction, new: NewImage) -> Image:
    """Record an image. Raises Conflict if its id is in use or the quota is used up."""
    image = created(
        Image, new, id=given(new.id, new_id()), project_id=given(new.project_id, tx.project_id)
    )
    if tx.session.get(Image, image.id):
        raise Conflict("ImageExists", f"Image with id {image.id} exists already")
    quotas.check_record(tx, "image", image.project_id)
    return tx.session.insert(image)


def update_image(tx: Transaction, old: Image, change: ImageChange) -> Image:
    """Change an image record."""
    return tx.session.update(applied(old, change))


def delete_image(tx: Transaction, image: Image) -> None:
    """Delete an image record. Raises ImageProtected."""
    if image.protected:
        raise ImageProtected(image.id)
    tx.session.delete(Image, image.id)


def create_keypair(tx: Transaction, new: NewKeypair) -> KeypairRecord:
    """Record a key pair. Raises Conflict if the project has one of that name."""
    keypair = created(
        KeypairRecord, new, id=new_id(), project_id=given(new.project_id, tx.project_id)
    )
    if tx.session.find(KeypairRecord, name=keypair.name, project_id=keypair.project_id):
        message = f"Key pair '{keypair.name}' exists already; choose another name"
        raise Conflict("KeyPairExists", message)
    if is_certificate(keypair.public_key) != (keypair.type == "x509"):
        expected = "ssh for an OpenSSH key, x509 for a certificate"
        raise InvalidInput("type", keypair.type, expected)
    quotas.check_record(tx, "keypair", keypair.project_id)
    return tx.session.insert(keypair)


def keep_keypair(_tx: Transaction, old: KeypairRecord, _change: KeypairChange) -> KeypairRecord:
    """Return the key pair as it is: an update of it has no attribute that may change."""
    return old


def delete_keypair(tx: Transaction, keypair: KeypairRecord) -> None:
    """Delete a key pair; instances keep their copy of the public key."""
    tx.session.delete(KeypairRecord, keypair.id)
