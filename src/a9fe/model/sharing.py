"""What one project lets another see and use: Neutron's RBAC policies."""

from dataclasses import dataclass

SHARED, EXTERNAL = "access_as_shared", "access_as_external"
EVERYONE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class RbacPolicy:
    """That a network (`object_id`) is shared with, or external for, a project or EVERYONE."""

    id: str
    object_id: str
    action: str
    target_project: str
    object_type: str = "network"
    project_id: str = ""
    revision_number: int = 0
    created_at: str = ""
    updated_at: str = ""
