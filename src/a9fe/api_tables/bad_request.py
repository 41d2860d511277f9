"""A request that violates HTTP or the API's envelope, before any resource is looked at."""

from a9fe.model.errors import A9feError


class BadRequest(A9feError):
    """`status` is 400, 404, 405, 408, 413 or 415."""

    def __init__(self, status: int, message: str, type: str = "HTTPBadRequest") -> None:
        """`type` as in Neutron's error body."""
        super().__init__(message)
        self.status = status
        self.type = type

    @property
    def public(self) -> str:
        """The whole text: the raiser bounds what it quotes."""
        return str(self)
