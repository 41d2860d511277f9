"""Parts of an instance that concern its guest: metadata options, scheduled events, files.

They are fields of the instance, so that one revision has all that a guest may read.
"""

from dataclasses import dataclass, field

HTTP_TOKENS = ("off", "optional", "observe", "required")
"""Use of IMDSv2 tokens: not issued; optional; optional, and requests without one are counted;
required. "optional" and "required" are EC2's HttpTokens."""
GUEST_ATTRIBUTES = ("off", "on")
EVENT_CODES = (
    "instance-reboot",
    "instance-retirement",
    "instance-stop",
    "system-maintenance",
    "system-reboot",
)
"""EC2's codes of scheduled events."""
EVENT_STATES = ("active", "completed", "canceled")
PASSWORD_MAX = 1020  # bytes of an encrypted password (Nova: four columns of 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataOptions:
    """Metadata options of an instance; "" and 0 mean the server's options apply.

    `http_tokens` is one of HTTP_TOKENS. `http_tokens_required_after`: seconds after created_at
    from which tokens are required whatever http_tokens is; None for never.
    `http_put_response_hop_limit`: IP hop limit (TTL) of an answer with a token, 1 to 64.
    `guest_attributes`: whether the guest may write attributes, one of GUEST_ATTRIBUTES.
    """

    http_tokens: str = ""
    http_tokens_required_after: int | None = None
    http_put_response_hop_limit: int = 0
    guest_attributes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledEvent:
    """Maintenance that operators announce. Times are ISO 8601 UTC; "" if not known or not yet.

    `code` is one of EVENT_CODES, `state` one of EVENT_STATES. `acknowledged_at` is the time of the
    guest's acknowledgement.
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
    """A file that the guest's cloud-init writes to the absolute `path` (Nova's personality)."""

    path: str
    content: bytes = field(default=b"", repr=False)
