"""Handlers of what guests write and operators announce, below /a9fe/v1/instances/{id}.

The gate knows which are for the guest's side, an agent's credential, and which for admins.
"""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from a9fe.api_tables.envelope import member
from a9fe.api_tables.guest_requests import event_end, new_event
from a9fe.model import codec
from a9fe.model.guest import ScheduledEvent
from a9fe.operations.instances import guests
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import body
from a9fe.server.asgi.api import api_of
from a9fe.server.native.agent_reports import BASE

ONE = f"{BASE}/instances/{{id}}"
ATTRIBUTE = f"{ONE}/guest-attributes/{{namespace}}/{{key}}"


async def _read(request: Request, work: Callable[[Transaction, str], Any]) -> Any:  # noqa: ANN401 - work's
    id = request.path_params["id"]
    return await api_of(request).read(request, lambda tx: work(tx, id))


async def _write(request: Request, work: Callable[[Transaction, str], Any]) -> Any:  # noqa: ANN401 - work's
    id = request.path_params["id"]
    return await api_of(request).write(request, lambda tx: work(tx, id))


def _reached(revision: int) -> Response:
    return JSONResponse({"revision": revision})


def _shown(event: ScheduledEvent, revision: int) -> dict[str, object]:
    return {"event": codec.encode(event), "revision": revision}


async def show_password(request: Request) -> Response:
    """Show the password that the guest posted; "" without."""
    found = await _read(request, lambda tx, id: guests.of_caller(tx, id).password)
    return JSONResponse({"password": found})


async def set_password(request: Request) -> Response:
    """Keep the password that the guest posted, once."""
    text = member(await body.read(request), "password")
    return _reached(await _write(request, lambda tx, id: guests.set_password(tx, id, text)))


async def clear_password(request: Request) -> Response:
    """Forget the password, so that the guest may post another."""
    return _reached(await _write(request, guests.clear_password))


async def list_attributes(request: Request) -> Response:
    """List the attributes that the guest wrote."""
    found = await _read(request, lambda tx, id: guests.attributes(guests.of_caller(tx, id)))
    return JSONResponse({"guest_attributes": found})


def _path_in(request: Request) -> str:
    return guests.path_of(request.path_params["namespace"], request.path_params["key"])


async def set_attribute(request: Request) -> Response:
    """Write an attribute for the guest."""
    value, path = member(await body.read(request), "value"), _path_in(request)
    return _reached(
        await _write(request, lambda tx, id: guests.set_attribute(tx, id, path, value))
    )


async def remove_attribute(request: Request) -> Response:
    """Remove an attribute for the guest."""
    path = _path_in(request)
    return _reached(await _write(request, lambda tx, id: guests.remove_attribute(tx, id, path)))


async def list_events(request: Request) -> Response:
    """List the events announced to the guest."""
    found = await _read(request, lambda tx, id: guests.of_caller(tx, id).events)
    return JSONResponse({"events": [codec.encode(event) for event in found]})


async def create_event(request: Request) -> Response:
    """Announce an event to the guest."""
    new = new_event("event", member(await body.read(request), "event"))
    event = await _write(request, lambda tx, id: guests.announce(tx, id, new))
    return JSONResponse(_shown(*event), status_code=201)


async def end_event(request: Request) -> Response:
    """Say that an event is over: completed or canceled."""
    state = event_end("event", member(await body.read(request), "event"))
    event_id = request.path_params["event_id"]
    event = await _write(request, lambda tx, id: guests.end_event(tx, id, event_id, state))
    return JSONResponse(_shown(*event))


async def acknowledge(request: Request) -> Response:
    """Keep that the guest is ready for an event."""
    event_id = request.path_params["event_id"]
    return _reached(await _write(request, lambda tx, id: guests.acknowledge(tx, id, event_id)))


def routes() -> list[Route]:
    """All of these paths."""
    event = f"{ONE}/events/{{event_id}}"
    return [
        Route(f"{ONE}/password", show_password, methods=["GET"]),
        Route(f"{ONE}/password", set_password, methods=["PUT"]),
        Route(f"{ONE}/password", clear_password, methods=["DELETE"]),
        Route(f"{ONE}/guest-attributes", list_attributes, methods=["GET"]),
        Route(ATTRIBUTE, set_attribute, methods=["PUT"]),
        Route(ATTRIBUTE, remove_attribute, methods=["DELETE"]),
        Route(f"{ONE}/events", list_events, methods=["GET"]),
        Route(f"{ONE}/events", create_event, methods=["POST"]),
        Route(event, end_event, methods=["PUT"]),
        Route(f"{event}/acknowledge", acknowledge, methods=["POST"]),
    ]
