"""Guest data below /a9fe/v1/instances/{id}: the password, guest attributes, scheduled events.

Metadata services write for guests; owners read and clear; admins announce events. An answer's
`revision` is the feed's revision that has the change, 0 if nothing changed.
"""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables.envelope import member
from a9fe.api_tables.guest_requests import EVENT, EVENT_END, event_end, new_event
from a9fe.api_tables.schemas import TEXT, Schema, members, of_type, taken_by
from a9fe.model import codec
from a9fe.model.guest import PASSWORD_MAX, ScheduledEvent
from a9fe.operations.instances import guests
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import NATIVE, Access, OperationTable, api_of, example, read_body

INSTANCE = OperationTable(f"{NATIVE}/instances/{{id}}", chapter="a9fe: instances")
_ATTRIBUTE_PATH = "/guest-attributes/{namespace}/{key}"
_ONE = example(id="{instance}")
_REVISION: Schema = {"type": "integer", "minimum": 0}
_EVENT = of_type(ScheduledEvent)
_NEW_EVENT = members(tuple(EVENT)[1:], **{n: taken_by(r) for n, r in EVENT.items()})
_ATTRIBUTE = members(namespace=TEXT, key=TEXT, value=TEXT)
_REVISION_ANSWER = members(revision=_REVISION)
_EVENT_ANSWER = members(event=_EVENT, revision=_REVISION)


async def _read(request: Request, work: Callable[[Transaction, str], Any]) -> Any:  # noqa: ANN401 - of `work`
    id = request.path_params["id"]
    return await api_of(request).read(request, lambda tx: work(tx, id))


async def _write(request: Request, work: Callable[[Transaction, str], Any]) -> Any:  # noqa: ANN401 - of `work`
    id = request.path_params["id"]
    return await api_of(request).write(request, lambda tx: work(tx, id))


def _revision_answer(revision: int) -> Response:
    return JSONResponse({"revision": revision})


def _event_answer(event: ScheduledEvent, revision: int) -> dict[str, object]:
    return {"event": codec.encode(event), "revision": revision}


@INSTANCE.add(
    "PUT",
    "/password",
    Access.AGENT,
    body=members(password={"type": "string", "minLength": 1, "maxLength": PASSWORD_MAX}),
    answers={200: _REVISION_ANSWER},
    examples=(example({"password": "bG9uZyBhbmQgZW5jcnlwdGVk"}, id="{instance}"),),
)
async def set_password(request: Request) -> Response:
    """Store the encrypted password that the guest posted. It can be set once."""
    text = member(await read_body(request), "password")
    return _revision_answer(
        await _write(request, lambda tx, id: guests.set_password(tx, id, text))
    )


@INSTANCE.add(
    "GET", "/password", Access.PROJECT, answers={200: members(password=TEXT)}, examples=(_ONE,)
)
async def show_password(request: Request) -> Response:
    """Show the encrypted password that the guest posted; "" if there is none."""
    found = await _read(request, lambda tx, id: guests.of_caller(tx, id).password)
    return JSONResponse({"password": found})


@INSTANCE.add(
    "DELETE", "/password", Access.PROJECT, answers={200: _REVISION_ANSWER}, examples=(_ONE,)
)
async def clear_password(request: Request) -> Response:
    """Delete the password, so that the guest may post another."""
    return _revision_answer(await _write(request, guests.clear_password))


def _path_in(request: Request) -> str:
    return guests.path_of(request.path_params["namespace"], request.path_params["key"])


@INSTANCE.add(
    "PUT",
    _ATTRIBUTE_PATH,
    Access.AGENT,
    body=members(value=TEXT),
    answers={200: _REVISION_ANSWER},
    examples=(example({"value": "ready"}, id="{instance}", namespace="health", key="state"),),
)
async def set_attribute(request: Request) -> Response:
    """Write a guest attribute."""
    value, path = member(await read_body(request), "value"), _path_in(request)
    return _revision_answer(
        await _write(request, lambda tx, id: guests.set_attribute(tx, id, path, value))
    )


@INSTANCE.add(
    "GET",
    "/guest-attributes",
    Access.PROJECT,
    answers={200: members(guest_attributes={"type": "array", "items": _ATTRIBUTE})},
    examples=(_ONE,),
)
async def list_attributes(request: Request) -> Response:
    """List the guest attributes."""
    found = await _read(request, lambda tx, id: guests.attributes(guests.of_caller(tx, id)))
    return JSONResponse({"guest_attributes": found})


@INSTANCE.add(
    "DELETE",
    _ATTRIBUTE_PATH,
    Access.AGENT,
    answers={200: _REVISION_ANSWER},
    examples=(example(id="{instance}", namespace="health", key="state"),),
)
async def remove_attribute(request: Request) -> Response:
    """Delete a guest attribute."""
    path = _path_in(request)
    return _revision_answer(
        await _write(request, lambda tx, id: guests.remove_attribute(tx, id, path))
    )


@INSTANCE.add(
    "POST",
    "/events",
    Access.ADMIN,
    body=members(event=_NEW_EVENT),
    answers={201: _EVENT_ANSWER},
    examples=(
        example(
            {
                "event": {
                    "code": "system-reboot",
                    "description": "a new kernel on the host",
                    "not_before": "2026-11-29T02:00:00Z",
                    "not_after": "2026-11-29T04:00:00Z",
                }
            },
            201,
            id="{instance}",
            save={"event": "event.id"},
        ),
    ),
)
async def create_event(request: Request) -> Response:
    """Announce an event to the guest."""
    new = new_event("event", member(await read_body(request), "event"))
    event = await _write(request, lambda tx, id: guests.announce(tx, id, new))
    return JSONResponse(_event_answer(*event), status_code=201)


@INSTANCE.add(
    "GET",
    "/events",
    Access.PROJECT,
    answers={200: members(events={"type": "array", "items": _EVENT})},
    examples=(_ONE,),
)
async def list_events(request: Request) -> Response:
    """List the events announced to the guest."""
    found = await _read(request, lambda tx, id: guests.of_caller(tx, id).events)
    return JSONResponse({"events": [codec.encode(event) for event in found]})


@INSTANCE.add(
    "POST",
    "/events/{event_id}/acknowledge",
    Access.AGENT,
    answers={200: _REVISION_ANSWER},
    examples=(example(id="{instance}", event_id="{event}"),),
)
async def acknowledge(request: Request) -> Response:
    """Record that the guest is ready for an event."""
    event_id = request.path_params["event_id"]
    return _revision_answer(
        await _write(request, lambda tx, id: guests.acknowledge(tx, id, event_id))
    )


@INSTANCE.add(
    "PUT",
    "/events/{event_id}",
    Access.ADMIN,
    body=members(event=members(state=taken_by(EVENT_END))),
    answers={200: _EVENT_ANSWER},
    examples=(example({"event": {"state": "completed"}}, id="{instance}", event_id="{event}"),),
)
async def end_event(request: Request) -> Response:
    """End an event: completed or canceled."""
    state = event_end("event", member(await read_body(request), "event"))
    event_id = request.path_params["event_id"]
    event = await _write(request, lambda tx, id: guests.end_event(tx, id, event_id, state))
    return JSONResponse(_event_answer(*event))


OPERATIONS = tuple(INSTANCE)
