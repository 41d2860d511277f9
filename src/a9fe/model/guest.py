"""What an instance holds besides its record of a VM: how its guest may read, and what it wrote.

An instance carries all of it, so that one revision of one resource says what a guest may see.
"""

from dataclasses import dataclass, field

HTTP_TOKENS = ("off", "optional", "observe", "required")
"""IMDSv2 (EC2's HttpTokens, and two of ours): not offered; offered; offered, and who asks without
is counted; demanded."""
GUEST_ATTRIBUTES = ("off", "on")
EVENT_CODES = (
    "instance-reboot",
    "instance-retirement",
    "instance-stop",
    "system-maintenance",
    "system-reboot",
)
"""Kinds of scheduled events (EC2's)."""
EVENT_STATES = ("active", "completed", "canceled")
PASSWORD_MAX = 1020  # bytes of an encrypted password (Nova: four columns of 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataOptions:
    """How a guest may ask; "" and 0: as the cloud's options say.

    `http_tokens` is one of HTTP_TOKENS. `http_tokens_required_after`: seconds after the
    instance's created_at from which tokens are demanded whatever http_tokens says, None for
    never. `http_put_response_hop_limit`: IP hops that an answer with a token lives (1-64).
    `guest_attributes`: whether the guest may write attributes, one of GUEST_ATTRIBUTES.
    """

    http_tokens: str = ""
    http_tokens_required_after: int | None = None
    http_put_response_hop_limit: int = 0
    guest_attributes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledEvent:
    """Maintenance that operators announce. Times ISO 8601 UTC; "": not known, not yet.

    `code` is one of EVENT_CODES, `state` one of EVENT_STATES. `acknowledged_at`: when the guest
    said that it is ready.
    """

    id: str
    code: str
    description: str = ""
    not_before: str = ""
    not_after: str = ""
    state: str = "active"
    acknowledged_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedFile:
    """A file for the guest's cloud-init to write: absolute `path` (Nova's personality)."""

    path: str
    content: bytes = field(default=b"", repr=False)
