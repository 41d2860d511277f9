"""The Unix socket metadata_proxy_socket in the host shape: requests with a proxy's headers.

Neutron's haproxy, `a9fe ns-metadata-proxy` and `a9fe vm wait-ready` send requests there, as they
do to hop 2.
"""

from collections.abc import Awaitable

from a9fe.metadata_agent.agent import request_id_of
from a9fe.metadata_agent.lookup_key import parse_lookup_key
from a9fe.metadata_host.handler import Asked, MetadataHost, for_service
from a9fe.wire import trusted
from a9fe.wire.message import Answer, Request
from a9fe.wire.refusals import Refusal


def of_proxy(host: MetadataHost, request: Request) -> Answer | Awaitable[Answer]:
    """Answer a request of a proxy, by its headers."""
    request_id = request_id_of(request) or host.report.ids.new()
    key = parse_lookup_key(request)
    if isinstance(key, Refusal):
        return host.report.refusal(key, request, request_id=request_id)
    result = host.answer(
        Asked(
            request=for_service(request),
            key=key,
            id=request_id,
            is_forwarded=trusted.is_forwarded(request),
            is_probe=bool(request.values(trusted.PROBE)),
        )
    )
    by_our_proxy = key.by_our_proxy
    if isinstance(result, Answer):
        return for_proxy(result, by_our_proxy=by_our_proxy)
    return _later(result, by_our_proxy=by_our_proxy)


async def _later(result: Awaitable[Answer], *, by_our_proxy: bool) -> Answer:
    return for_proxy(await result, by_our_proxy=by_our_proxy)


def for_proxy(answer: Answer, *, by_our_proxy: bool) -> Answer:
    """Return the answer with instructions as headers; another proxy would pass them to the guest.

    The opposite of metadata_proxy.relay.answer_for_guest.
    """
    headers = list(answer.headers)
    if by_our_proxy:
        if answer.hop_limit:
            headers.append((trusted.HOP_LIMIT, b"%d" % answer.hop_limit))
        if answer.owner:
            headers.append((trusted.OWNER, answer.owner))
        if answer.close:
            headers.append((trusted.CLOSE, b"1"))
    return answer.with_headers(tuple(headers))
