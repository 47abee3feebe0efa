"""Pictures out: an H.264 file that keeps the frames' own times, the annotated video, and single pictures."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from camcount.errors import CamcountError, UsageError, writing
from camcount.events import Event
from camcount.frame import Image
from camcount.protocols import Step
from camcount.video.overlay import Overlay

_SUFFIXES = {
    # in fragments while it is written, so that a file that was cut off still plays; an ordinary file once closed
    ".mp4": ("mp4", {"movflags": "+hybrid_fragmented+frag_keyframe"}),
    ".mkv": ("matroska", {}),
}
_PICTURES = (".png", ".jpg", ".jpeg")
_CLOCK = Fraction(1, 90_000)


class VideoWriter:
    """Writes pictures to ``path`` (``.mp4`` or ``.mkv``) as H.264, each shown from its own ``time_s`` on.

    Pictures of an odd width or height lose their last column or row: H.264 stores colour for two by two pixels.

    Raises:
        UsageError: the suffix is neither, the folder is missing, or the file cannot be created.
        DiskFull: from `write` or `close`; what was written before stays playable.
    """

    def __init__(self, path: Path | str, fps: float, width: int, height: int) -> None:
        self.path = Path(path)
        self.width, self.height = width - width % 2, height - height % 2
        if self.path.suffix.lower() not in _SUFFIXES:
            raise UsageError(f"video goes to a .mp4 or .mkv file, not to {self.path.name!r}")
        if self.width < 2 or self.height < 2 or not 0 < fps < 1000:
            raise UsageError(
                f"cannot write video of {width}x{height} at {fps:g} frames per second to {self.path.name}"
            )
        _require_folder(self.path)
        self._last = -1
        self._closed = False
        self._broken = False
        kind, options = _SUFFIXES[self.path.suffix.lower()]
        with writing(self.path, "video"):
            self.path.open("wb").close()  # FFmpeg would only find out at the first picture
            self._container = av.open(str(self.path), "w", format=kind, options=options)
            self._stream = self._h264(fps)

    def write(self, image: Image, time_s: float) -> None:
        """Appends a picture; ``time_s`` in seconds, not before the last one's.

        Raises:
            UsageError: the picture is of another size.
        """
        if image.shape[0] < self.height or image.shape[1] < self.width:
            raise UsageError(
                f"{self.path.name} is {self.width}x{self.height}, a picture is {image.shape[1]}x{image.shape[0]}"
            )
        cut = np.ascontiguousarray(image[: self.height, : self.width])
        frame = av.VideoFrame.from_ndarray(cut, format="bgr24").reformat(format="yuv420p")
        # two pictures of one moment still need two time stamps
        self._last = max(round(time_s / _CLOCK), self._last + 1)
        frame.pts, frame.time_base = self._last, _CLOCK
        self._encode(frame)

    def close(self) -> None:
        """Finishes the file; more than once does nothing. Without a single picture no file is left."""
        if self._closed:
            return
        self._closed = True
        if self._last < 0:  # FFmpeg crashes on finishing an MP4 without pictures
            self.path.unlink(missing_ok=True)
            return
        try:
            if not self._broken:
                self._encode(None)
        finally:
            with writing(self.path, "video"):
                self._container.close()

    def _encode(self, frame: av.VideoFrame | None) -> None:
        try:
            with writing(self.path, "video"):
                for packet in self._stream.encode(frame):
                    self._container.mux(packet)
        except CamcountError:
            self._broken = True
            raise

    def _h264(self, fps: float) -> VideoStream:
        rate = Fraction(fps).limit_denominator(1001)
        stream = self._container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
        stream.codec_context.time_base = _CLOCK
        stream.options = {"preset": "veryfast", "crf": "21", "bf": "0", "g": str(max(1, round(fps * 2)))}
        return stream


class AnnotatedVideo:
    """A `Sink` that draws and encodes in its own thread, up to ``waiting`` steps behind the counting.

    An error of the thread is raised by the next `write` or by `close`.

    Raises:
        UsageError, DiskFull: as `VideoWriter`.
    """

    def __init__(self, path: Path | str, overlay: Overlay, fps: float, *, waiting: int = 8) -> None:
        self._overlay = overlay
        self._writer = VideoWriter(path, fps, overlay.width, overlay.height)
        self._steps: queue.Queue[Step | None] = queue.Queue(waiting)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="annotate", daemon=True)
        self._thread.start()

    def write(self, step: Step) -> None:
        """Hands a step over; waits when the thread is too far behind."""
        self._raise()
        self._steps.put(step)

    def close(self, last: Sequence[Event] = ()) -> None:
        """Waits for what is still to be drawn and finishes the file; ``last`` has no picture to be drawn on."""
        if self._thread.is_alive():
            self._steps.put(None)
            self._thread.join()
        self._raise()

    def _work(self) -> None:
        try:
            while (step := self._steps.get()) is not None:
                if self._error is None:
                    self._draw(step)
        finally:
            try:
                self._writer.close()
            except BaseException as error:
                self._error = self._error or error

    def _draw(self, step: Step) -> None:
        try:
            self._writer.write(self._overlay.draw(step), step.frame.time_s)
        except BaseException as error:  # kept for the counting thread, which must not wait for a dead one
            self._error = error

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


def save_picture(path: Path | str, image: Image) -> None:
    """Writes one picture to a ``.png`` or ``.jpg`` file.

    Raises:
        UsageError: another suffix, a missing folder, or a file that cannot be created.
        DiskFull: there is no space for it.
    """
    path = Path(path)
    if path.suffix.lower() not in _PICTURES:
        raise UsageError(f"a picture goes to a .png or .jpg file, not to {path.name!r}")
    _require_folder(path)
    quality = [] if path.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 92]
    _, coded = cv2.imencode(path.suffix.lower(), image, quality)
    with writing(path, "picture"):
        path.write_bytes(coded.tobytes())


def _require_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} to write {path.name} into: create it first")
