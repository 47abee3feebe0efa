"""The files of a package: their names, their digests, and what must not be among them."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from camcount.errors import ModelLoadFailed

MANIFEST = "model.yaml"
SIGNATURE = "model.sig"
"""With the manifest, the one file of a package that the manifest does not list."""

_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".dill", ".ckpt")
_PICKLE_START = re.compile(rb"\x80[\x02-\x05]")
_CHUNK = 1 << 20


def inside(name: str) -> str:
    """A file's name within a package: relative, with forward slashes, never leading out.

    Raises:
        ValueError: it could name something outside the package.
    """
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or str(path) != name or name == "."
    if outside or "\\" in name or ":" in name or any(ord(letter) < 32 for letter in name):
        raise ValueError(f"{name!r} does not stay inside the package: name a file in it, with forward slashes")
    return name


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def listing(root: Path) -> Iterator[str]:
    """Names of all files below a folder, in order, the manifest and the signature left out.

    Raises:
        ModelLoadFailed: a link or a device is among them.
    """
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names + folders):
            path = Path(folder) / name
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise ModelLoadFailed(f"{path} is a link or no regular file: a package holds files only")
        for name in sorted(names):
            relative = (Path(folder) / name).relative_to(root).as_posix()
            if relative not in (MANIFEST, SIGNATURE):
                yield relative


def digests(root: Path) -> dict[str, str]:
    """SHA-256 of every file that `listing` gives."""
    return {name: sha256(root / name) for name in listing(root)}


def holds_pickle(path: Path) -> bool:
    """Whether a file is a Python pickle, or a ZIP archive with one in it, whatever it is called."""
    if path.suffix.lower() in _PICKLES:
        return True
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                return any(PurePosixPath(name).suffix in _PICKLES for name in archive.namelist())
        except (zipfile.BadZipFile, OSError, ValueError):
            return False
    with path.open("rb") as file:
        start = file.read(2)
        if not _PICKLE_START.match(start):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"."
