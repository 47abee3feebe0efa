"""Moving pictures of cameras: each made once for all who look, and none while nobody does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from camcount.cameras.cameras import Cameras
from camcount.cameras.settings import CameraSettings
from camcount.errors import CamcountError
from camcount.frame import Frame
from camcount.serving.options import cores
from camcount.video.encoded import jpeg
from camcount.video.overlay import Overlay

_log = logging.getLogger("camcount.dashboard")

Key = tuple[str, int]
"""A camera's name, and how many pixels wide its picture is."""

WIDTHS = (640, 960)
_PACE_S = {640: 0.4, 960: 0.25}
_SHARE = 0.04
"""Of all cores, at most so much is spent on drawing, however many look: more cameras move more slowly instead."""
_QUALITY = 72
_SLOWEST_S = 5.0


class Drawing:
    """One camera at one width, with everything drawn on it; trails go on from picture to picture."""

    def __init__(self, cameras: Cameras, name: str, width: int) -> None:
        self._cameras, self._name, self._width = cameras, name, width
        self._frame: Frame | None = None
        self._drawn: tuple[object, Overlay] | None = None

    def draw(self) -> bytes | None:
        """A JPEG of the newest frame that was counted; None where there is none since the last time.

        Raises:
            UsageError: there is no camera of this name any more.
        """
        step = self._cameras.last(self._name)
        if step is None or step.frame is self._frame or step.frame.render is None:
            return None
        self._frame = step.frame
        overlay = self._overlay(self._cameras.settings(self._name), step.frame)
        state = self._cameras.state(self._name)
        overlay.begin(state.totals, state.occupancy)
        return jpeg(overlay.draw(replace(step, events=())), _QUALITY)

    def _overlay(self, settings: CameraSettings, frame: Frame) -> Overlay:
        width = min(self._width, frame.width)
        height = round(frame.height * width / frame.width)
        mark = settings.lines, settings.zones, settings.anchor, width, height
        if self._drawn is None or self._drawn[0] != mark:
            self._drawn = mark, Overlay(settings.lines, settings.zones, width, height, anchor=settings.anchor)
        return self._drawn[1]


@dataclass(slots=True)
class _Shown:
    drawing: Drawing
    watchers: int = 0
    due: float = 0.0
    number: int = 0
    jpeg: bytes = b""


@dataclass
class Pictures:
    """All pictures that anybody looks at. For one event loop; drawing is done in one thread of its own.

    Args:
        share: of all cores, at most spent on drawing.
    """

    cameras: Cameras
    share: float = _SHARE
    clock: Callable[[], float] = time.monotonic
    _shown: dict[Key, _Shown] = field(default_factory=dict)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pictures")

    @contextmanager
    def watching(self, keys: Iterable[Key]) -> Iterator[None]:
        """While inside, these are drawn."""
        watched = set(keys)
        for key in watched:
            self._shown.setdefault(key, _Shown(Drawing(self.cameras, *key))).watchers += 1
        if watched and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._draw())
        self._wake.set()
        try:
            yield
        finally:
            for key in watched:
                self._shown[key].watchers -= 1
                if not self._shown[key].watchers:
                    del self._shown[key]
            self._wake.set()

    async def news(self, seen: dict[Key, int]) -> list[tuple[Key, bytes]]:
        """Waits until one of the pictures of ``seen`` is newer than the number there, which is then set."""
        async with self._news:
            await self._news.wait_for(lambda: any(self._number(key) > number for key, number in seen.items()))
        newer = [key for key, number in seen.items() if self._number(key) > number]
        seen.update({key: self._number(key) for key in newer})
        return [(key, self._shown[key].jpeg) for key in newer]

    async def close(self) -> None:
        """Draws no more."""
        if self._task is not None:
            self._task.cancel()
        await asyncio.to_thread(self._thread.shutdown)

    def _number(self, key: Key) -> int:
        shown = self._shown.get(key)
        return 0 if shown is None else shown.number

    async def _draw(self) -> None:
        while self._shown:
            self._wake.clear()
            key, shown = min(self._shown.items(), key=lambda item: item[1].due)
            if (early := shown.due - self.clock()) > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), early)
                continue
            picture, cost_s = await asyncio.get_running_loop().run_in_executor(self._thread, _timed, shown.drawing)
            pause = max(_PACE_S[key[1]], cost_s * len(self._shown) / (self.share * cores()))
            shown.due = self.clock() + min(pause, _SLOWEST_S)
            if picture is not None:
                shown.jpeg, shown.number = picture, shown.number + 1
                async with self._news:
                    self._news.notify_all()


def _timed(drawing: Drawing) -> tuple[bytes | None, float]:
    """A picture, and the processor seconds that it took."""
    began = time.thread_time()
    try:
        picture = drawing.draw()
    except CamcountError:  # it was deleted, or its new line does not fit the picture: there is nothing to show
        picture = None
    except Exception:  # one picture that fails must not end those of the other cameras
        _log.exception("a picture could not be drawn")
        picture = None
    return picture, time.thread_time() - began
