"""Instances whose user data is read only when needed: it is large and rarely requested."""

from collections.abc import Callable
from dataclasses import dataclass

from a9fe.model.resources import Instance

UserDataReader = Callable[[], bytes]
"""Return an instance's user data. Raises A9feError if it cannot be read."""


@dataclass(frozen=True, slots=True)
class KnownInstance:
    """An instance, and the reader of its user data; None if the instance has no user data.

    The reader returns the user data of the revision of `instance`. `instance.user_data` is not
    used: a replica leaves it out.
    """

    instance: Instance
    read_user_data: UserDataReader | None = None


def loaded(instance: Instance) -> KnownInstance:
    """Return an instance that was loaded with its user data."""
    data = instance.user_data
    return KnownInstance(instance) if data is None else KnownInstance(instance, lambda: data)
