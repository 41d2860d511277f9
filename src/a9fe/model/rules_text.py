"""Which text may go into a header, or stand as one line in a file or a listing. Pure."""

import re
import unicodedata

HEADER_TEXT = r"[!-~]([ -~]*[!-~])?"
"""Printable ASCII without a blank at either end, which a reader of headers would remove."""
_HEADER_TEXT = re.compile(HEADER_TEXT)
_BREAKING = frozenset({"Cc", "Zl", "Zp"})
BREAKING = "\x00-\x1f\x7f-\x9f\u2028\u2029"
"""The characters of those categories, for a class of a regular expression."""


def fits_header(text: str) -> bool:
    """Whether a header can have the text as its value, and gives it back as it is."""
    return not text or _HEADER_TEXT.fullmatch(text) is not None


def is_one_line(text: str) -> bool:
    """Whether the text has no line break and no other control character."""
    return text.isprintable() or not any(unicodedata.category(c) in _BREAKING for c in text)
