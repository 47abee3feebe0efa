"""Pictures as a source: a folder of them, a single one, or an array."""

from __future__ import annotations

import re
import threading
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from camcount.errors import SourceError, SourceNotFound
from camcount.frame import Frame, Image, Render
from camcount.protocols import SourceInfo
from camcount.video.picture_header import PictureHeader, picture_header

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
LARGEST = 100_000_000
"""Pixels above which a picture is passed over unread: a small file can unfold to gigabytes."""

_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))


def frame_of(
    image: Image,
    *,
    index: int = 0,
    time_s: float = 0.0,
    camera_id: str = "",
    wall_time: datetime | None = None,
) -> Frame:
    """A frame of a picture that is there already, ``uint8 (H, W, 3)`` BGR; it is not copied until it is asked for."""
    height, width = image.shape[:2]
    return Frame(
        index=index,
        time_s=time_s,
        width=width,
        height=height,
        render=lambda width, height: resized(image, width, height),
        camera_id=camera_id,
        wall_time=wall_time,
    )


def resized(image: Image, width: int, height: int) -> Image:
    """A copy of a picture at ``width`` by ``height`` pixels; downwards by area, so that nothing flickers."""
    if image.shape[:2] == (height, width):
        return image.copy()
    shrinks = width <= image.shape[1] and height <= image.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


class PictureFolder:
    """The JPEG, PNG, WebP and BMP pictures of a folder, in natural order (``9.jpg`` before ``10.jpg``).

    Picture ``i`` is at ``i / fps`` seconds: pictures carry no presentation time. A file that is damaged or beyond
    `LARGEST` pixels is passed over with a warning and keeps its place in time. Each frame has the size of
    its own picture, upright as Exif says. ``path`` may also name a single picture.

    Raises:
        SourceNotFound: from `open`: there is no such path.
        SourceError: from `open`: not one readable picture is in it.
    """

    def __init__(
        self, path: Path, *, fps: float = 1.0, camera_id: str = "", start_time: datetime | None = None
    ) -> None:
        self.warnings: list[str] = []
        self._path = path
        self._fps = fps
        self._camera_id = camera_id
        self._start_time = start_time
        self._files: list[Path] = []
        self._next = 0
        self._first: Frame | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def open(self) -> SourceInfo:
        """Lists the pictures and reads the first."""
        self._files = _pictures_in(self._path)
        self._first = first = self._following()
        if first is None:
            raise SourceError(f"{self._path} holds no picture that can be read: {self.warnings[0]}")
        return SourceInfo(
            uri=str(self._path),
            width=first.width,
            height=first.height,
            fps=self._fps,
            duration_s=len(self._files) / self._fps,
            frames=len(self._files),
            codec=self._files[first.index].suffix.lower().lstrip("."),
            start_time=self._start_time,
        )

    def read(self) -> Frame | None:
        """The next picture that can be read."""
        with self._lock:
            frame, self._first = self._first, None
            return self._following() if frame is None and not self._closed.is_set() else frame

    def close(self) -> None:
        """Lets go; no picture follows."""
        self._closed.set()
        with self._lock:
            self._first = None

    def _following(self) -> Frame | None:
        while self._next < len(self._files) and not self._closed.is_set():
            index = self._next
            self._next += 1
            if (frame := self._frame(index)) is not None:
                return frame
        return None

    def _frame(self, index: int) -> Frame | None:
        file = self._files[index]
        try:
            content = file.read_bytes()
            header = _checked(content)
            render = self._render(file.name, content, header)
        except (OSError, SourceError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self.warnings.append(f"{file.name} was passed over: {reason}")
            return None
        time_s = index / self._fps
        lying = header.orientation >= 5
        return Frame(
            index=index,
            time_s=time_s,
            width=header.height if lying else header.width,
            height=header.width if lying else header.height,
            render=render,
            camera_id=self._camera_id,
            wall_time=self._start_time and self._start_time + timedelta(seconds=time_s),
        )

    def _render(self, name: str, content: bytes, header: PictureHeader) -> Render:
        """How to make the picture. Only JPEG gains from waiting until its size is known."""
        if header.jpeg:
            return JpegPicture(content, header, name, self.warnings)
        image = _decoded(content, cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError("it is damaged")
        return lambda width, height: resized(image, width, height)


def _pictures_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    try:
        files = [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        raise SourceNotFound(f"{path} is not there: check the spelling, or give the full path") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}): check its permissions") from None
    if not files:
        raise SourceError(
            f"folder {path} holds no pictures: it needs {', '.join(sorted(SUFFIXES))} files directly in it"
        )
    return sorted(files, key=_natural)


def _natural(file: Path) -> list[tuple[int, str]]:
    """Digits count as numbers: ``a9`` before ``a10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", file.name.lower())]


def _checked(content: bytes) -> PictureHeader:
    """The header of a picture that may be decoded."""
    header = picture_header(content)
    if header is None or header.width < 1 or header.height < 1:
        raise SourceError("it is no picture")
    if header.width * header.height > LARGEST:
        raise SourceError(f"{header.width}x{header.height} is more than {LARGEST // 10**6} megapixels")
    if not header.whole:
        raise SourceError("it is cut off")
    return header


def _decoded(content: bytes, mode: int) -> Image | None:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), mode | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    return None if image is None else np.asarray(image, np.uint8)


class JpegPicture:
    """The `Render` of a JPEG file's content: decoded at 1/2, 1/4 or 1/8 of its size where that is enough.

    Scaling in the discrete cosine transform leaves out most of the work of decoding.
    """

    __slots__ = ("_content", "_header", "_name", "_warnings")

    def __init__(self, content: bytes, header: PictureHeader, name: str, warnings: list[str]) -> None:
        self._content = content
        self._header = header
        self._name = name
        self._warnings = warnings

    def __call__(self, width: int, height: int) -> Image:
        lying = self._header.orientation >= 5
        mode = self._mode(height, width) if lying else self._mode(width, height)
        image = _decoded(self._content, mode)
        if image is None:
            self._warnings.append(f"{self._name} is damaged inside: it counts as a black picture")
            return np.zeros((height, width, 3), np.uint8)
        return resized(_upright(image, self._header.orientation), width, height)

    def _mode(self, width: int, height: int) -> int:
        for factor, mode in _REDUCED:
            if self._header.width >= factor * width and self._header.height >= factor * height:
                return mode
        return cv2.IMREAD_COLOR


def _upright(image: Image, orientation: int) -> Image:
    """Undoes an Exif orientation: 2, 4 mirror; 3 turns; 5 to 8 also swap rows and columns."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
