"""GET /a9fe/v1/instances/{id}/config-drive: the files of an instance's config drive."""

import base64
import secrets

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables.schemas import TEXT, members
from a9fe.metadata.config_drive import LAYOUTS
from a9fe.metadata.instance_view import InstanceView, Settings, view_of
from a9fe.metadata.openstack.provider_names import STATIC_JSON
from a9fe.model.errors import InvalidInput, NotFound
from a9fe.model.resources import KINDS, Port, Resource
from a9fe.model.user_data import loaded
from a9fe.operations.instances import guests
from a9fe.operations.transaction import Json, Transaction
from a9fe.runtime.static_vendordata import VendordataFile
from a9fe.server.asgi import NATIVE, Access, OperationTable, api_of, example
from a9fe.store import Session

log = structlog.get_logger()

INSTANCE = OperationTable(f"{NATIVE}/instances/{{id}}", chapter="a9fe: instances")
_FILE = members(path=TEXT, content={"type": "string", "format": "byte"})


class StoredSource:
    """The lookups that view_of needs, on the database instead of a replica."""

    def __init__(self, session: Session) -> None:
        """Read from `session`; each lookup is a query."""
        self._session = session

    def get(self, kind: str, id: str) -> Resource | None:
        """Return the resource of this kind and id, or None."""
        found: Resource | None = self._session.get(KINDS[kind], id)
        return found

    def ports_by_device(self, device_id: str) -> tuple[Port, ...]:
        """Return the ports with this device_id."""
        return tuple(self._session.find(Port, device_id=device_id))


def drive_of(tx: Transaction, id: str, format: str) -> Json:
    """Return the volume label of a config drive and its files, sorted by path, in base64.

    Raises NotFound, or InvalidInput for an unknown format.
    """
    layout = LAYOUTS.get(format)
    if layout is None:
        raise InvalidInput("format", format, "one of " + ", ".join(LAYOUTS))
    files = layout.files(_view(tx, id))
    shown = [
        {"path": path, "content": base64.b64encode(content).decode("ascii")}
        for path, content in sorted(files.items())
    ]
    return {"label": layout.label, "files": shown}


def _view(tx: Transaction, id: str) -> InstanceView:
    instance = guests.of_caller(tx, id)
    settings = Settings(
        dhcp_domain=tx.config.dhcp_domain,
        vendordata=VendordataFile(tx.config.vendordata_jsonfile_path, _unusable)(),
        static_vendordata=STATIC_JSON in tx.config.vendordata_providers,
        region=tx.config.region_name,
    )
    view = view_of(StoredSource(tx.session), loaded(instance), settings, secrets.token_bytes)
    if view is None:  # only if a port's network is missing, which the store rules out
        raise NotFound("instance", id)
    return view


def _unusable(path: str, reason: str) -> None:
    log.warning("vendordata_jsonfile_path cannot be used", path=path, reason=reason)


@INSTANCE.add(
    "GET",
    "/config-drive",
    Access.PROJECT,
    query={"format": "openstack (the default) or nocloud"},
    answers={200: members(label=TEXT, files={"type": "array", "items": _FILE})},
    examples=(example(id="{instance}", query="format=nocloud"),),
)
async def config_drive(request: Request) -> Response:
    """Return the files of an instance's config drive, for a VM without a network."""
    id, format = request.path_params["id"], request.query_params.get("format", "openstack")
    return JSONResponse(await api_of(request).read(request, lambda tx: drive_of(tx, id, format)))


OPERATIONS = tuple(INSTANCE)
