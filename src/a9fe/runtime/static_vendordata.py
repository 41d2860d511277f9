"""Static vendor data: the operator's JSON file, read again when it changes."""

from collections.abc import Callable
from pathlib import Path

from a9fe.metadata.openstack import vendordata
from a9fe.metadata.rendered import Json
from a9fe.runtime import whole_files

EMPTY: Json = {}
SIZE_MAX = 1024 * 1024  # bytes; every VM reads it at each boot


class VendordataFile:
    """The content of Nova's vendordata_jsonfile_path.

    A missing or wrong file is served as `{}`; `unusable(path, reason)` is called once for each
    state of it.
    """

    def __init__(self, path: str, unusable: Callable[[str, str], None]) -> None:
        """`path` is "" for no file. The file is read at the first call."""
        self._path = path
        self._unusable = unusable
        self._state: object = None
        self._content = EMPTY

    def __call__(self) -> Json:
        """Return the current content. Costs one stat, and a read if the file changed."""
        if self._path and (state := self._stat()) != self._state:
            self._state = state
            self._content = self._read()
        return self._content

    def _stat(self) -> object:
        try:
            found = Path(self._path).stat()
        except OSError as error:
            return error.errno
        return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode)

    def _read(self) -> Json:
        try:
            return vendordata.parse(self._bytes())
        except OSError as error:
            self._unusable(self._path, error.strerror or str(error))
        except (ValueError, whole_files.TooLarge) as error:
            self._unusable(self._path, str(error))
        return EMPTY

    def _bytes(self) -> bytes:
        path = Path(self._path)
        if path.exists() and not path.is_file():
            raise ValueError("not a regular file")
        return whole_files.read(path, SIZE_MAX)
