"""Handlers of the API's own document: /openapi.json, and /docs to read it."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from a9fe.server.openapi import document as openapi
from a9fe.server.openapi import (
    examples_compute,
    examples_guests,
    examples_identity,
    examples_network,
    examples_pools,
    examples_projects,
)
from a9fe.server.openapi import page as openapi_page
from a9fe.server.openapi.examples import Example
from a9fe.server.openapi.schemas import Json

EXAMPLES: tuple[Example, ...] = (
    *examples_network.AGENTS,
    *examples_network.NETWORKS,
    *examples_network.ROUTERS,
    *examples_pools.POOLS,
    *examples_pools.FLOATING_IPS,
    *examples_pools.SHARING,
    *examples_projects.GROUPS,
    *examples_projects.QUOTAS,
    *examples_projects.TAGS,
    *examples_projects.TOKENS,
    *examples_network.OURS,
    *examples_guests.GUESTS,
    *examples_compute.IMAGES,
    *examples_compute.RECORDS,
    *examples_compute.SERVERS,
    *examples_identity.IDENTITY,
    *examples_network.ABOUT,
    *examples_compute.END,
    *examples_projects.END,
    *examples_pools.END,
    *examples_network.END,
)
"""All examples, in an order in which they work."""


def document(routes: Iterable[BaseRoute]) -> Json:
    """The document of an application's routes."""
    return openapi.document(routes, EXAMPLES)


def _document(request: Request) -> Json:
    state = request.app.state
    if not hasattr(state, "document"):
        state.document = document(request.app.routes)
    kept: Json = state.document
    return kept


async def openapi_json(request: Request) -> Response:
    """This document, as OpenAPI 3.1."""
    return JSONResponse(_document(request))


async def docs(request: Request) -> Response:
    """This document, to read."""
    return HTMLResponse(openapi_page.page(_document(request)))


def routes() -> list[Route]:
    """The paths of the document."""
    return [
        Route("/openapi.json", openapi_json, methods=["GET"]),
        Route("/docs", docs, methods=["GET"]),
    ]
