"""Archives of packages: unpacked so that nothing gets out of its folder, packed the same way each time."""

from __future__ import annotations

import errno
import gzip
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from camcount.errors import DiskFull, ModelLoadFailed, UsageError, words_of
from camcount.models.files import inside

SUFFIXES = (".zip", ".tar.gz", ".tgz")
MAX_BYTES = 8 << 30
MAX_FILES = 10_000
_CHUNK = 1 << 20
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    size: int
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive."""
    return path.name.lower().endswith(SUFFIXES)


def extract(path: Path, target: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Unpacks an archive into an empty folder; what it left there after an error is for the caller to remove.

    Raises:
        ModelLoadFailed: it is damaged, holds a link, a name that leads out of the folder or one name twice, or is
            larger than ``max_bytes`` when unpacked.
        DiskFull: there is no room for it.
    """
    members = _zip_members if path.name.lower().endswith(".zip") else _tar_members
    try:
        _write(members(path), path, target, max_bytes)
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, EOFError, RuntimeError, ValueError) as error:
        raise ModelLoadFailed(f"{path} is no archive that can be unpacked: {words_of(error)}") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(f"no room to unpack {path} in {target.parent}: free some space or set TMPDIR") from error
        raise ModelLoadFailed(f"{path} cannot be unpacked: {words_of(error)}") from error
    except Exception as error:
        if type(error).__module__ == "zlib":  # zlib.error has no base of its own
            raise ModelLoadFailed(f"{path} is damaged: {words_of(error)}") from error
        raise


def _write(members: Iterator[_Member], path: Path, target: Path, max_bytes: int) -> None:
    left, seen = max_bytes, set()
    for member in members:
        name = inside(member.name)
        if name.casefold() in seen:
            raise ModelLoadFailed(f"{path} holds {name!r} twice: make the archive with 'camcount models pack'")
        seen.add(name.casefold())
        if len(seen) > MAX_FILES:
            raise ModelLoadFailed(f"{path} holds more than {MAX_FILES} files: this is no model package")
        # a header may lie about the size: what comes out is counted as well
        if member.size > left:
            raise _too_large(path, max_bytes)
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, file.open("xb") as sink:
            while chunk := source.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise _too_large(path, max_bytes)
                sink.write(chunk)


def _too_large(path: Path, max_bytes: int) -> ModelLoadFailed:
    return ModelLoadFailed(f"{path} holds more than {max_bytes / 1e6:.0f} MB: raise the limit if you trust it")


def _zip_members(path: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise _is_link(path, info.filename)
            if not info.is_dir():
                yield _Member(info.filename, info.file_size, partial(archive.open, info))


def _tar_members(path: Path) -> Iterator[_Member]:
    with tarfile.open(path, "r:gz") as archive:
        for info in archive:
            if info.isdir():
                continue
            if not info.isreg():
                raise _is_link(path, info.name)
            name = info.name.removeprefix("./")
            yield _Member(name, info.size, partial(_extracted, archive, info))


def _extracted(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(info)
    assert file is not None  # only regular files come here
    return file


def _is_link(path: Path, name: str) -> ModelLoadFailed:
    return ModelLoadFailed(f"{path}: {name!r} is a link or no regular file: a package holds files only")


def top(folder: Path, marker: str) -> Path:
    """The folder with ``marker`` in it: the one given, or the only folder in it, as archives made by hand have."""
    entries = list(folder.iterdir())
    if not (folder / marker).exists() and len(entries) == 1 and (entries[0] / marker).exists():
        return entries[0]
    return folder


def write(root: Path, names: Iterable[str], path: Path) -> None:
    """Packs files of a folder; the same files give the same bytes. The archive is there whole or not at all.

    Raises:
        UsageError: the name is not that of an archive.
        DiskFull: there is no room for it.
    """
    if not is_archive(path):
        raise UsageError(f"{path} is not the name of an archive: end it in {', '.join(SUFFIXES)}")
    part = path.with_name(path.name + ".part")
    pack = _write_zip if path.name.lower().endswith(".zip") else _write_tar
    try:
        pack(root, sorted(names), part)
        part.replace(path)
    except OSError as error:
        raise DiskFull(f"{path} cannot be written: {words_of(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def _write_zip(root: Path, names: list[str], path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name, _LONG_AGO)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            with (root / name).open("rb") as source, archive.open(info, "w", force_zip64=True) as sink:
                while chunk := source.read(_CHUNK):
                    sink.write(chunk)


def _write_tar(root: Path, names: list[str], path: Path) -> None:
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name in names:
            info = tarfile.TarInfo(PurePosixPath(name).as_posix())
            info.size = (root / name).stat().st_size
            info.mode = 0o644
            with (root / name).open("rb") as source:
                archive.addfile(info, source)
