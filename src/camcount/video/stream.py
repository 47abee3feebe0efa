"""Video through FFmpeg: files, RTSP and HTTP cameras, USB cameras."""

from __future__ import annotations

import contextlib
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import av
import av.error
from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from camcount.errors import SourceError
from camcount.frame import Frame
from camcount.protocols import SourceInfo
from camcount.video.convert import DecodedPicture, clockwise
from camcount.video.remarks import Remarks
from camcount.video.timeline import Timeline

_RETRIES = 50
"""Damaged packets in a row after which a file counts as ended."""
_WITHOUT_PICTURE = 3
"""Time-outs that a camera may send without a whole picture: some let 20 s pass between key frames."""
_DRAWN_TEXT = ("ansi", "bintext", "xbin", "idf")
"""Codecs with which FFmpeg would draw a text file as if on a terminal."""
_UNSTAMPED = ("mpjpeg", "mjpeg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How FFmpeg is to open one source.

    ``location`` may hold a password; ``shown`` is what users see in its stead. ``explain`` turns a failure to
    open into the error to raise. ``live=None`` leaves it to what the server says: a stream that states its
    duration is a file.
    """

    location: str
    shown: str
    explain: Callable[[Exception], SourceError]
    live: bool | None = False
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = math.inf


class StreamSource:
    """A source that decodes with PyAV in the reader's thread.

    Times are presentation time stamps counted from the stream's start; a motion-JPEG camera sends none, so
    there it is the time of arrival. Frames of a live source carry the wall time of their arrival, frames of a
    file ``start_time + time_s``. ``threads`` is for decoding, 1 because the cores belong to the model.

    ``close`` from another thread ends a waiting `read` with the next packet, at the latest with the time-out.

    Raises:
        SourceError: from `open`.
    """

    def __init__(
        self, opening: Opening, *, camera_id: str = "", start_time: datetime | None = None, threads: int = 1
    ) -> None:
        self._opening = opening
        self._remarks = Remarks(opening.shown)
        self.warnings = self._remarks.warnings
        self._camera_id = camera_id
        self._start_time = start_time
        self._threads = threads
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._container: InputContainer | None = None
        self._frames: Iterator[Frame] = iter(())
        self._first: Frame | None = None
        self._clock = Timeline(0.0)
        self._rotation = 0
        self._fault: Exception | None = None

    def open(self) -> SourceInfo:
        """Opens, and decodes the first picture: what can be opened and gives no picture is no source."""
        fault: Exception | None = None
        asked = time.monotonic()
        try:
            container = self._connected()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            fault = error
        # outside of the handler: FFmpeg's error holds the address with its password and must not hang on to ours
        if fault is not None:
            raise self._opening.explain(TimeoutError() if self._is_late(asked) else fault)
        with self._lock:
            self._container = container
            try:
                info = self._begun(container)
            except SourceError:
                container.close()
                self._container = None
                raise
        if self._closed.is_set():
            self._shut()
        return info

    def read(self) -> Frame | None:
        """The next frame, or ``None`` at the end."""
        frame: Frame | None = None
        with self._lock:
            if not self._closed.is_set():
                frame, self._first = self._first, None
                if frame is None:
                    frame = next(self._frames, None)
        if self._closed.is_set():
            self._shut()
            return None
        return frame

    def close(self) -> None:
        """Closes; if a read is under way, that read does."""
        self._closed.set()
        self._shut()

    def _shut(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._frames, self._first = iter(()), None
                if self._container is not None:
                    self._container.close()
                    self._container = None
            finally:
                self._lock.release()

    def _is_late(self, since: float) -> bool:
        """Whether the time-out has passed: interrupted, FFmpeg gives whatever error its protocol then runs into."""
        return time.monotonic() - since >= self._opening.timeout_s

    def _connected(self) -> InputContainer:
        opening = self._opening
        return av.open(
            opening.location,
            "r",
            format=opening.format,
            options=dict(opening.options),
            metadata_errors="replace",
            timeout=opening.timeout_s if math.isfinite(opening.timeout_s) else None,
        )

    def _begun(self, container: InputContainer) -> SourceInfo:
        stream = _picture_stream(container, self._opening.shown)
        stream.codec_context.thread_count = self._threads
        live = _is_live(container) if self._opening.live is None else self._opening.live
        # what these demuxers give as time stamps is a count at 25 frames per second, whatever the camera does
        stamped = not (live and container.format.name in _UNSTAMPED)
        fps = _rate(stream) if stamped else None
        duration_s = None if live else _duration_s(container, stream)
        start = None if live else _seconds(stream.start_time, stream.time_base)
        self._clock = Timeline(1 / (fps or 25.0), start, duration_s)
        self._frames = self._timed(self._pictures(container, stream, live), live, stamped)
        self._first = next(self._frames, None)
        if self._first is None:
            raise self._nothing(stream)
        return SourceInfo(
            uri=self._opening.shown,
            width=self._first.width,
            height=self._first.height,
            fps=fps,
            duration_s=duration_s,
            frames=None if live else stream.frames or None,
            live=live,
            codec=stream.codec_context.name,
            rotation=self._rotation,
            start_time=self._first.wall_time if live else self._start_time,
        )

    def _nothing(self, stream: VideoStream) -> SourceError:
        if self._fault is not None:
            return self._opening.explain(self._fault)
        codec = stream.codec_context.name
        return SourceError(f"{self._opening.shown} holds {codec} video and not one whole picture: fetch it again")

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
        failures = 0
        while failures <= _RETRIES:
            try:
                heard = time.monotonic()
                for packet in container.demux(stream):
                    failures = 0
                    late = self._is_late(heard)
                    yield packet
                    # an interrupted parser still gives its last packet, and would then wait once more
                    if late:
                        self._fault = TimeoutError()
                        return
                    heard = time.monotonic()
                return
            # the demuxer's own place in the file has moved on: asked again, it looks for the next packet
            except av.error.InvalidDataError:
                failures += 1
                self._remarks.damaged += 1
            except IndexError:  # what PyAV says at the end of a damaged TS in which another stream turned up
                self._remarks.damaged += 1
                return
            except (av.error.FFmpegError, OSError) as error:
                self._fault = error
                return

    def _pictures(self, container: InputContainer, stream: VideoStream, live: bool) -> Iterator[VideoFrame]:
        """Decoded pictures; damaged packets are counted and passed over, a broken end is flushed too."""
        heard = time.monotonic()
        for packet in self._packets(container, stream):
            self._remarks.damaged += packet.is_corrupt
            try:
                pictures = packet.decode()
            except av.error.FFmpegError:
                self._remarks.damaged += 1
                pictures = []
            for picture in pictures:
                self._remarks.damaged += picture.is_corrupt
                yield picture
                heard = time.monotonic()
            patience_s = _WITHOUT_PICTURE * self._opening.timeout_s
            if live and time.monotonic() - heard > patience_s:
                self._fault = TimeoutError(f"no picture for {patience_s:g} s")
                break
        # a good end has been flushed already and says so
        with contextlib.suppress(av.error.FFmpegError):
            yield from stream.codec_context.decode(None)

    def _timed(self, pictures: Iterator[VideoFrame], live: bool, stamped: bool) -> Iterator[Frame]:
        began: float | None = None
        for index, picture in enumerate(pictures):
            now = time.monotonic()
            began = now if began is None else began
            arrived_s = now - began if live else None
            stamp_s = _seconds(picture.pts, picture.time_base) if stamped else arrived_s
            frame = self._frame(index, self._clock.at(stamp_s, arrived_s), picture, live)
            self._remarks.at(frame, self._clock)
            yield frame
        if live:
            self._remarks.end_of_live(self._clock, self._fault, self._opening.timeout_s)
        else:
            self._remarks.end_of_file(self._clock, self._fault)

    def _frame(self, index: int, time_s: float, picture: VideoFrame, live: bool) -> Frame:
        self._rotation = clockwise(picture)
        lying = self._rotation in (90, 270)
        if live:
            wall_time: datetime | None = datetime.now(UTC)
        else:
            wall_time = self._start_time and self._start_time + timedelta(seconds=time_s)
        return Frame(
            index=index,
            time_s=time_s,
            width=picture.height if lying else picture.width,
            height=picture.width if lying else picture.height,
            render=DecodedPicture(picture, self._rotation),
            camera_id=self._camera_id,
            wall_time=wall_time,
        )


def _picture_stream(container: InputContainer, shown: str) -> VideoStream:
    """The best stream of moving pictures; cover art of a song is none."""
    best = container.streams.best("video")
    if not isinstance(best, VideoStream) or best.disposition & Disposition.attached_pic:
        audio = " (only sound)" if container.streams.audio else ""
        raise SourceError(f"{shown} holds no video{audio}: give a file or an address with pictures in it")
    if best.codec_context is not None and best.codec_context.name in _DRAWN_TEXT:
        raise SourceError(f"{shown} is a text and no video: give a file or an address with pictures in it")
    if best.codec_context is None:
        raise SourceError(f"{shown} holds video in a format that cannot be decoded here: convert it to H.264")
    return best


def _is_live(container: InputContainer) -> bool:
    """A stream without a stated duration is live, unless it comes as one piece of known size."""
    return container.duration is None and (container.size <= 0 or container.format.name == "hls")


def _rate(stream: VideoStream) -> float | None:
    """The nominal frames per second: the average, or else what the codec says."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and 0.01 <= rate <= 1000:
            return float(rate)
    return None


def _seconds(ticks: int | None, tick: Fraction | None) -> float | None:
    return None if ticks is None or tick is None else float(ticks * tick)


def _duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """The duration of the pictures; that of the whole container only where no sound can make it longer."""
    if duration_s := _seconds(stream.duration, stream.time_base):
        return duration_s
    if tagged := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = (float(part) for part in tagged.groups())
        return hours * 3600 + minutes * 60 + seconds
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None
