"""Packages that were fetched from a registry, on this machine, by their content."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from camcount.errors import DiskFull, ModelLoadFailed, ModelNotFound
from camcount.models.package import Package, open_package


class PackageCache:
    """Packages by digest. Several processes may use one cache at once: a package appears whole or not at all.

    Args:
        root: its folder; made when the first package comes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def package(self, digest: str, fetch: Callable[[Path], None]) -> Package:
        """The package of that digest; fetched where it is not here, or no longer whole.

        ``fetch`` is given an empty folder and makes the folder ``package`` in it.

        Raises:
            ModelLoadFailed: what was fetched is not what was asked for.
            DiskFull: it could not be written.
        """
        place = self.root / digest
        try:
            package = open_package(place)
            if package.digest == digest:
                return package
        except (ModelLoadFailed, ModelNotFound):
            pass
        try:
            return self._fetched(place, digest, fetch)
        except OSError as error:
            raise DiskFull(
                f"{self.root} cannot be written ({error.strerror}): free space or set CAMCOUNT_HOME"
            ) from error

    def _fetched(self, place: Path, digest: str, fetch: Callable[[Path], None]) -> Package:
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self.root) as folder:
            root = Path(folder) / "package"
            fetch(Path(folder))
            found = open_package(root).digest
            if found != digest:
                raise ModelLoadFailed(
                    f"the registry gave a package with digest {found[:12]}…, expected {digest[:12]}…: it was altered"
                )
            if place.exists():  # a copy that is no longer whole
                shutil.rmtree(place, ignore_errors=True)
            try:
                root.rename(place)
            except OSError:
                if not place.exists():  # otherwise another process was quicker
                    raise
        return open_package(place)

    def remember(self, registry: str, reference: str, digest: str) -> None:
        """Keeps which content a version has, for when the registry does not answer."""
        path = self._note(registry, reference)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(digest)
        part.replace(path)

    def recall(self, registry: str, reference: str) -> Package | None:
        """The package of a version that was resolved here before, where it is still whole."""
        try:
            return open_package(self.root / self._note(registry, reference).read_text())
        except (OSError, ModelLoadFailed, ModelNotFound):
            return None

    def _note(self, registry: str, reference: str) -> Path:
        return self.root / "versions" / hashlib.sha256(f"{registry}\n{reference}".encode()).hexdigest()
