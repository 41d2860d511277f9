"""Vendor data, and the requests and answers of dynamic vendor data (Nova's DynamicJSON). Pure.

Contract: Nova's vendordata REST API. If a provider fails, only its own key has the value `{}`.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from a9fe.metadata.instance_view import InstanceView
from a9fe.metadata.rendered import Json

NEED = "vendordata"  # Entry.needs of documents with the providers' answers
STATIC = "static"
ACCEPTED = frozenset({200, 201, 202, 204})
"""Statuses of a valid answer (Nova)."""
EMPTY: Mapping[str, Json] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderTarget:
    """A provider: the key of its answer in vendor_data2.json, and its URL."""

    name: str
    url: str


def parse_targets(texts: Iterable[str]) -> tuple[ProviderTarget, ...]:
    """Parse targets in Nova's form name@url. Raises ValueError, which says what is wrong.

    The first of several with the same name counts. The name "static" is reserved for the file.
    """
    found: dict[str, ProviderTarget] = {}
    for text in texts:
        name, at, url = text.partition("@")
        parts = urlsplit(url)
        if not (name and at and parts.scheme in {"http", "https"} and parts.hostname):
            raise ValueError(f"{text!r} is not name@url such as site@http://127.0.0.1:9090/")
        if name == STATIC:
            raise ValueError(f"{text!r}: the name {STATIC} is that of vendordata_jsonfile_path")
        found.setdefault(name, ProviderTarget(name=name, url=url))
    return tuple(found.values())


def request_body(view: InstanceView) -> bytes:
    """Return the body of the POST: the same bytes for the same state of the instance."""
    instance = view.instance
    user_data = view.user_data if view.has_user_data else None
    document: dict[str, Json] = {
        "project-id": instance.project_id,
        "instance-id": instance.id,
        "image-id": instance.image_id or instance.image,
        "user-data": None if user_data is None else base64.b64encode(user_data).decode("ascii"),
        "hostname": view.hostname,
        "metadata": instance.metadata,
        "boot-roles": "",
    }
    return json.dumps(document, sort_keys=True).encode("ascii")


def answer_of(status: int, body: bytes) -> Json:
    """Return the JSON of an answer. Raises ValueError, which says why it is not valid."""
    if status not in ACCEPTED:
        raise ValueError(f"status {status}")
    return parse(body) if body else {}


def parse(content: bytes) -> Json:
    """Parse a JSON document of any type, as Nova does. Raises ValueError."""
    try:
        found: Json = json.loads(content, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
