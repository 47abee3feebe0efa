"""What a user may write where a model is asked for, and what it means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from camcount.errors import ModelNotFound, UsageError
from camcount.models.files import MANIFEST
from camcount.models.version import parse_version

Kind = Literal["built-in", "file", "package", "registry", "remote"]

BUILT_IN = frozenset({"motion"})
ARCHIVES = (".zip", ".tar.gz", ".tgz")
REMOTE_SCHEMES = ("http", "https", "grpc", "grpcs")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.IGNORECASE)
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.IGNORECASE)
_MODEL_FILES = (".onnx", ".xml", ".tflite", ".pt", ".pt2", ".pth", ".torchscript", ".pb", ".bin", ".engine", ".ort")


@dataclass(frozen=True, slots=True)
class Reference:
    """One model, named.

    ``name`` is set for models of the registry, with ``version`` or ``alias`` where one was written; ``path`` for
    files and packages; ``text`` always is what the user wrote.
    """

    kind: Kind
    text: str
    name: str = ""
    version: str | None = None
    alias: str | None = None
    path: Path | None = None

    def __str__(self) -> str:
        return self.text


def parse_reference(text: str) -> Reference:
    """Reads ``motion``, ``name``, ``name:1.2.0``, ``name@champion``, a path, or the address of a server.

    A file or a package that is there on the disk is a path; a name never has a slash in it.

    Raises:
        ModelNotFound: a path with nothing there, or no name at all.
        ModelVersionMismatch: what follows the colon is not a SemVer version.
        UsageError: both a version and an alias.
    """
    if text in BUILT_IN:
        return Reference("built-in", text)
    if text.partition("://")[0] in REMOTE_SCHEMES and "://" in text:
        return Reference("remote", text)
    path = Path(text)
    if _is_path(text, path):
        return _path_reference(text, path)
    return registry_reference(text)


def _is_path(text: str, path: Path) -> bool:
    if "/" in text or "\\" in text or text.lower().endswith(_MODEL_FILES + ARCHIVES):
        return True
    # a folder that happens to be called like a model is not meant, unless it is a package
    return _exists(path) and (path.is_file() or (path / MANIFEST).is_file())


def _exists(path: Path) -> bool:
    try:
        return bool(path.name) and path.exists()
    except (OSError, ValueError):  # too long, or with a NUL in it
        return False


def _path_reference(text: str, path: Path) -> Reference:
    if not _exists(path):
        raise ModelNotFound(f"no model {text!r}: there is no such file or folder")
    if path.is_dir() and (path / MANIFEST).exists():
        return Reference("package", text, path=path)
    if path.is_file() and path.name == MANIFEST:
        return Reference("package", text, path=path.parent)
    if path.is_file() and path.name.lower().endswith(ARCHIVES):
        return Reference("package", text, path=path)
    return Reference("file", text, path=path)


def registry_reference(text: str) -> Reference:
    """Reads ``name``, ``name:1.2.0`` or ``name@champion``, whatever is on the disk.

    Raises:
        ModelNotFound, ModelVersionMismatch, UsageError: as `parse_reference`.
    """
    name, at, alias = text.partition("@")
    name, colon, version = name.partition(":")
    if not _NAME.fullmatch(name):
        raise ModelNotFound(f"{text!r} names no model: write a path, NAME, NAME:1.2.0 or NAME@champion")
    if at and (colon or ":" in alias):
        raise UsageError(f"{text!r} names a version and an alias: choose one, {name}:1.2.0 or {name}@champion")
    if at and not _ALIAS.fullmatch(alias):
        raise UsageError(f"{alias!r} cannot be an alias: write letters, digits, _ and -, such as {name}@champion")
    if colon:
        parse_version(version)
    return Reference("registry", text, name, version if colon else None, alias if at else None)


def check_alias(alias: str) -> str:
    """The alias itself.

    Raises:
        UsageError: it cannot be one (MLflow keeps ``latest`` and ``v1`` for itself).
    """
    if not _ALIAS.fullmatch(alias) or alias.lower() == "latest" or re.fullmatch(r"v\d+", alias.lower()):
        raise UsageError(
            f"{alias!r} cannot be an alias: write letters, digits, _ and -, such as champion or challenger"
        )
    return alias


def did_you_mean(wanted: str, known: Iterable[str]) -> str:
    """The end of an error message: the names nearest to the one that is not there, or all of a few."""
    names = sorted(set(known))
    if near := get_close_matches(wanted, names, n=2, cutoff=0.6):
        return f"did you mean {' or '.join(near)}?"
    if not names:
        return "there are none yet"
    return f"there {'is' if len(names) == 1 else 'are'} {', '.join(names[:8])}{' …' if len(names) > 8 else ''}"
