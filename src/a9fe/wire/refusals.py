"""Every refusal of the metadata path, once: its reason, status, and whether to try again.

Counters (`a9fe_refusals_total{reason=}`), log lines and answers come from this table. cloud-init
takes 404 as final and retries 503, so 404 is said only when certain.
"""

from dataclasses import dataclass
from enum import Enum

from a9fe.wire.message import Answer


@dataclass(frozen=True, slots=True)
class Rule:
    """How a refusal is said: `text` to the guest (plain ASCII), `why` to the operator.

    `retry_after` in seconds, None where trying again is of no use.
    """

    status: int
    text: str
    why: str
    retry_after: int | None = None


class Refusal(Enum):
    """Why a request got no metadata. The name is the counter's label, in lower case."""

    NO_PORT = Rule(
        404, "No instance has this address on this network.", "no port has this address there"
    )
    SEVERAL_PORTS = Rule(
        404, "This address is ambiguous here.", "more than one port has this address there"
    )
    NO_INSTANCE_ON_PORT = Rule(
        404,
        "The port with this address belongs to no instance.",
        "the port with this address has no device_id of an instance",
    )
    UNUSABLE_ID = Rule(
        404,
        "The port with this address belongs to no instance.",
        "the port's device_id or project_id is not printable ASCII and cannot be sent in a"
        " header: change it",
    )
    NOT_SYNCED = Rule(503, "Not ready yet, try again.", "the replica is still catching up", 2)
    UNCONFIRMED = Rule(503, "Not ready yet, try again.", "the server could not confirm a 404", 2)
    SOURCE_LOST = Rule(
        503, "Not ready, try again.", "the server is out of reach for too long to be certain", 5
    )
    WIRE_DIFFERS = Rule(
        503,
        "Not ready yet, try again.",
        "the model has another port, network or address for the router interface of this request",
        2,
    )
    WRONG_MAC = Rule(
        503,
        "Not ready yet, try again.",
        "the MAC of the connection is not the MAC of the port with this address",
        2,
    )
    CONNECTION_TOO_OLD = Rule(
        503,
        "The address changed hands, connect again.",
        "the connection was made before this port had this address",
        1,
    )
    OTHER_OWNER = Rule(
        503,
        "The address changed hands, connect again.",
        "the connection has answers of another port",
        1,
    )
    SOURCE_UNREADABLE = Rule(
        503, "Not ready, try again.", "the replica on disk cannot be read: see the log", 5
    )
    UPSTREAM_UNREACHABLE = Rule(
        503, "The metadata service is not reachable, try again.", "cannot connect upstream", 2
    )
    UPSTREAM_BROKEN = Rule(
        503, "The metadata service broke off, try again.", "upstream closed or spoke no HTTP", 2
    )
    UPSTREAM_TIMEOUT = Rule(504, "The metadata service is too slow.", "upstream did not answer")
    BOTH_IDS = Rule(
        400, "Both a network id and a router id were given.", "both id headers on the socket"
    )
    NO_ID = Rule(
        400, "Neither a network id nor a router id was given.", "no id header on the socket"
    )
    BAD_ADDRESS = Rule(
        400, "X-Forwarded-For is missing or no single address.", "X-Forwarded-For is unusable"
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
        403, "Invalid proxy request signature.", "signature is wrong: shared secrets differ?"
    )
    UNKNOWN_INSTANCE = Rule(404, "No such instance.", "no instance has this id")
    INSTANCE_EXPECTED = Rule(
        503, "Not ready yet, try again.", "a new port names an instance that has no record yet", 2
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
        409, "A password has been set already.", "a second password: its owner may clear the first"
    )
    BAD_PASSWORD = Rule(
        400,
        "A password is 1 to 1020 bytes of UTF-8 text.",
        "a password too long, empty or no text",
    )
    GUEST_ATTRIBUTES_OFF = Rule(
        403,
        "Guest attributes are off for this instance.",
        "see enable_guest_attributes, and the instance's metadata_options",
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
        "a guest attribute over the instance's bounds",
    )
    EVENT_IS_OVER = Rule(409, "The event is over.", "an event acknowledged that is not active")
    TOO_MANY_WRITES = Rule(
        429, "Too many writes, try again later.", "an instance over the rate of writes", 2
    )
    SERVER_AWAY = Rule(
        503, "Cannot be kept now, try again.", "the server does not take a guest's write", 5
    )
    BAD_AUDIENCE = Rule(
        400,
        "audience: is needed once, 1 to 255 characters of printable ASCII.",
        "a token asked for without an audience, or with a bad one",
    )
    BAD_NONCE = Rule(
        400,
        "nonce: may be given once, at most 255 characters of printable ASCII.",
        "a token asked for with a bad nonce",
    )
    IDENTITY_NOT_READY = Rule(
        503, "Nothing can be signed yet, try again.", "no server has this host's identity key", 5
    )
    METHOD_NOT_ALLOWED = Rule(405, "Method not allowed.", "the path does not take this method")
    NO_TOKEN = Rule(401, "A token is needed.", "a token is demanded, and none was shown")
    BAD_TOKEN = Rule(401, "The token is not valid.", "the token is altered, expired or another's")
    TOKEN_TTL = Rule(
        400,
        "X-aws-ec2-metadata-token-ttl-seconds must be a whole number from 1 to 21600.",
        "a token was asked for without a usable time to live",
    )
    TOKENS_OFF = Rule(403, "No tokens are given here.", "http_tokens is off for the instance")
    TOKEN_DATED = Rule(
        403, "Tokens are had at /latest/api/token.", "a token was asked for at a dated version"
    )
    FORWARDED = Rule(
        403,
        "Tokens are not given to requests with X-Forwarded-For.",
        "the guest had sent an X-Forwarded-For with its request for a token",
    )
    BAD_PARAMETER = Rule(400, "Bad parameter.", "a parameter of the query is unusable")
    TOO_MANY_WAITERS = Rule(
        503, "Too many requests wait for a change, try again.", "over the limit of waiters", 5
    )
    RATE_LIMITED = Rule(429, "Too many requests, try again later.", "over the rate limit", 10)
    MALFORMED = Rule(400, "Malformed or ambiguous HTTP.", "malformed or ambiguous HTTP")
    HEAD_TOO_LARGE = Rule(431, "Request head too large.", "request head over the limit")
    BODY_TOO_LARGE = Rule(413, "Request body too large.", "request body over the limit")
    HEAD_TIMEOUT = Rule(408, "The request did not arrive in time.", "request came too slowly")
    TOO_MANY_CONNECTIONS = Rule(
        503, "Too many connections, try again.", "over the connection limit", 1
    )
    TOO_MANY_AT_ONCE = Rule(
        503, "Too many requests at once, try again.", "over the limit of waiting requests", 1
    )
    GAVE_WAY = Rule(
        503,
        "Too many connections or too much memory in use, try again.",
        "closed a connection of the guest that held most connections or memory",
        1,
    )
    INTERNAL = Rule(500, "Internal error.", "a defect of ours: see the traceback in the log")

    @property
    def label(self) -> str:
        """The counter's label."""
        return self.name.lower()


def refuse(refusal: Refusal, request_id: str = "", *, retry_after: int | None = None) -> Answer:
    """The answer a guest gets. `request_id` joins its console log to the operator's.

    `retry_after` in seconds, where better known than in the table.
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
