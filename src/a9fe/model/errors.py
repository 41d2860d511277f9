"""The root of every error of ours, and the few kinds of bad input.

An error class carries, once, how an API answer reports it: its HTTP status and its type, the
name that Neutron's clients match.
"""

from typing import ClassVar

SHOWN_MAX = 200  # characters of a client's value in a message: enough to recognise it
FAILED = "The server failed; its log says why"
OVER_QUOTA = "OverQuota"


def shortened(text: str) -> str:
    """The text, cut at SHOWN_MAX characters."""
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "..."


class A9feError(Exception):
    """Root of all errors. The text is one clear line for the person who reads it.

    A class whose errors are the client's fault sets `status` and `type`; all others are 500.
    """

    status: int = 500
    type: str = "HTTPInternalServerError"

    @property
    def public(self) -> str:
        """The message for a client: the text, unless the fault is the server's own."""
        return FAILED if self.status == 500 else shortened(str(self))


class InvalidInput(A9feError):
    """A value that is not accepted: names the field, the value, and what is expected."""

    status = 400

    def __init__(
        self, field: str, value: object, expected: str, *, type: str = "", words: str = ""
    ) -> None:
        """`expected` names a right value, e.g. "an IPv4 CIDR such as 10.1.0.0/24".

        `type` and `words` are the error type and message that Neutron's clients match.
        """
        super().__init__(f"{field}: {value!r} is not valid, expected {expected}")
        self.field = field
        self.value = value
        self.expected = expected
        self.type = type or "InvalidInput"
        self.words = words

    @property
    def public(self) -> str:
        """Neutron's words, if given, and ours, each with a long value cut."""
        field, value = shortened(self.field), shortened(repr(self.value))
        ours = f"{field}: {value} is not valid, expected {self.expected}"
        return f"{shortened(self.words)} ({ours})" if self.words else ours


class NotFound(A9feError):
    """No such resource. `kind` as in model.resources.KINDS, `id` as in the request."""

    status = 404
    NAMES: ClassVar = {
        "subnetpool": "Subnet pool",
        "floatingip": "Floating IP",
        "rbac_policy": "RBAC policy of type network with ID",
    }
    """Kinds that messages do not call by the kind's own words."""
    TYPES: ClassVar = {"subnetpool": "SubnetPoolNotFound", "floatingip": "FloatingIPNotFound"}
    """Kinds whose error type is not the kind's words in CamelCase."""

    def __init__(self, kind: str, id: str) -> None:
        """Make Neutron's message and error type from the kind."""
        missing = "does not exist" if kind.startswith("security_group") else "could not be found"
        name = self.NAMES.get(kind) or kind.replace("_", " ").capitalize()
        super().__init__(f"{name} {id} {missing}")
        camel_case = "".join(word.capitalize() for word in kind.split("_"))
        self.type = self.TYPES.get(kind, f"{camel_case}NotFound")
        self.kind = kind
        self.id = id


class Conflict(A9feError):
    """A valid request that the current state does not allow: in use, taken, exhausted."""

    status = 409

    def __init__(self, type: str, message: str) -> None:
        """`type` is Neutron's error type."""
        super().__init__(message)
        self.type = type

    @property
    def public(self) -> str:
        """The whole text: operations write it, and bound what they quote."""
        return str(self)


class Forbidden(A9feError):
    """The caller is known, but may not do this; the text names the action."""

    status = 403
    type = "PolicyNotAuthorized"
