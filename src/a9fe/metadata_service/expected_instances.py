"""Whether an instance without a record is about to get one. Pure.

A client that boots VMs may create the port before the instance, and cloud-init gives up after a
404. A port that has named an instance without a record for long counts as a mistake.
"""

from collections.abc import Iterable

from a9fe.model.resources import Port, is_network_owner
from a9fe.model.rules.scheduling import seconds

EXPECTED_WITHIN = 300.0  # s from the port's last change to the creation of its instance


def is_expected(ports: Iterable[Port], tenant_id: str, now: float) -> bool:
    """Return whether one of the `ports`, which name the instance, changed recently."""
    return any(
        now - seconds(port.updated_at) < EXPECTED_WITHIN
        for port in ports
        if port.project_id == tenant_id and not is_network_owner(port.device_owner)
    )
