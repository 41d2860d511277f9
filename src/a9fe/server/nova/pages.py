"""Links between the pages of the compute API's lists."""

from urllib.parse import urlencode

from starlette.requests import Request

from a9fe.operations.answers import Json
from a9fe.server.nova.servers import AnswerFormat


def next_link(request: Request, form: AnswerFormat, plural: str, marker: str) -> Json:
    """Return the member `<plural>_links` that leads to the page behind `marker`; {} for none."""
    if not marker:
        return {}
    kept = [(name, v) for name, v in request.query_params.multi_items() if name != "marker"]
    query = urlencode([*kept, ("marker", marker)])
    href = f"{form.base}{request.url.path}?{query}"
    return {f"{plural}_links": [{"rel": "next", "href": href}]}
