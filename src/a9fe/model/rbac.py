"""Neutron's RBAC policies, which share networks with other projects."""

from dataclasses import dataclass

ACCESS_AS_SHARED, ACCESS_AS_EXTERNAL = "access_as_shared", "access_as_external"
EVERYONE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class RbacPolicy:
    """Shares a network (`object_id`) with a project or EVERYONE, or makes it external for them."""

    id: str
    object_id: str
    action: str
    target_project: str
    object_type: str = "network"
    project_id: str = ""
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""
