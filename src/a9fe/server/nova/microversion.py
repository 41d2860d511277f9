"""Nova's microversions: read the requested one, and make the headers of the answer.

A request has `OpenStack-API-Version: compute 2.53` (OpenStack's microversion specification) or
Nova's older `X-OpenStack-Nova-API-Version: 2.53`; without them it gets the lowest. In this
module a version is its minor number.
"""

import re
from collections.abc import Mapping

from a9fe.model.errors import A9feError

LEAST, MOST = 1, 96  # 2.1 to 2.96 (Nova 2024.1)
HEADER = "OpenStack-API-Version"
OLD_HEADER = "X-OpenStack-Nova-API-Version"
SERVICE = "compute"
_VERSION = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})")


class BadVersion(A9feError):
    """A malformed microversion (400), or an unsupported one (406)."""

    def __init__(self, status: int, message: str) -> None:
        """`status` is the HTTP status of the answer."""
        super().__init__(message)
        self.status = status


def shown(minor: int) -> str:
    """Return a version as text, such as "2.53"."""
    return f"2.{minor}"


def requested(headers: Mapping[str, str]) -> int:
    """Return the minor version that the request headers ask for. Raises BadVersion."""
    text = _of_service(headers.get(HEADER.lower(), "")) or headers.get(OLD_HEADER.lower(), "")
    text = text.strip()
    if not text:
        return LEAST
    if text == "latest":
        return MOST
    match = _VERSION.fullmatch(text)
    if match is None:
        raise BadVersion(400, f"Microversion {text[:40]!r} is not of the form 2.53")
    minor = int(match[2])
    if match[1] != "2" or not LEAST <= minor <= MOST:
        served = f"{shown(LEAST)} to {shown(MOST)}"
        raise BadVersion(406, f"Microversion {text} is not supported; expected {served}")
    return minor


def _of_service(header: str) -> str:
    """Return compute's version, "2.53" of "compute 2.53, placement 1.2", or ""."""
    for part in header.split(","):
        words = part.split()
        if len(words) == 2 and words[0].lower() == SERVICE:
            return words[1]
    return ""


def headers_of(minor: int) -> dict[str, str]:
    """Return the version headers of an answer."""
    return {
        HEADER: f"{SERVICE} {shown(minor)}",
        OLD_HEADER: shown(minor),
        "Vary": f"{HEADER}, {OLD_HEADER}",
    }
