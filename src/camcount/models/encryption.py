"""Artifacts encrypted at rest: AES-256-GCM, decrypted into memory only.

A file holds eight bytes that name the format, a nonce of twelve, and the ciphertext with its tag of sixteen. The name
of the model and of the file are authenticated along with it, so that one file cannot stand in for another.
McGrew, Viega: The Galois/Counter Mode of Operation, NIST SP 800-38D.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from pathlib import Path

from camcount.errors import ModelLoadFailed, UsageError

KEY_VARIABLE = "CAMCOUNT_MODEL_KEY"
KEY_FILE_VARIABLE = "CAMCOUNT_MODEL_KEY_FILE"
_MARK = b"CAMCAES1"
_NONCE = 12
_KEY = 32
_LARGEST = 2**31 - 1 - 16


def new_key() -> str:
    """A fresh random key of 256 bits, as base64 text."""
    return base64.b64encode(secrets.token_bytes(_KEY)).decode()


def the_key() -> bytes:
    """The key from ``CAMCOUNT_MODEL_KEY``, or from the file that ``CAMCOUNT_MODEL_KEY_FILE`` names.

    Raises:
        ModelLoadFailed: there is none, or it is not 32 bytes in base64.
    """
    text, origin = os.environ.get(KEY_VARIABLE, ""), KEY_VARIABLE
    if not text:
        origin = os.environ.get(KEY_FILE_VARIABLE, "")
        if not origin:
            raise ModelLoadFailed(f"the model is encrypted: put its key into {KEY_VARIABLE} or {KEY_FILE_VARIABLE}")
        try:
            text = Path(origin).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            raise ModelLoadFailed(
                f"the model's key cannot be read from {origin}: check {KEY_FILE_VARIABLE}"
            ) from None
    return read_key(text, origin)


def read_key(text: str, origin: str) -> bytes:
    """A key from its base64 text; ``origin`` is what messages call it.

    Raises:
        ModelLoadFailed: it is not 32 bytes in base64.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY:
        raise ModelLoadFailed(
            f"{origin} holds no key: it takes {_KEY} bytes as base64, 'camcount models key' makes one"
        )
    return key


def place(model: str, file: str) -> bytes:
    """What is authenticated along with a file's content."""
    return f"{model}\n{file}".encode()


def encrypt(plain: bytes, key: bytes, where: bytes) -> bytes:
    """A file's content as it is written to the disk.

    Raises:
        UsageError: it is larger than the cipher takes at once, or `cryptography` is not there.
    """
    if len(plain) > _LARGEST:
        raise UsageError(f"{len(plain)} bytes are more than can be encrypted: {_LARGEST} at most")
    nonce = secrets.token_bytes(_NONCE)
    return _MARK + nonce + _cipher(key).encrypt(nonce, plain, where)  # type: ignore[no-any-return]


def decrypt(stored: bytes, key: bytes, where: bytes) -> bytes:
    """The plain content of a file that `encrypt` made.

    Raises:
        ModelLoadFailed: it is not such a file, was altered or moved, or the key is another one.
    """
    from cryptography.exceptions import InvalidTag

    name = where.decode(errors="replace").partition("\n")[2]
    if not stored.startswith(_MARK):
        raise ModelLoadFailed(f"{name} is listed as encrypted and is not: get the package again")
    nonce, sealed = stored[len(_MARK) : len(_MARK) + _NONCE], stored[len(_MARK) + _NONCE :]
    try:
        return _cipher(key).decrypt(nonce, sealed, where)  # type: ignore[no-any-return]
    except (InvalidTag, ValueError):
        raise ModelLoadFailed(
            f"{name} cannot be decrypted: the key is not its key, or the file was altered"
        ) from None


def _cipher(key: bytes):  # type: ignore[no-untyped-def]
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise UsageError('encrypted models need the cryptography library: pip install "camcount[signing]"') from None
    return AESGCM(key)
