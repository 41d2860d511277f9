"""Import modules that libraries import late, while the process can still read their files.

The checkout and its .venv may be readable by root only, as in /root. So `privileges.drop` first
imports these modules. The journeys trace imports after that and expect none (tests/lab/late).
"""

import importlib
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import cast

# Imported by asyncio and uvloop, and by the standard library to resolve a name, parse a time,
# decode a text, or log an exception.
ALWAYS = (
    "uvloop",
    "_strptime",
    "concurrent.futures.thread",
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.unicode_escape",
    "encodings.utf_16",
    "encodings.utf_16_be",
    "encodings.utf_16_le",
    "encodings.utf_32",
    "encodings.utf_32_be",
    "encodings.utf_32_le",
    "encodings.utf_8_sig",
    "tokenize",
    "traceback",
)
# Imported by httpx for its first client and its first request.
WITH_HTTPX = (
    "anyio._backends._asyncio",
    "anyio.streams.tls",
    "certifi",
    "encodings.iso8859_1",
    "httpcore",
    "httpcore._backends.anyio",
    "httpcore._backends.auto",
    "sniffio",
)
# Imported by rich to print a table; it names its module of character widths by Unicode version.
WITH_RICH = ("rich._emoji_codes", "rich.cells")
ABSENT = cast(ModuleType, None)  # the import system's own value for a module known to be missing
# Imported by uvicorn at its first request.
WITH_UVICORN = ("uvicorn.lifespan.off",)


def load() -> None:
    """Import the modules. One that is not installed is skipped, such as uvloop."""
    _load(ALWAYS)
    if "httpx" in sys.modules:
        _load(WITH_HTTPX)
    if "uvicorn" in sys.modules:
        _load(WITH_UVICORN)
    if "rich" in sys.modules:
        _load(WITH_RICH)
        sys.modules["rich.cells"].cell_len("\N{CJK UNIFIED IDEOGRAPH-65E5}")


def _load(names: Iterable[str]) -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            sys.modules.setdefault(name, ABSENT)  # later imports fail without a search
