"""What a batch is of: folders, globs and lists to single videos and pictures."""

from __future__ import annotations

import glob
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from camcount.errors import SourceNotFound, UsageError
from camcount.video.pictures import SUFFIXES as PICTURES

VIDEOS = frozenset(
    {".3gp", ".asf", ".avi", ".dav", ".flv", ".h264", ".h265", ".264", ".265", ".m4v", ".mkv", ".mov", ".mp4"}
    | {".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv"}
)
"""Files that a folder gives as videos; a file that is named itself may have any suffix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One video or picture.

    Attributes:
        name: unlike all others of its batch; what its results are filed under, with ``/`` between folders.
        source: the absolute path, or an address such as ``demo:street``.
    """

    name: str
    source: str
    kind: Literal["video", "picture"]

    @property
    def stamp(self) -> str:
        """Changes when the file is written anew; empty for what is no file."""
        try:
            status = Path(self.source).stat()
        except OSError:
            return ""
        return f"{status.st_size}-{status.st_mtime_ns}"


def items_of(sources: Sequence[str]) -> list[Item]:
    """The items, in the order of the sources and by name within a folder; what is named twice is there once.

    A source is a file, a folder (with all folders in it), a glob (``**`` goes through folders), ``demo:…``, or
    ``@FILE``, a list of such, one a line, relative to that file's folder. That a single file is missing shows when
    its turn comes.

    Raises:
        SourceNotFound: a folder or a glob gives nothing, or a list is not there.
        UsageError: a camera, which never ends.
    """
    found = {item.source: item for source in sources for item in _of(source, Path.cwd())}
    return _named_apart(list(found.values()))


def _of(source: str, base: Path) -> Iterator[Item]:
    if source.startswith("@"):
        yield from _listed(base / source[1:])
    elif source.startswith("demo:"):
        yield Item(name=re.sub(r"[^A-Za-z0-9]+", "-", source).strip("-"), source=source, kind="video")
    elif ("://" in source and not source.startswith("file://")) or source.startswith("usb:"):
        raise UsageError(f"{source} is a camera or a server: a batch is of files, count it with camcount count")
    else:
        yield from _files(base / source.removeprefix("file://"), source)


def _listed(file: Path) -> Iterator[Item]:
    try:
        lines = [line.strip() for line in file.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceNotFound(f"the list {file} cannot be read: {error}") from None
    for line in lines:
        if line and not line.startswith("#"):
            yield from _of(line, file.absolute().parent)


def _files(path: Path, source: str) -> Iterator[Item]:
    if path.is_dir():
        inside = [file for file in path.rglob("*") if _wanted(file, path)]
        if not inside:
            raise SourceNotFound(f"folder {source} holds neither videos nor pictures")
        for file in sorted(inside):
            yield _item(file, file.relative_to(path).as_posix())
    elif any(sign in source for sign in "*?[") and not path.exists():
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207 # takes absolute ones
        if not (matches := [match for match in matches if match.is_file()]):
            raise SourceNotFound(f"no file is like {source}")
        for file in matches:
            yield _item(file, file.name)
    else:
        yield _item(path, path.name)


def _wanted(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.suffix.lower() in VIDEOS | PICTURES and not hidden and file.is_file()


def _item(file: Path, name: str) -> Item:
    kind: Literal["video", "picture"] = "picture" if file.suffix.lower() in PICTURES else "video"
    return Item(name=name, source=str(file.absolute()), kind=kind)


def _named_apart(items: list[Item]) -> list[Item]:
    """Gives items of one name a few digits that come from where they are."""
    often = Counter(item.name.casefold() for item in items)
    return [item if often[item.name.casefold()] == 1 else replace(item, name=_apart(item)) for item in items]


def _apart(item: Item) -> str:
    name = Path(item.name)
    digits = hashlib.sha256(item.source.encode()).hexdigest()[:8]
    return name.with_name(f"{name.stem}-{digits}{name.suffix}").as_posix()
