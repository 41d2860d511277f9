"""Flavors, images and key pairs: records with the field names of Nova and Glance."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """A size of VMs: `ram` and `swap` in MiB, `disk` and `ephemeral` in GiB.

    `id` is Nova's flavorid, a short text such as "1" or a UUID.
    """

    id: str
    name: str
    vcpus: int = 1
    ram: int = 512
    disk: int = 0
    ephemeral: int = 0
    swap: int = 0
    is_public: bool = True
    description: str = ""
    extra_specs: dict[str, str] = field(default_factory=dict)
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A named disk image, without its data. `min_disk` in GiB, `min_ram` in MiB."""

    id: str
    project_id: str = ""
    name: str = ""
    visibility: str = "shared"
    disk_format: str = ""
    container_format: str = ""
    min_disk: int = 0
    min_ram: int = 0
    protected: bool = False
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = field(default_factory=dict)
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeypairRecord:
    """A project's public key with a name, for new instances.

    `type` is ssh or x509. An instance has a copy of it (model.resources.Keypair), as in Nova.
    """

    id: str
    name: str
    public_key: str
    project_id: str = ""
    type: str = "ssh"
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""
