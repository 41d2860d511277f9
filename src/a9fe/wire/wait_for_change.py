"""Requests that wait for a change of their document. Hops queue and pool them apart. Pure."""

import re

PARAMETER = b"wait_for_change"  # a query parameter, named as in GCE
_TRUE = re.compile(b"(%b=)(?i:true)" % PARAMETER)  # its value may be in any case


def may_wait(target: bytes) -> bool:
    """Return whether a request may wait. The parameter's name must appear unescaped."""
    return PARAMETER in target


def without_wait(target: bytes) -> bytes:
    """Return the target of the same document, to be answered at once."""
    return _TRUE.sub(rb"\1false", target)
