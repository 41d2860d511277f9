"""A bounded memo of what equal bytes mean. Pure.

A hostile client that sends many different bytes must not push out those that others repeat: bytes
are remembered the second time that they are met, among the last ones that were met once.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Memo(Generic[T]):
    """The values of at most `entries` keys of at most `key_bytes` each."""

    __slots__ = ("_entries", "_key_bytes", "_met_once", "get", "values")

    def __init__(self, *, entries: int, key_bytes: int) -> None:
        """Start empty. Twice `entries` keys are kept in all, half of them without a value."""
        self._entries = entries
        self._key_bytes = key_bytes
        self._met_once: OrderedDict[bytes, None] = OrderedDict()
        self.values: OrderedDict[bytes, T] = OrderedDict()
        self.get = self.values.get
        """Return the value of a key; None if it is not remembered."""

    def meet(self, key: bytes, value: T) -> None:
        """Remember the value if the key was met before; the oldest value gives way."""
        if len(key) > self._key_bytes or key in self.values:
            return
        if key not in self._met_once:
            self._met_once[key] = None
            if len(self._met_once) > self._entries:
                self._met_once.popitem(last=False)
            return
        del self._met_once[key]
        self.values[key] = value
        if len(self.values) > self._entries:
            self.values.popitem(last=False)
