"""What the calls about guests take and answer."""

from a9fe.api_tables import schemas
from a9fe.api_tables.guest_requests import EVENT, EVENT_END
from a9fe.api_tables.schemas import Schema, members, taken_by
from a9fe.model.guest import PASSWORD_MAX, ScheduledEvent

ONE = "/a9fe/v1/instances/{id}"
TEXT: Schema = {"type": "string"}
_BYTES: Schema = {"type": "string", "format": "byte"}
_REVISION: Schema = {"type": "integer", "minimum": 0}
_EVENT = schemas.of_type(ScheduledEvent)
_NEW = members(tuple(EVENT)[1:], **{n: taken_by(r) for n, r in EVENT.items()})
_ATTRIBUTE = members(namespace=TEXT, key=TEXT, value=TEXT)
_REACHED = members(revision=_REVISION)
_ANNOUNCED = members(event=_EVENT, revision=_REVISION)

BODIES: dict[str, Schema] = {
    f"PUT {ONE}/password": members(
        password={"type": "string", "minLength": 1, "maxLength": PASSWORD_MAX}
    ),
    f"PUT {ONE}/guest-attributes/{{namespace}}/{{key}}": members(value=TEXT),
    f"POST {ONE}/events": members(event=_NEW),
    f"PUT {ONE}/events/{{event_id}}": members(event=members(state=taken_by(EVENT_END))),
}
QUERIES: dict[str, dict[str, str]] = {
    f"{ONE}/config-drive": {"format": "openstack, which is the default, or nocloud"},
}
ANSWERS: dict[str, Schema] = {
    f"GET {ONE}/password": members(password=TEXT),
    f"PUT {ONE}/password": _REACHED,
    f"DELETE {ONE}/password": _REACHED,
    f"GET {ONE}/guest-attributes": members(
        guest_attributes={"type": "array", "items": _ATTRIBUTE}
    ),
    f"PUT {ONE}/guest-attributes/{{namespace}}/{{key}}": _REACHED,
    f"DELETE {ONE}/guest-attributes/{{namespace}}/{{key}}": _REACHED,
    f"GET {ONE}/config-drive": members(
        label=TEXT, files={"type": "array", "items": members(path=TEXT, content=_BYTES)}
    ),
    f"GET {ONE}/events": members(events={"type": "array", "items": _EVENT}),
    f"POST {ONE}/events": _ANNOUNCED,
    f"PUT {ONE}/events/{{event_id}}": _ANNOUNCED,
    f"POST {ONE}/events/{{event_id}}/acknowledge": _REACHED,
    "GET /v2.1/servers/{id}/os-server-password": members(password=TEXT),
}
