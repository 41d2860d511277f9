"""Import two libraries without rich and pygments, which they import if they are installed.

structlog has a console renderer with them, httpx a command; processes use neither. It saves 6 MiB
and 50 ms of CPU.
"""

import importlib
import sys
from collections.abc import Iterable

from a9fe.runtime.preload import ABSENT

OPTIONAL = ("rich", "pygments")


def load(libraries: Iterable[str]) -> None:
    """Import the libraries, if they are not imported yet."""
    hidden = [name for name in OPTIONAL if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = ABSENT
    try:
        for library in libraries:
            importlib.import_module(library)
    finally:
        for name in hidden:
            del sys.modules[name]
