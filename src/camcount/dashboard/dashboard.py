"""What the pages of one server may use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from camcount.camera_site import CameraSite
from camcount.cameras.states import CameraState
from camcount.dashboard.videos import Videos
from camcount.monitoring.failures import Failures
from camcount.monitoring.rates import Rates
from camcount.server_settings import ServerSettings
from camcount.serving.dataplane import DataPlane
from camcount.storage.database import Database
from camcount.storage.measurements import Measurements

_FRESH_S = 0.5


@dataclass(slots=True)
class _Looked:
    at: float = 0.0
    states: list[CameraState] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One server as its pages see it. What asks the database or waits for a lock is called in a thread, never in the
    event loop: ``await asyncio.to_thread(dashboard.site.store.intervals, …)``.

    Attributes:
        site: ``site.cameras`` run, ``site.store`` has what they counted, ``site.entries`` how they are defined;
            ``site.define``, ``site.redraw`` and ``site.delete`` change that for good.
        plane: the models that are served.
        videos: those that were dropped into a page.
        series, rates: what serving was like, over time and in the last minute.
        failures: the last requests that failed.
    """

    settings: ServerSettings
    plane: DataPlane
    site: CameraSite
    series: Measurements
    rates: Rates
    failures: Failures
    database: Database
    videos: Videos
    _looked: _Looked = field(default_factory=_Looked, repr=False)

    async def states(self) -> Sequence[CameraState]:
        """How all cameras are: at most half a second old, however many pages ask."""
        async with self._looked.lock:
            if time.monotonic() - self._looked.at > _FRESH_S:
                self._looked.states = await asyncio.to_thread(self.site.cameras.states)
                self._looked.at = time.monotonic()
        return self._looked.states

    async def state(self, camera: str) -> CameraState | None:
        """How one camera is; None where there is none of that name."""
        return next((state for state in await self.states() if state.name == camera), None)
