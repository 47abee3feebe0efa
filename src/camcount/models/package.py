"""A model package: a folder, or one archive of it, with `model.yaml` and the files that it lists."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import Self

from camcount.errors import ModelLoadFailed, ModelNotFound
from camcount.models import archive, encryption
from camcount.models.files import MANIFEST, SIGNATURE, digests, holds_pickle, listing, sha256
from camcount.models.manifest import Manifest
from camcount.models.manifest_file import load_manifest, save_manifest


class Package:
    """An opened package. Closing it removes what opening it unpacked, and nothing else.

    Args:
        root: the folder with `model.yaml`.
        manifest: what it says.
        unpacked: the folder to remove on `close`, where there is one.
    """

    def __init__(self, root: Path, manifest: Manifest, unpacked: Path | None = None) -> None:
        self.root = root
        self.manifest = manifest
        self._unpacked = unpacked

    @property
    def artifact(self) -> Path:
        """The main file for the engine, as it lies on the disk."""
        return self.root / self.manifest.artifact

    @property
    def signature(self) -> Path | None:
        """The signature, where the package has one."""
        path = self.root / SIGNATURE
        return path if path.is_file() else None

    @property
    def digest(self) -> str:
        """SHA-256 over the names and digests of everything but the signature: two packages are one if it is equal."""
        parts = {**self.manifest.files, MANIFEST: sha256(self.root / MANIFEST)}
        return hashlib.sha256("".join(f"{name}\n{parts[name]}\n" for name in sorted(parts)).encode()).hexdigest()

    def content(self, name: str | None = None) -> Path | bytes | str:
        """What an engine is given: a path, the plain bytes of a file that lies encrypted on the disk, or an address.

        Args:
            name: one of the package's files; the main artifact unless told otherwise.

        Raises:
            ModelLoadFailed: there is no such file, no key, or not the right one.
        """
        name = name or self.manifest.artifact
        if self.manifest.engine == "remote":
            return name
        path = self.root / name
        if not path.exists():
            raise ModelLoadFailed(f"{self.manifest.reference} has no file {name}: the package is not complete")
        sealed = self.manifest.encryption
        if sealed is None or name not in sealed.files:
            return path
        return encryption.decrypt(path.read_bytes(), encryption.the_key(), encryption.place(self.manifest.name, name))

    def verify(self) -> None:
        """Every file is there, is what the manifest says, and may be in such a package.

        Raises:
            ModelLoadFailed: names the first file that is not.
        """
        _verify(self.root, self.manifest)

    def close(self) -> None:
        """Removes what was unpacked. May be called more than once."""
        if self._unpacked is not None:
            shutil.rmtree(self._unpacked, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_package(path: str | Path, *, verify: bool = True, max_bytes: int = archive.MAX_BYTES) -> Package:
    """A folder or an archive (.zip, .tar.gz) as a package, its files checked unless told otherwise.

    Raises:
        ModelNotFound: there is nothing of that name.
        ModelVersionMismatch: the manifest's version is not a SemVer version.
        ModelLoadFailed: it is no package, or not an acceptable one. Nothing is left behind.
        DiskFull: no room to unpack it.
    """
    place = Path(path)
    if not place.exists():
        raise ModelNotFound(f"no model package {place}: check the path")
    if place.is_dir():
        package = Package(place, load_manifest(place))
    elif archive.is_archive(place):
        package = _unpack(place, max_bytes)
    else:
        raise ModelLoadFailed(
            f"{place} is neither a folder nor an archive ({', '.join(archive.SUFFIXES)}): "
            f"make a package of a model file with 'camcount models init {place}'"
        )
    if verify:
        try:
            package.verify()
        except BaseException:
            package.close()
            raise
    return package


def _unpack(path: Path, max_bytes: int) -> Package:
    unpacked = Path(tempfile.mkdtemp(prefix="camcount-model-"))
    try:
        archive.extract(path, unpacked, max_bytes=max_bytes)
        root = archive.top(unpacked, MANIFEST)
        if not (root / MANIFEST).is_file():
            raise ModelLoadFailed(f"{path} holds no {MANIFEST}: make the archive with 'camcount models pack'")
        return Package(root, load_manifest(root), unpacked)
    except BaseException:
        shutil.rmtree(unpacked, ignore_errors=True)
        raise


def _verify(root: Path, manifest: Manifest) -> None:
    present = set(listing(root))
    folders = {parent.as_posix() for name in present for parent in PurePosixPath(name).parents}
    needed = {*manifest.files, *(set(manifest.sizes.values()) - folders if manifest.engine != "remote" else ())}
    if missing := sorted(needed - present):
        raise ModelLoadFailed(f"{root}: {missing[0]} is named in {MANIFEST} and is not there: get the package again")
    if strays := sorted(present - set(manifest.files)):
        raise ModelLoadFailed(
            f"{root}: {strays[0]} is not listed in {MANIFEST}: remove it, or list it with 'camcount models seal'"
        )
    for name, expected in manifest.files.items():
        if (found := sha256(root / name)) != expected:
            raise ModelLoadFailed(
                f"{root}: {name} is not the file that {MANIFEST} lists "
                f"(SHA-256 {found[:12]}…, expected {expected[:12]}…): get the package again"
            )
    if manifest.safe:
        _refuse_pickles(root, present)


def _refuse_pickles(root: Path, names: set[str]) -> None:
    for name in sorted(names):
        if holds_pickle(root / name):
            raise ModelLoadFailed(
                f"{root}: {name} is a Python pickle, which runs code when it is loaded, in a package that says it is "
                f"safe: export the weights to another format, or say safe: false in {MANIFEST} if you trust it"
            )


def seal(folder: str | Path, manifest: Manifest | None = None) -> Package:
    """Writes `model.yaml` with the digests of all files in the folder, and opens the package.

    A signature that was there no longer fits and is removed.

    Raises:
        ModelNotFound, ModelLoadFailed, ModelVersionMismatch: as `open_package`.
    """
    root = Path(folder)
    sealed = (manifest or load_manifest(root)).changed(files=digests(root))
    (root / SIGNATURE).unlink(missing_ok=True)
    save_manifest(sealed, root)
    return open_package(root)


def pack(folder: str | Path, path: str | Path) -> Path:
    """One archive of a package's folder; the same files give the same bytes.

    Raises:
        ModelNotFound, ModelLoadFailed, ModelVersionMismatch: the folder is no acceptable package.
        UsageError: the name is not that of an archive.
        DiskFull: there is no room for it.
    """
    package = open_package(folder)
    names = [MANIFEST, *package.manifest.files]
    if package.signature is not None:
        names.append(SIGNATURE)
    archive.write(package.root, names, Path(path))
    return Path(path)


def encrypted(package: Package, key: bytes) -> Package:
    """Encrypts the files that the engine loads, in the package's own folder, and seals it again.

    Raises:
        UsageError: a file is too large, or the library is missing.
    """
    manifest = package.manifest
    done = set(manifest.encryption.files if manifest.encryption else ())
    plain = {*manifest.sizes.values(), *((manifest.plain.artifact,) if manifest.plain else ())} - done
    if not plain:
        return package
    for name in sorted(plain):
        path = package.root / name
        path.write_bytes(encryption.encrypt(path.read_bytes(), key, encryption.place(manifest.name, name)))
    return seal(package.root, manifest.changed(encryption={"files": sorted(done | plain)}))
