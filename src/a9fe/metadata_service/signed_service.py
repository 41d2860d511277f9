"""The service behind signed headers: Nova's metadata API as Neutron's agent calls it."""

from collections.abc import Awaitable
from dataclasses import dataclass, field

from a9fe.metadata_service.service import Service
from a9fe.metadata_service.signed_headers import request_id, verify
from a9fe.model.errors import InvalidInput
from a9fe.wire import trusted
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedService:
    """A Handler: verifies the headers with `secret`, and sends instructions to our own hop."""

    service: Service
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse an empty secret, with which anybody could sign. Raises InvalidInput."""
        if not self.secret:
            raise InvalidInput("metadata_proxy_shared_secret", "", "a secret that is not empty")

    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request. HEAD gets the body of GET; the server does not send it."""
        origin = verify(request, self.secret)
        if isinstance(origin, Refusal):
            return self.service.without_origin(origin, request, request_id(request))
        result = self.service.answer(origin, request)
        if isinstance(result, Answer):
            return for_hop(result, request)
        return _later(result, request)


async def _later(result: Awaitable[Answer], request: Request) -> Answer:
    return for_hop(await result, request)


def for_hop(answer: Answer, request: Request) -> Answer:
    """Return the answer with its hop limit as a header; other hops would pass it to the guest."""
    if not answer.hop_limit:
        return answer
    headers = answer.headers
    if trusted.is_from_our_hop(request):
        headers = (*headers, (trusted.HOP_LIMIT, b"%d" % answer.hop_limit))
    return answer.with_headers(headers)
