"""Pictures as a source: a folder of them, a single one, or an array."""

from __future__ import annotations

import re
import threading
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from camcount.errors import InferenceError, PreprocessingFailed, SourceError, SourceNotFound
from camcount.frame import Frame, Image, Render
from camcount.protocols import SourceInfo
from camcount.video.encoded import EncodedPicture, checked_header, resized
from camcount.video.picture_header import PictureHeader

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


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


class PictureFolder:
    """The JPEG, PNG, WebP and BMP pictures of a folder, in natural order (``9.jpg`` before ``10.jpg``).

    Picture ``i`` is at ``i / fps`` seconds: pictures carry no presentation time. A file that is damaged or
    larger than `camcount.video.encoded.LARGEST` is passed over with a warning and keeps its place in time. Each frame
    has the size of its own picture, upright as Exif says. ``path`` may also name a single picture.

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
            header = checked_header(content)
            render = self._render(file.name, EncodedPicture(content, header), header)
        except (OSError, InferenceError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self.warnings.append(f"{file.name} was passed over: {reason}")
            return None
        time_s = index / self._fps
        width, height = header.upright
        return Frame(
            index=index,
            time_s=time_s,
            width=width,
            height=height,
            render=render,
            camera_id=self._camera_id,
            wall_time=self._start_time and self._start_time + timedelta(seconds=time_s),
        )

    def _render(self, name: str, picture: Render, header: PictureHeader) -> Render:
        """How to make the picture. Only JPEG gains from waiting until its size is known."""
        if not header.jpeg:
            image = picture(*header.upright)
            return lambda width, height: resized(image, width, height)

        def rendered(width: int, height: int) -> Image:
            try:
                return picture(width, height)
            except PreprocessingFailed:
                self.warnings.append(f"{name} is damaged inside: it counts as a black picture")
                return np.zeros((height, width, 3), np.uint8)

        return rendered


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
