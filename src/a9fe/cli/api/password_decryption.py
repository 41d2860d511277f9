"""Decryption of a guest's password with the private key of the VM's key pair."""

import base64
import binascii

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_ssh_private_key,
)

from a9fe.model.errors import A9feError

EXPECTED = "expected an RSA private key without a passphrase"


def decrypted(text: str, key: bytes) -> str:
    """Decrypt base64 text that was encrypted for an RSA key (PKCS#1 v1.5). Raises A9feError."""
    try:
        load = load_ssh_private_key if b"OPENSSH" in key else load_pem_private_key
        private = load(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise A9feError(f"--decrypt: the file is not usable, {EXPECTED}") from error
    if not isinstance(private, RSAPrivateKey):
        raise A9feError(f"--decrypt: the key is of another kind, {EXPECTED}")
    try:
        return private.decrypt(base64.b64decode(text), padding.PKCS1v15()).decode()
    except (binascii.Error, ValueError) as error:
        raise A9feError("--decrypt: the password was not encrypted for this key") from error
