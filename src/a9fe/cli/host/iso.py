"""An ISO 9660 image of a few files, with Rock Ridge's and Joliet's names."""

import io
from collections.abc import Mapping
from pathlib import PurePosixPath

import pycdlib

FILE_MODE, DIRECTORY_MODE = 0o100444, 0o040555


def image(label: str, files: Mapping[str, bytes]) -> bytes:
    """The image. `files` by path, such as "openstack/latest/user_data".

    ISO 9660's own names are numbers: systems that can read no others know no cloud either.
    """
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=label, joliet=3, rock_ridge="1.09")
    try:
        known: dict[PurePosixPath, str] = {PurePosixPath(): ""}
        for path in sorted({p for name in files for p in PurePosixPath(name).parents}):
            if path not in known:
                known[path] = f"{known[path.parent]}/D{len(known):07d}"
                iso.add_directory(
                    known[path],
                    rr_name=path.name,
                    joliet_path=f"/{path}",
                    file_mode=DIRECTORY_MODE,
                )
        for number, (name, content) in enumerate(sorted(files.items())):
            path = PurePosixPath(name)
            iso.add_fp(
                io.BytesIO(content),
                len(content),
                f"{known[path.parent]}/F{number:07d}.;1",
                rr_name=path.name,
                joliet_path=f"/{path}",
                file_mode=FILE_MODE,
            )
        made = io.BytesIO()
        iso.write_fp(made)
    finally:
        iso.close()
    return made.getvalue()
