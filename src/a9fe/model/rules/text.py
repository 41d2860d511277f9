"""Which text fits into a header, or into one line of a file or a listing. Pure."""

import re
import unicodedata

HEADER_TEXT = r"[!-~]([ -~]*[!-~])?"
"""Printable ASCII without leading or trailing blanks, which header parsers strip."""
_HEADER_TEXT = re.compile(HEADER_TEXT)
_BREAKING = frozenset({"Cc", "Zl", "Zp"})
BREAKING = "\x00-\x1f\x7f-\x9f\u2028\u2029"
"""The characters of Unicode categories, for a character class of a regular expression."""


def fits_header(text: str) -> bool:
    """Whether a header can carry the text unchanged."""
    return not text or _HEADER_TEXT.fullmatch(text) is not None


def is_one_line(text: str) -> bool:
    """Whether the text has no line break or other control character."""
    return text.isprintable() or not any(unicodedata.category(c) in _BREAKING for c in text)
