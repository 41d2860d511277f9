"""Imports, before privileges are dropped, the modules that libraries import late.

The checkout and its .venv may be root's alone, as in /root, so a process without privileges may
be unable to read a module's file. `privileges.drop` loads these for every process. The journeys
run all processes with a trace of later imports and expect none (tests/lab/late).
"""

import importlib
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import cast

# Of asyncio and uvloop; of the standard library when a name is resolved, a time is parsed, a text
# is of another encoding, or an exception is logged.
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
# Of httpx, which imports its transport when the first client is made, and more at its first call.
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
# Of rich, when it prints a table. The widths of characters are a module named by their version.
WITH_RICH = ("rich._emoji_codes", "rich.cells")
ABSENT = cast(ModuleType, None)  # as the import system has it
# Of uvicorn, at its first request.
WITH_UVICORN = ("uvicorn.lifespan.off",)


def load() -> None:
    """Import them all. One that is not installed is not needed: uvloop is one that may be so."""
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
            sys.modules.setdefault(name, ABSENT)  # found absent at once, without a search
