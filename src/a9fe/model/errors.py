"""The root of every error of ours, and the few kinds of bad input."""


class A9feError(Exception):
    """Root: its text is one clear line for the person who reads it."""


class InvalidInput(A9feError):
    """A value that cannot be accepted: names the field, the value, and what would be right."""

    def __init__(
        self, field: str, value: object, expected: str, *, type: str = "", words: str = ""
    ) -> None:
        """`expected` says what would be right, e.g. "an IPv4 CIDR such as 10.1.0.0/24".

        `type` and `words` are the error type and message that Neutron's clients match.
        """
        super().__init__(f"{field}: {value!r} is not valid, expected {expected}")
        self.field = field
        self.value = value
        self.expected = expected
        self.type = type or "InvalidInput"
        self.words = words


NAMES = {
    "subnetpool": "Subnet pool",
    "floatingip": "Floating IP",
    "rbac_policy": "RBAC policy of type network with ID",
}
"""Kinds whose name in messages differs from the kind."""


class NotFound(A9feError):
    """No such resource. `kind` as in model.resources.KINDS, `id` as asked for."""

    def __init__(self, kind: str, id: str) -> None:
        """Keep what was asked for."""
        missing = "does not exist" if kind.startswith("security_group") else "could not be found"
        name = NAMES.get(kind) or kind.replace("_", " ").capitalize()
        super().__init__(f"{name} {id} {missing}")
        self.kind = kind
        self.id = id


class Conflict(A9feError):
    """Valid, but not now: in use, taken, exhausted. `type` is Neutron's error type."""

    def __init__(self, type: str, message: str) -> None:
        """Keep Neutron's type for the error body."""
        super().__init__(message)
        self.type = type


class Forbidden(A9feError):
    """The caller, whom we know, may not do this; the text says what (403)."""
