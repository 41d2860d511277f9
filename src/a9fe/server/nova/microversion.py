"""Nova's microversions: the one that a request wants, and the headers of its answer.

A request has `OpenStack-API-Version: compute 2.53` (OpenStack's microversion specification) or
Nova's older `X-OpenStack-Nova-API-Version: 2.53`; without them it gets the lowest. Here a version
is its minor number.
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
    """A malformed version (400) or one that is not served (406)."""

    def __init__(self, status: int, message: str) -> None:
        """`status` of the answer."""
        super().__init__(message)
        self.status = status


def shown(minor: int) -> str:
    """Return a version as text, such as "2.53"."""
    return f"2.{minor}"


def asked(headers: Mapping[str, str]) -> int:
    """Return the minor version that a request wants. Raises BadVersion."""
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
        raise BadVersion(406, f"Microversion {text} is not served, only {served}")
    return minor


def _of_service(header: str) -> str:
    """Return the version of compute in "compute 2.53, placement 1.2", or ""."""
    for part in header.split(","):
        words = part.split()
        if len(words) == 2 and words[0].lower() == SERVICE:
            return words[1]
    return ""


def said(minor: int) -> dict[str, str]:
    """Return the headers of an answer."""
    return {
        HEADER: f"{SERVICE} {shown(minor)}",
        OLD_HEADER: shown(minor),
        "Vary": f"{HEADER}, {OLD_HEADER}",
    }
