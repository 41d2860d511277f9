"""Error bodies by path: Nova's and Glance's format below their prefixes, else Neutron's.

Pure. The path's prefix selects the format, so that unknown paths have the API's format too.
"""

from http import HTTPStatus

NEUTRON = "/v2.0"
NATIVE = "/a9fe/v1"
COMPUTE = "/v2.1"
IMAGE = "/image"

Json = dict[str, object]

_NOVA_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    408: "requestTimeout",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    503: "serviceUnavailable",
}


OVER_QUOTA = {COMPUTE: 403, IMAGE: 413}
"""The status for an exceeded quota, by API prefix, where it differs from Neutron's 409."""


def over_quota(path: str) -> int:
    """Return the status for an exceeded quota in the API that the path belongs to."""
    return next((status for base, status in OVER_QUOTA.items() if below(path, base)), 409)


def below(path: str, base: str) -> bool:
    """Return whether a path is `base` or below it."""
    return path == base or path.startswith(base + "/")


def neutron(status: int, type: str, message: str) -> Json:
    """Return Neutron's error body: {"NeutronError": {"type", "message", "detail"}}."""
    del status
    return {"NeutronError": {"type": type, "message": message, "detail": ""}}


def nova(status: int, message: str) -> Json:
    """Return Nova's error body, such as {"badRequest": {"code", "message"}}."""
    return {_NOVA_NAMES.get(status, "computeFault"): {"code": status, "message": message}}


def glance(status: int, message: str) -> Json:
    """Return Glance's error body, {"code", "title", "message"}: WebOb's JSON format."""
    title = HTTPStatus(status).phrase
    return {"code": f"{status} {title}", "title": title, "message": message}


def body_of(path: str, status: int, type: str, message: str) -> Json:
    """Return the error body in the format of the API that the path belongs to."""
    if below(path, COMPUTE):
        return nova(status, message)
    if below(path, IMAGE):
        return glance(status, message)
    return neutron(status, type, message)
