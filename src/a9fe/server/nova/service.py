"""Handlers of the compute API for limits, availability zones and extensions."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables.schemas import OBJECT
from a9fe.model.resources import Agent
from a9fe.operations import quotas
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.asgi import Access, api_of, example
from a9fe.server.nova.versions import AnswerFormat, compute_table

SERVICE = compute_table()
_EXAMPLES = (example(),)

LIMITS = {
    "maxServerMeta": to.METADATA_MAX,
    "maxTotalCores": -1,
    "maxTotalRAMSize": -1,
    "maxServerGroups": 0,
    "maxServerGroupMembers": 0,
    "totalCoresUsed": 0,
    "totalRAMUsed": 0,
    "totalServerGroupsUsed": 0,
}
"""Fixed limits; -1 means unlimited, since records use no CPU or memory."""


@SERVICE.add("GET", "/limits", Access.PROJECT, answers={200: OBJECT}, examples=_EXAMPLES)
async def show_limits(request: Request, _form: AnswerFormat) -> Response:
    """Show the project's limits and usage."""

    def work(tx: Transaction) -> Json:
        return {
            **LIMITS,
            "maxTotalInstances": quotas.record_limit(tx, "instance"),
            "maxTotalKeypairs": quotas.record_limit(tx, "keypair"),
            "totalInstancesUsed": tx.session.quotas.used("instance", tx.project_id),
        }

    absolute = await api_of(request).read(request, work)
    return JSONResponse({"limits": {"rate": [], "absolute": absolute}})


@SERVICE.add(
    "GET", "/os-availability-zone", Access.PROJECT, answers={200: OBJECT}, examples=_EXAMPLES
)
async def list_zones(request: Request, _form: AnswerFormat) -> Response:
    """List the availability zones: the default zone and the zones of agents."""

    def work(tx: Transaction) -> list[str]:
        zones = {agent.availability_zone for agent in tx.session.find(Agent)}
        return sorted({tx.config.default_availability_zone, *zones})

    names = await api_of(request).read(request, work)
    zones = [{"zoneName": n, "zoneState": {"available": True}, "hosts": None} for n in names]
    return JSONResponse({"availabilityZoneInfo": zones})


@SERVICE.add(
    "GET",
    "/os-availability-zone/detail",
    Access.PROJECT,
    answers={200: OBJECT},
    examples=_EXAMPLES,
)
async def list_zones_detail(request: Request, form: AnswerFormat) -> Response:
    """List the availability zones, without their hosts."""
    return await list_zones(request, form)


@SERVICE.add("GET", "/extensions", Access.PROJECT, answers={200: OBJECT}, examples=_EXAMPLES)
async def list_extensions(_request: Request, _form: AnswerFormat) -> Response:
    """List extensions; there are none, since microversions replace them."""
    return JSONResponse({"extensions": []})


OPERATIONS = tuple(SERVICE)
