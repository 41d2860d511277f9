"""ISO 9660 images with Rock Ridge and Joliet names."""

import io
from collections.abc import Mapping
from pathlib import PurePosixPath

import pycdlib

FILE_MODE, DIRECTORY_MODE = 0o100444, 0o040555


def image(label: str, files: Mapping[str, bytes]) -> bytes:
    """Return an image with `files` by path, such as "openstack/latest/user_data".

    The plain ISO 9660 names are numbers: every system with cloud-init reads the other names.
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
