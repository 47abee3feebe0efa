"""All cameras of a server."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from camcount.cameras.camera import Camera, MakeSource
from camcount.cameras.governor import Governor
from camcount.cameras.lately import Lately
from camcount.cameras.ledger import Counts, Writer
from camcount.cameras.reading import Clocks
from camcount.cameras.settings import CameraSettings
from camcount.cameras.states import CameraState
from camcount.errors import SourceError, UsageError
from camcount.geometry import Line, Zone
from camcount.protocols import Detector, Step
from camcount.storage.counts import StoredEvent
from camcount.video.encoded import jpeg
from camcount.video.open import source_for
from camcount.video.overlay import Overlay

_WIDEST = 1280


def _nobody(camera_id: str, events: Sequence[StoredEvent]) -> None:
    """Nobody listens."""


class Cameras:
    """The cameras by name; safe from all threads.

    Args:
        store: of their counts.
        detector: the model for a camera; called in the camera's own thread, again if it fails.
        committed: is told, in one thread, which events of a camera have just been stored; must not block.
        secrets: what ``${NAME}`` in a source stands for; the environment unless given.
        source: makes a source from its address.
    """

    def __init__(
        self,
        store: Counts,
        detector: Callable[[CameraSettings], Detector],
        *,
        committed: Callable[[str, Sequence[StoredEvent]], None] = _nobody,
        secrets: Mapping[str, str] | None = None,
        source: MakeSource = source_for,
        clocks: Clocks | None = None,
    ) -> None:
        self._store, self._detector = store, detector
        self._secrets = os.environ if secrets is None else secrets
        self._source, self._clocks = source, clocks
        self._writer = Writer(store, committed)
        self._governor = Governor()
        self._lock = threading.Lock()
        self._cameras: dict[str, Camera] = {}

    def add(self, name: str, settings: CameraSettings, *, start: bool = True) -> None:
        """One more camera, which goes on counting where a camera of this name stopped.

        Raises:
            UsageError: there is one of this name, or it has none.
        """
        if not name or any(character in name for character in "/\\\n"):
            raise UsageError(f"{name!r} is no name for a camera: use letters, digits, - and _")
        with self._lock:
            if name in self._cameras:
                raise UsageError(f"there is a camera {name!r} already: remove it first, or choose another name")
            camera = Camera(
                name,
                settings,
                self._store,
                self._writer,
                self._governor,
                self._detector,
                secrets=self._secrets,
                source=self._source,
                clocks=self._clocks,
            )
            self._cameras[name] = camera
        if start:
            camera.start()

    def remove(self, name: str) -> None:
        """Ends a camera; what it counted stays in the store.

        Raises:
            UsageError: there is none of this name.
        """
        camera = self._get(name)
        with self._lock:
            self._cameras.pop(name, None)
        camera.close()

    def start(self, name: str) -> None:
        """Begins to count.

        Raises:
            UsageError: there is none of this name.
        """
        self._get(name).start()

    def stop(self, name: str) -> None:
        """Ends counting for now.

        Raises:
            UsageError: there is none of this name.
        """
        self._get(name).stop()

    def edit(
        self, name: str, *, lines: Sequence[Line] | None = None, zones: Sequence[Zone] | None = None
    ) -> CameraSettings:
        """Redraws while it counts; nothing counted is lost, and lines that stay do not notice. Gives the settings.

        Raises:
            GeometryError: a line or a zone does not fit the picture; then nothing has changed.
            UsageError: there is no camera of this name, or two lines or zones have one name.
        """
        camera = self._get(name)
        camera.edit(lines, zones)
        return camera.settings

    def settings(self, name: str) -> CameraSettings:
        """As they are now; the source without its secrets.

        Raises:
            UsageError: there is none of this name.
        """
        settings = self._get(name).settings
        return replace(settings, source=settings.shown)

    def states(self) -> list[CameraState]:
        """How all are, in the order in which they were added."""
        with self._lock:
            cameras = list(self._cameras.values())
        return [camera.state() for camera in cameras]

    def state(self, name: str) -> CameraState:
        """How one is.

        Raises:
            UsageError: there is none of this name.
        """
        return self._get(name).state()

    def last(self, name: str) -> Step | None:
        """The newest frame that one counted, with its tracks; None before the first.

        Raises:
            UsageError: there is none of this name.
        """
        return self._get(name).last()

    def snapshot(self, name: str, *, overlay: bool = True) -> bytes:
        """The newest counted picture as a JPEG, at most 1280 pixels wide, with boxes, lines and counts drawn on it.

        Raises:
            SourceError: it has no picture yet.
            UsageError: there is none of this name.
        """
        camera = self._get(name)
        step = camera.last()
        if step is None or step.frame.render is None:
            raise SourceError(f"camera {name!r} has given no picture yet: it is {camera.state().state}")
        frame, settings = step.frame, camera.settings
        scale = min(1.0, _WIDEST / frame.width)
        width, height = round(frame.width * scale), round(frame.height * scale)
        if not overlay:
            return jpeg(frame.image(width, height))
        drawn = Overlay(settings.lines, settings.zones, width, height, anchor=settings.anchor)
        state = camera.state()
        drawn.begin(state.totals, state.occupancy)
        return jpeg(drawn.draw(replace(step, events=())))

    def heat(self, name: str) -> bytes:
        """Where objects were since the server started, in colours over the newest picture, as a JPEG.

        Raises:
            SourceError: it has no picture yet.
            UsageError: there is none of this name.
        """
        camera = self._get(name)
        step, heat = camera.last(), camera.heat()
        if step is None or step.frame.render is None or heat is None:
            raise SourceError(f"camera {name!r} has given no picture yet: it is {camera.state().state}")
        return jpeg(heat.picture(step.frame.image(*heat.size)))

    def lately(self, name: str) -> Lately:
        """The tracks that one saw in the last minute.

        Raises:
            UsageError: there is none of this name.
        """
        return self._get(name).lately()

    def close(self) -> None:
        """Ends all of them, at the same time, and the storing."""
        with self._lock:
            cameras, self._cameras = list(self._cameras.values()), {}
        if cameras:
            with ThreadPoolExecutor(min(16, len(cameras)), thread_name_prefix="close camera") as pool:
                list(pool.map(Camera.close, cameras))
        self._writer.close()

    def _get(self, name: str) -> Camera:
        with self._lock:
            camera = self._cameras.get(name)
            known = ", ".join(self._cameras) or "there is none"
        if camera is None:
            raise UsageError(f"there is no camera {name!r}: {known}")
        return camera
