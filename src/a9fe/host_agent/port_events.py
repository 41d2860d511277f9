"""Events of VMs' ports on this host: ready and gone. Pure, except for what was last seen.

A port is ready when it can be ACTIVE (plan.port_status), and gone when its device or the port
itself goes. After an agent's restart no event is repeated for a port that the server knows as
ACTIVE; while the server is unreachable, ready may be repeated.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from a9fe.model.resources import Port, is_network_owner
from a9fe.plan import names
from a9fe.plan.parts import Part
from a9fe.plan.port_status import ACTIVE, PortStates

READY, GONE = "ready", "gone"
_ID = re.compile(r"[0-9A-Za-z._-]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PortEvent:
    """A port became ready, or is gone."""

    event: str
    port: Port

    def environment(self, host: str) -> dict[str, str]:
        """The variables of a hook. They have no text that a tenant chooses freely."""
        port = self.port
        return {
            "A9FE_EVENT": self.event,
            "A9FE_HOST": host,
            "A9FE_PORT_ID": port.id,
            "A9FE_NETWORK_ID": port.network_id,
            "A9FE_PROJECT_ID": _id(port.project_id),
            "A9FE_INSTANCE_ID": _id(port.device_id),
            "A9FE_DEVICE": names.outer_device(port.id),
            "A9FE_BRIDGE": names.bridge(port.network_id),
            "A9FE_MAC": port.mac_address,
            "A9FE_ADDRESSES": " ".join(ip.ip_address for ip in port.fixed_ips),
        }


def _id(text: str) -> str:
    """The text if it has the characters of an id, else "": clients choose it."""
    return text if _ID.fullmatch(text) else ""


class PortEvents:
    """What was last seen of each port, by part of the host."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._ready: dict[Part, dict[str, Port]] = {}
        self._told_gone: set[str] = set()

    def passed(
        self, ports: Mapping[Part, Iterable[Port]], states: PortStates, *, whole: bool
    ) -> list[PortEvent]:
        """Return the events of a pass over these parts with their ports.

        `states`: what the pass reports. `whole`: these are all parts. O(ports of the parts).
        """
        events: list[PortEvent] = []
        for part in self._ready.keys() - ports.keys() if whole else ():
            events += [_gone(port) for port in self._ready.pop(part).values()]
        for part, found in ports.items():
            events += self._passed_part(part, found, states)
        return events

    def _passed_part(
        self, part: Part, found: Iterable[Port], states: PortStates
    ) -> Iterable[PortEvent]:
        before, now = self._ready.get(part, {}), dict[str, Port]()
        present = {port.id: port for port in found if not is_network_owner(port.device_owner)}
        for id, port in present.items():
            if id in states.up or (port.status == ACTIVE and id not in states.down):
                now[id] = port
                self._told_gone.discard(id)
                if id in states.up and id not in before:
                    yield PortEvent(event=READY, port=port)
            elif id in before or (id in states.down and port.host and id not in self._told_gone):
                yield self._told(port)
            elif port.status != ACTIVE:
                self._told_gone.discard(id)
        yield from (_gone(port) for id, port in before.items() if id not in present)
        if now:
            self._ready[part] = now
        else:
            self._ready.pop(part, None)

    def _told(self, port: Port) -> PortEvent:
        self._told_gone.add(port.id)
        return _gone(port)


def _gone(port: Port) -> PortEvent:
    return PortEvent(event=GONE, port=port)
