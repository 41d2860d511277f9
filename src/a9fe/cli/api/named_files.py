"""Files named on the command line, read up to a limit; public keys among them."""

from pathlib import Path

from a9fe.api_client.client import Document
from a9fe.model.errors import A9feError, InvalidInput
from a9fe.runtime import whole_files

KEY_MAX = 65536  # bytes: the largest RSA keys take 4 KiB


def read_file(option: str, path: Path, limit: int, expected: str) -> bytes:
    """Read a file of at most `limit` bytes. Raises A9feError that names the option."""
    try:
        return whole_files.read(path.expanduser(), limit)
    except whole_files.TooLarge as error:
        raise InvalidInput(option, str(path), f"{expected} of at most {limit} bytes") from error
    except OSError as error:
        raise A9feError(
            f"{option}: cannot read {path}: {error.strerror}, expected {expected}"
        ) from error


def read_keypair(option: str, path: Path) -> Document:
    """Read an OpenSSH public key as a key pair, named by the key's comment or its file."""
    expected = "a public key in OpenSSH form"
    text = read_file(option, path, KEY_MAX, expected).decode("utf-8", "replace").strip()
    words = text.split(None, 2)
    if "PRIVATE KEY" in text or len(words) < 2 or "\n" in text:
        raise InvalidInput(option, str(path), f"{expected}: one line, type and key")
    name = words[2] if len(words) > 2 else path.name.removesuffix(".pub")
    return {"name": name, "public_key": text, "type": "ssh"}
