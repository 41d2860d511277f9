"""IMDS usage: how many requests each instance sent with IMDSv2 tokens and without (IMDSv1).

Metadata services report counts; operators and owners read the sums.
"""

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables import schemas
from a9fe.api_tables.schemas import TEXT, members, taken_by
from a9fe.model.errors import InvalidInput
from a9fe.model.imds_usage import ImdsUsage
from a9fe.model.policy import check_host
from a9fe.operations.instances import guests
from a9fe.operations.transaction import Json, Transaction
from a9fe.server.asgi import NATIVE, Access, OperationTable, api_of, caller_of, example, read_body
from a9fe.store import UsageOfInstance

USAGE = OperationTable(f"{NATIVE}/imds-usage", chapter="About the server")
INSTANCES_MAX = 1000  # of one report
REQUESTS_MAX = 2**31 - 1  # of one report; 2**32 such reports fit a signed 64-bit sum
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?")


def _time(field: str, value: object) -> str:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise InvalidInput(field, value, 'a time such as 2026-11-22T15:00:00Z, or ""')
    return value


schemas.described(_time, {"type": "string", "pattern": f"^{_TIME.pattern}$"})

MEMBERS: dict[str, to.Converter] = {
    "instance_id": to.identifier,
    "v1_requests": to.integer(0, REQUESTS_MAX),
    "v2_requests": to.integer(0, REQUESTS_MAX),
    "v1_last_at": _time,
    "v2_last_at": _time,
}


def _usage_of_instance(field: str, value: object) -> ImdsUsage:
    given = to.only_members(field, value, MEMBERS)
    return ImdsUsage(**{n: read(f"{field}.{n}", given[n]) for n, read in MEMBERS.items()})


_ALL = to.list_of(_usage_of_instance, INSTANCES_MAX)
_USAGE = members((), **{name: taken_by(read) for name, read in MEMBERS.items()})
_SHOWN = members(
    (),
    name=TEXT,
    project_id=TEXT,
    http_tokens=TEXT,
    **{name: taken_by(read) for name, read in MEMBERS.items()},
)


@USAGE.add(
    "POST",
    "",
    Access.AGENT,
    body=members(host=TEXT, usage={"type": "array", "items": _USAGE, "maxItems": INSTANCES_MAX}),
    answers={200: members(counted={"type": "integer"})},
    examples=(
        example(
            {
                "host": "node1",
                "usage": [
                    {
                        "instance_id": "{instance}",
                        "v1_requests": 12,
                        "v2_requests": 3,
                        "v1_last_at": "2026-11-22T15:00:00Z",
                        "v2_last_at": "2026-11-22T15:00:05Z",
                    }
                ],
            }
        ),
    ),
)
async def report_usage(request: Request) -> Response:
    """Add the requests that a host's metadata service counted, with tokens and without."""
    document = to.only_members("body", await read_body(request), ("host", "usage"))
    host = to.header_text(minimum=1)("host", document["host"])
    check_host(caller_of(request), host)
    reported = _merged(_ALL("usage", document["usage"]))

    def work(tx: Transaction) -> None:
        there = tx.session.imds_usage.existing([one.instance_id for one in reported])
        guests.check_answers(tx, tx.caller.host, there)
        tx.session.imds_usage.add(reported)

    await api_of(request).write(request, work)
    return JSONResponse({"counted": len(reported)})


def _merged(reported: list[ImdsUsage]) -> list[ImdsUsage]:
    """Return one usage for each instance: the sum."""
    found: dict[str, ImdsUsage] = {}
    for one in reported:
        before = found.get(one.instance_id)
        found[one.instance_id] = before.plus(one) if before else one
    return list(found.values())


@USAGE.add(
    "GET",
    "",
    Access.PROJECT,
    answers={200: members(usage={"type": "array", "items": _SHOWN})},
    examples=(example(),),
)
async def show_usage(request: Request) -> Response:
    """Show how many requests each instance sent with tokens and without."""

    def work(tx: Transaction) -> list[UsageOfInstance]:
        return tx.session.imds_usage.all(None if tx.caller.is_admin else tx.project_id)

    return JSONResponse({"usage": [shown(of) for of in await api_of(request).read(request, work)]})


def shown(of: UsageOfInstance) -> Json:
    """Return the usage as answers show it; http_tokens "" follows the configuration."""
    return {
        "name": of.name,
        "project_id": of.project_id,
        "http_tokens": of.options.http_tokens,
        **{name: getattr(of.usage, name) for name in MEMBERS},
    }


OPERATIONS = tuple(USAGE)
