"""The wiring of a server's cameras: definitions to cameras, their counts to the database and to whoever listens."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack

from fastapi import APIRouter

from camcount.api.cameras import CameraCalls
from camcount.api.event_stream import event_router
from camcount.cameras.cameras import Cameras
from camcount.cameras.settings import CameraSettings
from camcount.cameras.states import CameraState, State
from camcount.delivery.cameras import CameraOutline, Command
from camcount.delivery.feed import Feed
from camcount.delivery.select import deliveries_for
from camcount.errors import CamcountError
from camcount.protocols import Detector
from camcount.server_settings import CameraEntry, ServerSettings, ShapesEntry, secrets_of
from camcount.serving.dataplane import DataPlane
from camcount.storage.camera_table import CameraTable
from camcount.storage.counts import CountStore
from camcount.storage.database import Database

_log = logging.getLogger("camcount.cameras")
_MOTION = "motion"
_ON = (State.CONNECTING, State.RUNNING, State.RECONNECTING, State.FROZEN, State.BLACK)


class CameraSite:
    """All cameras of one server. What it opens it closes, in the opposite order.

    Args:
        settings: of the server; what was changed over the interface goes before its ``cameras``.
        plane: where the cameras' frames are detected.
        database: open; whoever opened it closes it, after this.

    Raises:
        DatabaseUnavailable: it cannot be read.
        UsageError: a sink or the file of secrets cannot be used.
    """

    def __init__(self, settings: ServerSettings, plane: DataPlane, database: Database) -> None:
        self._plane = plane
        self._default_model = next(iter(settings.models), _MOTION)
        self._table = CameraTable(database)
        self.store = CountStore(database)
        self.entries = dict(settings.cameras)
        for name, definition in self._table.all().items():
            self.entries.pop(name, None)
            if definition is not None:
                self.entries[name] = CameraEntry.model_validate(definition)
        self._open = ExitStack()
        with self._open:
            self.feed = Feed(self.store)
            self._open.callback(self.feed.close)
            self._deliveries = deliveries_for(settings.sinks, self.store, self.feed, database, self)
            for delivery in self._deliveries:
                self._open.callback(delivery.close)
            self.cameras = Cameras(
                self.store, self._detector, committed=self.feed.publish, secrets=secrets_of(settings.secrets)
            )
            self._open.callback(self.cameras.close)
            self._open = self._open.pop_all()

    def start(self) -> None:
        """Begins to count and to deliver; a camera that cannot be used is told in the log and stays away."""
        for delivery in self._deliveries:
            delivery.start()
        for name, entry in self.entries.items():
            try:
                self.cameras.add(name, self.settled(entry))
            except CamcountError as error:
                _log.error("camera %s is not counted: %s (%s)", name, error, error.code)

    def close(self) -> None:
        """Ends all cameras, stores what they counted, and ends the deliveries."""
        self._open.close()

    def routers(self) -> Sequence[APIRouter]:
        """The calls about cameras, and the events."""
        return CameraCalls(self.cameras, self.store, self).router(), event_router(self.store, self.feed)

    def define(self, name: str, entry: CameraEntry) -> None:
        """Makes a camera, or stops it and starts it with another definition; counts go on. Outlives a restart.

        Raises:
            UsageError, GeometryError: something in it cannot be; then nothing has changed.
            DatabaseUnavailable: it runs so, and will not after a restart.
        """
        settings = self.settled(entry)
        if any(state.name == name for state in self.cameras.states()):
            self.cameras.remove(name)
        self.cameras.add(name, settings)
        self.entries[name] = entry
        self._table.put(name, entry.as_json())

    def redraw(self, name: str, change: ShapesEntry) -> None:
        """Other lines or zones while it counts; what is left out stays. Outlives a restart.

        Raises:
            GeometryError, UsageError: as `Cameras.edit`; then nothing has changed.
            DatabaseUnavailable: it counts so, and will not after a restart.
        """
        lines, zones = change.drawn()
        self.cameras.edit(name, lines=lines, zones=zones)
        self.entries[name] = entry = self.entries[name].with_shapes(change)
        self._table.put(name, entry.as_json())

    def delete(self, name: str) -> None:
        """Ends a camera for good; what it counted can still be asked for.

        Raises:
            UsageError: there is none of this name.
            DatabaseUnavailable: it is gone until a restart.
        """
        self.cameras.remove(name)
        self.entries.pop(name, None)
        self._table.put(name, None)

    def settled(self, entry: CameraEntry) -> CameraSettings:
        """What a definition comes to.

        Raises:
            UsageError, GeometryError: something in it cannot be.
        """
        return entry.settings(self._default_model)

    def outlines(self) -> Sequence[CameraOutline]:
        """All cameras, as deliveries want them."""
        return [self._outline(state) for state in self.cameras.states()]

    def command(self, camera: str, command: Command) -> None:
        """What came over MQTT."""
        try:
            if command == "on":
                self.cameras.start(camera)
            elif command == "off":
                self.cameras.stop(camera)
            else:
                zones = self.cameras.settings(camera).zones
                self.cameras.edit(camera, zones=())
                self.cameras.edit(camera, zones=zones)  # drawn anew, they begin with nobody inside
        except CamcountError as error:
            _log.warning("camera %s was told %s: %s", camera, command, error)

    def _outline(self, state: CameraState) -> CameraOutline:
        settings = self.cameras.settings(state.name)
        return CameraOutline(
            name=state.name,
            lines=tuple(line.name for line in settings.lines),
            zones=tuple(zone.name for zone in settings.zones),
            on=state.state in _ON,
            online=state.state is State.RUNNING,
            occupancy=state.occupancy,
        )

    def _detector(self, settings: CameraSettings) -> Detector:
        if settings.model == _MOTION:  # it remembers earlier pictures, so each camera has its own
            from camcount.models.opening import resolve_detector

            return resolve_detector(_MOTION, labels=settings.labels)
        return self._plane.detector(settings.model, labels=settings.labels)
