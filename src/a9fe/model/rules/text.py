"""Checks of text for headers, and for single lines of files and listings. Pure."""

import re
import unicodedata

HEADER_TEXT = r"[!-~]([ -~]*[!-~])?"
"""Printable ASCII without leading or trailing blanks, which header parsers strip."""
_HEADER_TEXT = re.compile(HEADER_TEXT)
_BREAKING = frozenset({"Cc", "Zl", "Zp"})
BREAKING = "\x00-\x1f\x7f-\x9f\u2028\u2029"
"""Control characters and line breaks, for a character class of a regular expression."""


def fits_header(text: str) -> bool:
    """Return whether a header can carry the text unchanged."""
    return not text or _HEADER_TEXT.fullmatch(text) is not None


def is_one_line(text: str) -> bool:
    """Return whether the text has no line break or other control character."""
    return text.isprintable() or not any(unicodedata.category(c) in _BREAKING for c in text)
