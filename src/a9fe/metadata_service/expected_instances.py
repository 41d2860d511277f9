"""Whether an instance that nobody knows is about to be known. Pure.

Whoever boots VMs may make the port before the record of its VM; 404 would be final for
cloud-init. A port that names an instance for long, without a record, names none.
"""

from collections.abc import Iterable

from a9fe.model.resources import Port
from a9fe.model.rules.scheduling import seconds

EXPECTED_WITHIN = 300.0  # seconds from the port's last change to the record of its instance


def is_expected(ports: Iterable[Port], tenant_id: str, now: float) -> bool:
    """Whether one of the `ports`, which name the instance, is so new that it may come yet."""
    return any(
        now - seconds(port.updated_at) < EXPECTED_WITHIN
        for port in ports
        if port.project_id == tenant_id and not port.device_owner.startswith("network:")
    )
