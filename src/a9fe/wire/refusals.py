"""The refusals of the metadata path: reason, status, texts, and when to try again.

Counters (`a9fe_refusals_total{reason=}`), log lines and answers come from this table. cloud-init
takes 404 as final and retries 503, so a 404 must be certain.
"""

from dataclasses import dataclass
from enum import Enum

from a9fe.wire.message import Answer


@dataclass(frozen=True, slots=True)
class Rule:
    """A refusal's status, its `text` for the guest (plain ASCII), and `why` for the operator.

    `retry_after` in seconds, None if trying again does not help.
    """

    status: int
    text: str
    why: str
    retry_after: int | None = None


class Refusal(Enum):
    """The reasons. The name in lower case is the counter's label."""

    NO_PORT = Rule(
        404,
        "No instance has this address on this network.",
        "no port on this network or router has this address",
    )
    SEVERAL_PORTS = Rule(
        404,
        "This address is ambiguous here.",
        "several ports on this network or router have this address",
    )
    NO_INSTANCE_ON_PORT = Rule(
        404,
        "The port with this address belongs to no instance.",
        "the device_id of the port with this address is no instance",
    )
    UNUSABLE_ID = Rule(
        404,
        "The port with this address belongs to no instance.",
        "the port's device_id or project_id is not printable ASCII and cannot be sent in a"
        " header: change them",
    )
    NOT_SYNCED = Rule(503, "Not ready yet, try again.", "the replica is not up to date yet", 2)
    UNCONFIRMED = Rule(
        503,
        "Not ready yet, try again.",
        "the server did not confirm that nothing has this address",
        2,
    )
    SOURCE_LOST = Rule(
        503, "Not ready, try again.", "no contact with the server for over source_lost_after", 5
    )
    WIRE_DIFFERS = Rule(
        503,
        "Not ready yet, try again.",
        "in the model, the router interface of this request has another port, network or address",
        2,
    )
    WRONG_MAC = Rule(
        503,
        "Not ready yet, try again.",
        "the guest MAC is not the MAC of the port with this address",
        2,
    )
    MAC_UNKNOWN = Rule(
        503,
        "Not ready yet, try again.",
        "no port has this IPv6 address, and the MAC of the connection is unknown",
        1,
    )
    CONNECTION_TOO_OLD = Rule(
        503,
        "The address has a new owner, connect again.",
        "the connection is older than the port's address",
        1,
    )
    OTHER_OWNER = Rule(
        503,
        "The address has a new owner, connect again.",
        "an earlier answer on this connection was for another port",
        1,
    )
    SOURCE_UNREADABLE = Rule(
        503, "Not ready, try again.", "the replica on disk cannot be read, see the log", 5
    )
    UPSTREAM_UNREACHABLE = Rule(
        503, "The metadata service is not reachable, try again.", "cannot connect upstream", 2
    )
    UPSTREAM_UNTRUSTED = Rule(
        503,
        "The metadata service is not reachable, try again.",
        "the TLS handshake with upstream failed: see auth_ca_cert and nova_client_cert",
        10,
    )
    UPSTREAM_BROKEN = Rule(
        503,
        "The metadata service failed, try again.",
        "upstream closed, or its answer is not HTTP",
        2,
    )
    UPSTREAM_TIMEOUT = Rule(
        504, "The metadata service did not answer in time.", "upstream did not answer"
    )
    BOTH_IDS = Rule(
        400, "Both a network id and a router id were given.", "both id headers are present"
    )
    NO_ID = Rule(
        400, "Neither a network id nor a router id was given.", "both id headers are missing"
    )
    BAD_ADDRESS = Rule(
        400,
        "X-Forwarded-For must be one address.",
        "X-Forwarded-For is missing or not one address",
    )
    NO_INSTANCE_ID = Rule(
        400, "X-Instance-ID header is missing from request.", "no X-Instance-ID header"
    )
    NO_TENANT_ID = Rule(
        400, "X-Tenant-ID header is missing from request.", "no X-Tenant-ID header"
    )
    NO_SIGNATURE = Rule(
        400, "X-Instance-ID-Signature header is missing from request.", "no signature header"
    )
    BAD_SIGNATURE = Rule(
        403,
        "Invalid proxy request signature.",
        "wrong signature: is metadata_proxy_shared_secret the same everywhere?",
    )
    UNKNOWN_INSTANCE = Rule(404, "No such instance.", "no instance has this id")
    INSTANCE_EXPECTED = Rule(
        503, "Not ready yet, try again.", "the instance of a new port has no record yet", 2
    )
    WRONG_TENANT = Rule(404, "No such instance.", "the port's project is not the instance's")
    VENDORDATA_FAILED = Rule(
        503,
        "Vendor data is not ready, try again.",
        "a provider of dynamic vendor data failed, and vendordata_dynamic_failure_fatal is on",
        5,
    )
    NO_SUCH_PATH = Rule(404, "No such path.", "the metadata tree has no such path")
    PASSWORD_IS_SET = Rule(
        409,
        "A password is already set.",
        "a second password; the instance's owner may clear the first",
    )
    BAD_PASSWORD = Rule(
        400,
        "A password is 1 to 1020 bytes of UTF-8 text.",
        "a password that is too long, empty or not text",
    )
    GUEST_ATTRIBUTES_OFF = Rule(
        403,
        "Guest attributes are disabled for this instance.",
        "see enable_guest_attributes and the instance's metadata_options",
    )
    BAD_ATTRIBUTE = Rule(
        400,
        "Namespace and key are 1 to 64 letters, digits, _, . or -, "
        "and the value at most 1024 bytes of UTF-8 text.",
        "a guest attribute with a bad name or value",
    )
    TOO_MANY_ATTRIBUTES = Rule(
        409,
        "An instance has at most 64 guest attributes of 16384 bytes together.",
        "a guest attribute above the instance's limits",
    )
    EVENT_IS_OVER = Rule(409, "The event is not active.", "an acknowledged event is not active")
    TOO_MANY_WRITES = Rule(
        429,
        "Too many writes, try again later.",
        "the instance is over the rate limit of writes",
        2,
    )
    SERVER_AWAY = Rule(
        503, "Cannot be stored now, try again.", "the server did not store a guest's write", 5
    )
    BAD_AUDIENCE = Rule(
        400,
        "audience: required once, 1 to 255 characters of printable ASCII.",
        "an identity token was requested without a valid audience",
    )
    BAD_NONCE = Rule(
        400,
        "nonce: allowed once, at most 255 characters of printable ASCII.",
        "an identity token was requested with an invalid nonce",
    )
    IDENTITY_NOT_READY = Rule(
        503, "Cannot sign yet, try again.", "the server does not know this host's identity key", 5
    )
    METHOD_NOT_ALLOWED = Rule(405, "Method not allowed.", "the path does not allow this method")
    NO_TOKEN = Rule(
        401, "A token is required.", "an IMDSv2 token is required, and the request has none"
    )
    BAD_TOKEN = Rule(
        401,
        "The token is not valid.",
        "the IMDSv2 token is forged, expired or of another instance",
    )
    TOKEN_TTL = Rule(
        400,
        "X-aws-ec2-metadata-token-ttl-seconds must be a whole number from 1 to 21600.",
        "an IMDSv2 token was requested without a valid time to live",
    )
    TOKENS_OFF = Rule(403, "Tokens are disabled.", "http_tokens is off for the instance")
    TOKEN_DATED = Rule(
        403, "Request tokens at /latest/api/token.", "a token was requested at a dated version"
    )
    FORWARDED = Rule(
        403,
        "A request for a token must not have X-Forwarded-For.",
        "the guest requested a token with an X-Forwarded-For header",
    )
    BAD_PARAMETER = Rule(400, "Bad parameter.", "a parameter of the query is invalid")
    TOO_MANY_WAITERS = Rule(
        503,
        "Too many requests wait for a change, try again.",
        "over the limit of waiting requests",
        5,
    )
    RATE_LIMITED = Rule(429, "Too many requests, try again later.", "over the rate limit", 10)
    MALFORMED = Rule(400, "Malformed or ambiguous HTTP.", "malformed or ambiguous HTTP")
    HEAD_TOO_LARGE = Rule(431, "Request head too large.", "the request head is over the limit")
    BODY_TOO_LARGE = Rule(413, "Request body too large.", "the request body is over the limit")
    HEAD_TIMEOUT = Rule(
        408, "The request did not arrive in time.", "the request arrived too slowly"
    )
    TOO_MANY_CONNECTIONS = Rule(
        503, "Too many connections, try again.", "over the connection limit", 1
    )
    TOO_MANY_AT_ONCE = Rule(
        503, "Too many requests at once, try again.", "over the limit of queued requests", 1
    )
    GAVE_WAY = Rule(
        503,
        "Too many connections or too much memory in use, try again.",
        "closed a connection of the client with most connections or memory",
        1,
    )
    INTERNAL = Rule(500, "Internal error.", "a defect of a9fe, see the traceback in the log")

    @property
    def label(self) -> str:
        """Return the counter's label."""
        return self.name.lower()


def refuse(refusal: Refusal, request_id: str = "", *, retry_after: int | None = None) -> Answer:
    """Return the guest's answer. `request_id` joins the guest's log to the operator's.

    `retry_after` in seconds replaces the table's.
    """
    rule = refusal.value
    seconds = rule.retry_after if retry_after is None else retry_after
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"text/plain; charset=UTF-8")]
    if seconds is not None:
        headers.append((b"retry-after", str(seconds).encode()))
    text = rule.text
    if request_id:
        headers.append((b"x-a9fe-request-id", request_id.encode()))
        text = f"{text} (request {request_id})"
    return Answer(status=rule.status, headers=tuple(headers), body=text.encode() + b"\n")
