"""Packages signed and checked with `model-signing` (OpenSSF Model Signing 1.0): a Sigstore bundle in `model.sig`.

The signature covers `model.yaml` and every other file of the package, names included.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from camcount.errors import ModelLoadFailed, UsageError, words_of
from camcount.models.files import SIGNATURE
from camcount.models.package import Package


def new_key_pair(private: str | Path, public: str | Path, password: str | None = None) -> None:
    """Writes a fresh pair of keys as PEM: EC P-256, the private one readable by its owner only.

    Raises:
        UsageError: a file of that name is there already, the place cannot be written, or the library is missing.
    """
    _require_library()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    sealing = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing)
    shown = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write_new(Path(private), secret, 0o600)
    _write_new(Path(public), shown, 0o644)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    except FileExistsError:
        raise UsageError(f"{path} is there already: choose another name, a key is never written over") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


def sign(package: Package, private_key: str | Path, password: str | None = None) -> Path:
    """Signs a package's folder; gives the path of the signature.

    Raises:
        ModelLoadFailed: the package's files are not those that its manifest lists.
        UsageError: the key cannot be used, or the library is missing.
    """
    signing = _require_library()
    package.verify()
    root = package.root.resolve()  # the library leaves out what is ignored by its absolute path only
    target = package.root / SIGNATURE
    # the library's annotation says str, and what it passes the password on to takes bytes only
    secret: Any = password.encode() if password else None
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / SIGNATURE
        try:
            signer = signing.signing.Config().use_elliptic_key_signer(private_key=private_key, password=secret)
            signer.set_hashing_config(_hashing(root)).sign(root, made)
            target.write_bytes(made.read_bytes())
        except Exception as error:  # the library lets everything through that its own libraries raise
            raise UsageError(f"{package.root} cannot be signed with {private_key}: {words_of(error, 300)}") from error
    return target


def verify_signature(package: Package, public_key: str | Path) -> None:
    """The package is signed with the private part of that key, and nothing in it has changed since.

    Raises:
        ModelLoadFailed: it is not; the reason is in the message.
        UsageError: there is no such key, or the library is missing.
    """
    signing = _require_library()
    _require_public_key(Path(public_key))
    if package.signature is None:
        raise ModelLoadFailed(f"{package.manifest.reference} is not signed: sign it with 'camcount models sign'")
    root = package.root.resolve()
    try:
        verifier = signing.verifying.Config().use_elliptic_key_verifier(public_key=public_key)
        verifier.set_hashing_config(_hashing(root)).verify(root, root / SIGNATURE)
    except Exception as error:  # as above
        raise ModelLoadFailed(
            f"{package.manifest.reference} is refused, its signature does not hold: {_reason(error)}"
        ) from error


def _require_public_key(path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        load_pem_public_key(path.read_bytes())
    except OSError:
        raise UsageError(f"no public key {path}: check the path") from None
    except Exception as error:  # the library says ValueError, UnsupportedAlgorithm and more
        raise UsageError(f"{path} is no public key in PEM form: {words_of(error, 80)}") from None


def _hashing(root: Path) -> Any:
    from model_signing import hashing

    config: Any = hashing.Config  # typed in part only
    return config().set_ignored_paths(paths=[root / SIGNATURE], ignore_git_paths=False)


def _reason(error: Exception) -> str:
    text = words_of(error, 300)
    if altered := re.search(r"Hash mismatch for \\?'(.*?)\\?'", text):
        return f"{altered[1]} was altered after signing"
    if type(error).__name__ in ("ValidationError", "JSONDecodeError", "UnicodeDecodeError", "KeyError"):
        return f"{SIGNATURE} is damaged"
    if type(error).__name__ == "InvalidSignature" or "public key" in text.lower():
        return f"it was made with another key, or {SIGNATURE} was altered"
    return text


def _require_library() -> Any:
    try:
        import model_signing
    except ImportError:
        raise UsageError('signing needs the model-signing library: pip install "camcount[signing]"') from None
    return model_signing
