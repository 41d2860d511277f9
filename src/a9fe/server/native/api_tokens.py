"""Create, list and revoke API tokens: /a9fe/v1/tokens, for admins."""

import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from a9fe.api_tables import converters as to
from a9fe.api_tables.envelope import member
from a9fe.api_tables.schemas import OBJECT, members, text_of
from a9fe.model import api_tokens as tokens
from a9fe.model.api_tokens import ApiToken
from a9fe.model.errors import InvalidInput
from a9fe.model.policy import AGENT, MEMBER, ROLES
from a9fe.operations.transaction import Transaction
from a9fe.server.asgi import NATIVE, Access, OperationTable, api_of, example, read_body

TOKENS = OperationTable(f"{NATIVE}/tokens", chapter="a9fe: tokens")
_NEW = members(
    ("project_id", "role", "host", "description"),
    project_id=text_of(to.NAME_MAX),
    role={"type": "string", "enum": ["admin", "member"], "default": "member"},
    host=text_of(to.NAME_MAX),
    description={"type": "string", "maxLength": to.NAME_MAX},
)
FIELDS = ("id", "project_id", "role", "host", "description", "created_at")


def shown(token: ApiToken) -> dict[str, str]:
    """Return a token as answers show it: without its hash."""
    return {name: getattr(token, name) for name in FIELDS}


def new(given: Any) -> tuple[ApiToken, str]:  # noqa: ANN401 - a JSON value
    """Return a new API token and its secret text, for a host or for a project and role.

    `given` is the inner object of a body. Raises InvalidInput.
    """
    if not isinstance(given, dict):
        raise InvalidInput("token", given, "an object")
    for name in given:
        if name not in {"project_id", "role", "host", "description"}:
            raise InvalidInput(name, given[name], "one of project_id, role, host, description")
    text = tokens.text_of(secrets.token_bytes(tokens.RANDOM_BYTES))
    read = to.one_line()
    token = ApiToken(
        id=tokens.id_of(text) or "",
        sha256=tokens.hash_of(text),
        description=read("description", given.get("description", "")),
        **_bound_to(given),
    )
    return token, text


def _bound_to(given: dict[str, Any]) -> dict[str, str]:
    """Return the token's host and role, or its project and role."""
    text = to.header_text(minimum=1)
    if "host" in given:
        if given.keys() & {"project_id", "role"}:
            raise InvalidInput("host", given["host"], "no host together with project_id or role")
        return {"host": text("host", given["host"]), "role": AGENT}
    return {
        "project_id": text("project_id", given.get("project_id")),
        "role": to.choice(*ROLES)("role", given.get("role", MEMBER)),
    }


@TOKENS.add(
    "POST",
    "",
    Access.ADMIN,
    body=members(token=_NEW),
    answers={201: OBJECT},
    examples=(
        example(
            {"token": {"project_id": "lab", "role": "member", "description": "CI"}},
            201,
            save={"token": "token.id"},
        ),
    ),
)
async def create_token(request: Request) -> Response:
    """Create a token. Only this answer contains its text."""
    token, text = new(member(await read_body(request), "token"))

    def work(tx: Transaction) -> ApiToken:
        tx.session.api_tokens.add(token)
        return tx.session.api_tokens.get(token.id) or token

    made = await api_of(request).write(request, work)
    return JSONResponse({"token": {**shown(made), "token": text}}, status_code=201)


@TOKENS.add("GET", "", Access.ADMIN, answers={200: OBJECT}, examples=(example(),))
async def list_tokens(request: Request) -> Response:
    """List the tokens, without their texts."""
    found = await api_of(request).read(request, lambda tx: tx.session.api_tokens.all())
    return JSONResponse({"tokens": [shown(token) for token in found]})


@TOKENS.add(
    "DELETE",
    "/{id}",
    Access.ADMIN,
    answers={204: None},
    examples=(example(status=204, id="{token}"),),
)
async def revoke_token(request: Request) -> Response:
    """Revoke a token. Feeds that were opened with it end."""
    id = request.path_params["id"]
    await api_of(request).write(request, lambda tx: tx.session.api_tokens.remove(id))
    api_of(request).admissions.review()
    return Response(status_code=204)


OPERATIONS = tuple(TOKENS)
