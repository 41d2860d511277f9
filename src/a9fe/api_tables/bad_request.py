"""A request that is not of the protocol's shape."""

from a9fe.model.errors import A9feError


class BadRequest(A9feError):
    """A request that is not of the protocol's shape: `status` 400, 404, 405, 408, 413
    or 415."""

    def __init__(self, status: int, message: str, type: str = "HTTPBadRequest") -> None:
        """`type` as in Neutron's error body."""
        super().__init__(message)
        self.status = status
        self.type = type
