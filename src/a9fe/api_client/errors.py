"""Errors of the API clients, and the mapping of answers to errors."""

import httpx

from a9fe.model.errors import A9feError

UNAUTHORIZED = 401
UNKNOWN_CALLER = (
    ": set A9FE_AUTH_TOKEN, or auth_token in the configuration, to a token from"
    " `a9fe token create` or Keystone; root on the server's host needs none if auth_strategy"
    " is token"
)


class ApiError(A9feError):
    """The server refused the request: HTTP `status`, `type` and `message` of its NeutronError."""

    def __init__(self, status: int, type: str, message: str) -> None:
        """The text is the server's message; for 401, also what to do."""
        super().__init__(f"{message}{UNKNOWN_CALLER if status == UNAUTHORIZED else ''}")
        self.status = status
        self.type = type
        self.message = message


class ServerUnreachable(A9feError):
    """No server answers at the URL."""

    def __init__(self, url: str, reason: object) -> None:
        """The text also says what to do."""
        super().__init__(
            f"no API server answers at {url} ({reason}): start it with `sudo a9fe up`,"
            " or name another with --server-url or A9FE_SERVER_URL"
        )
        self.url = url


class FeedLost(A9feError):
    """The change feed broke, or sent an unreadable line. Connect again."""


class AmbiguousName(A9feError):
    """Several resources have this name."""

    def __init__(self, what: str, name: str, ids: list[str]) -> None:
        """The text lists the ids to choose from."""
        super().__init__(
            f"{what}: {len(ids)} are named {name!r}, expected one of their ids: {', '.join(ids)}"
        )


def reason_of(error: httpx.HTTPError) -> str:
    """Return a short reason for a transport error."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return str(error) or type(error).__name__


def raise_for(response: httpx.Response) -> httpx.Response:
    """Return a successful response. Raises ApiError for any other."""
    if response.is_success:
        return response
    try:
        body = response.json()["NeutronError"]
        error = ApiError(response.status_code, str(body["type"]), str(body["message"]))
    except (ValueError, KeyError, TypeError):
        text = f"{response.request.url} answered {response.status_code} {response.reason_phrase}"
        error = ApiError(response.status_code, "", text)
    raise error
