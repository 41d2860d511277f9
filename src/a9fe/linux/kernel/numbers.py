"""The numbers that events of other namespaces have, with the names of those namespaces.

The kernel numbers a namespace when a pair connects it to this one (RTM_GETNSID). A number belongs
to one namespace until that is freed; the next one that is observed with it takes it over.
"""

import os
from contextlib import suppress

from a9fe.linux.kernel import namespace, rtnetlink

NONE = -1


class Numbers:
    """Names of namespaces by their numbers. Learnt in one thread, read in any."""

    def __init__(self) -> None:
        """Start without names."""
        self._names: dict[int, str] = {}

    def learn(self, space: str) -> None:
        """Remember the number of a namespace, if it exists. Call it in the host's namespace."""
        with suppress(OSError):
            fd = os.open(namespace.path(space), os.O_RDONLY | os.O_CLOEXEC)
            try:
                number = rtnetlink.namespace_number(fd)
            finally:
                os.close(fd)
            if number != NONE:
                self._names[number] = space

    def name_of(self, number: int) -> str:
        """The namespace with that number; "" if it is none that was observed."""
        return self._names.get(number, "")
