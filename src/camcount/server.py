"""The wiring of ``camcount serve``: settings to one running server with all its doors."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from camcount.api.application import application
from camcount.api.jobs import Jobs
from camcount.api.v2 import v2_routes
from camcount.api.v2_statistics import Tally
from camcount.api.websocket import stream_routes
from camcount.batch.schedule import Schedule
from camcount.camera_site import CameraSite
from camcount.dashboard.dashboard import Dashboard
from camcount.dashboard.mounting import UPLOADS, DashboardRoute
from camcount.dashboard.videos import Videos
from camcount.errors import CamcountError, UsageError
from camcount.http_server import HttpServer, http_config, listen, loop_factory, named
from camcount.models.home import home
from camcount.models.opening import Trust
from camcount.monitoring.failures import Failures
from camcount.monitoring.logs import LogRecorder, configure_logging
from camcount.monitoring.prometheus import PrometheusRecorder
from camcount.monitoring.rates import Rates
from camcount.protocols import Recorder
from camcount.server_settings import ServerSettings
from camcount.serving.cache import cache_for
from camcount.serving.dataplane import DataPlane
from camcount.storage.daily_archive import DailyArchive
from camcount.storage.database import Database, open_database
from camcount.storage.measurements import Measurements
from camcount.storage.recorder import TimeSeriesRecorder
from camcount.video.encoded import in_one_thread

_log = logging.getLogger("camcount.server")


class Server:
    """Everything that answers, from one set of settings. What it opens it closes, in the opposite order.

    Raises:
        CamcountError: the database, the cache's address, a certificate or a model's configuration cannot be used.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._open = ExitStack()
        with self._open:
            database = open_database(settings.database_url)
            self._open.callback(database.close)
            self._cache = cache = cache_for(settings.cache)
            if cache is not None:
                self._open.callback(cache.close)
            self.tally, self.rates = Tally(caching=cache is not None), Rates()
            self.failures = Failures()
            self.metrics = PrometheusRecorder(lambda: self.plane.gauges(), triton_names=settings.triton_metrics)
            recorders: list[Recorder] = [self.tally, self.rates, self.failures, self.metrics, LogRecorder()]
            if settings.traces:
                from camcount.monitoring.traces import TraceRecorder

                recorders.append(TraceRecorder())
            recorders.append(TimeSeriesRecorder(database))
            for recorder in recorders:
                self._open.callback(recorder.close)
            self.plane = DataPlane(
                settings.models,
                ask_registry=settings.asks_registry,
                options=settings.serving,
                loading=settings.model_loading.settled(),
                recorders=recorders,
                cache=cache,
                fingerprint=fingerprint(settings),
                idle_s=settings.cache.weights_s,
                opening={
                    "trust": Trust(
                        require_signed_models=settings.require_signed_models, public_key=settings.model_public_key
                    )
                },
            )
            self._open.callback(self.plane.close, settings.drain)
            self.site = CameraSite(settings, self.plane, database)
            self._open.callback(self.site.close)
            self.series = Measurements(database)
            self._schedule = Schedule(database)
            self._open.callback(self._schedule.close)
            self._archive = _archive(settings, database)
            if self._archive is not None:
                self._open.callback(self._archive.close)
            self._videos = Videos(self.plane.detector)
            self._open.callback(self._videos.close)
            self._pages = self._dashboard(database) if settings.dashboard else None
            self._open = self._open.pop_all()

    def application(self) -> ASGIApp:
        """All doors over HTTP."""
        settings = self.settings
        pixels = settings.largest_pixels
        doors = [
            *v2_routes(self.plane, self.tally, largest_body=settings.body_limit, largest_pixels=pixels),
            *stream_routes(self.plane, largest_pixels=pixels),
        ]
        if self._pages is not None:
            doors.append(self._pages)
        return application(
            self.plane,
            doors=doors,
            routers=self.site.routers(),
            rates=self.rates,
            series=self.series,
            render=self.metrics.render,
            jobs=Jobs(self._cache),
            accuracy=lambda info: info.accuracy,
            body_limit=settings.body_limit,
            larger_bodies={UPLOADS: settings.upload_limit} if self._pages is not None else {},
            lives=[self._pages.life] if self._pages is not None else [],
            largest_pixels=pixels,
            private_webhooks=settings.private_webhooks,
        )

    def preload(self) -> dict[str, CamcountError]:
        """Loads what should be in memory before the first request; gives what failed, by name."""
        loading = self.settings.model_loading
        names = {
            "lazy": (),
            "eager": (*self.settings.models, *loading.preload_models),
            "hybrid": loading.preload_models,
        }
        return self.plane.start(list(dict.fromkeys(names[loading.loading_strategy])))

    async def run(self, started: Callable[[str, str], None] = lambda http, grpc: None) -> None:
        """Serves until it is told to stop by SIGTERM or SIGINT, then answers what it has taken.

        Args:
            started: told the addresses, HTTP and gRPC (empty without one), when both listen.

        Raises:
            ServiceError: a port is taken.
            UsageError: the certificate cannot be used.
        """
        listening = listen(self.settings.host, self.settings.port)
        http = self._http()
        grpc = await self._grpc()
        stop = asyncio.Event()
        for wanted in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, RuntimeError):  # not the main thread: whoever runs it stops it
                asyncio.get_running_loop().add_signal_handler(wanted, stop.set)
        loading = asyncio.create_task(asyncio.to_thread(self._preload))
        serving = asyncio.create_task(http.serve([listening]))
        try:
            while not (http.started or serving.done()):
                await asyncio.sleep(0.01)
            scheme = "https" if self.settings.tls_cert else "http"
            started(f"{scheme}://{named(listening)}", f"{self.settings.host}:{grpc.port}" if grpc else "")
            await asyncio.wait({serving, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await asyncio.to_thread(self.site.feed.close)  # which ends the streams of events, so that HTTP can end
            http.should_exit = True
            if grpc is not None:
                await grpc.stop(self.settings.drain)
            await serving
            await loading

    def close(self) -> None:
        """Lets go of everything, what is still queued is answered first."""
        self._open.close()

    def _dashboard(self, database: Database) -> DashboardRoute:
        measured = self.series, self.rates, self.failures
        return DashboardRoute(Dashboard(self.settings, self.plane, self.site, *measured, database, self._videos))

    def _preload(self) -> None:
        for name, error in self.preload().items():
            _log.error("%s is not loaded: %s (%s)", name, error, error.code)
        self.site.start()
        self._schedule.start()
        if self._archive is not None:
            self._archive.start()
        if self._pages is not None:
            self._videos.start()

    async def _grpc(self) -> Any:
        if self.settings.grpc_port is None:
            return None
        from camcount.api.grpc_server import start_grpc

        tls = None
        if self.settings.tls_cert and self.settings.tls_key:
            tls = _content(self.settings.tls_cert), _content(self.settings.tls_key)
        return await start_grpc(
            self.plane,
            self.tally,
            self.settings.host,
            self.settings.grpc_port,
            largest_message=self.settings.body_limit,
            largest_pixels=self.settings.largest_pixels,
            tls=tls,
        )

    def _http(self) -> HttpServer:
        settings = self.settings
        return HttpServer(
            http_config(
                self.application(),
                drain_s=settings.drain,
                body_limit=settings.body_limit,
                tls_cert=settings.tls_cert,
                tls_key=settings.tls_key,
            )
        )


def serve(settings: ServerSettings, started: Callable[[str, str], None] = lambda http, grpc: None) -> None:
    """Runs a server until it is told to stop.

    Raises:
        CamcountError: as `Server`.
    """
    configure_logging(settings.log_format, settings.log_level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    in_one_thread()
    _uninterrupted()
    server = Server(settings)
    _rarely_swept()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(server.run(started))
    finally:
        server.close()


def _uninterrupted() -> None:
    """Has threads finish their turn before one with news gets its own, for this thread and all it will start.

    A replica that is stopped for every piece of a picture that comes finds its caches full of something else. Where
    all cores are busy an answer may leave some milliseconds later for it, and there are more of them; an idle core
    takes up news at once as ever.
    """
    if hasattr(os, "SCHED_BATCH"):  # Linux
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _rarely_swept() -> None:
    """Has Python look for garbage rarely, and not in what is there now, which stays: a tenth of a request's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)


def fingerprint(settings: ServerSettings) -> str:
    """Changes with whatever changes answers, so that a new configuration takes none of the old one's."""
    relevant = repr((sorted(settings.models.items()), settings.serving.confidence))
    files = [Path(served.model) for served in settings.models.values()]
    stamps = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file()]
    return hashlib.sha256(f"{relevant}{stamps}".encode()).hexdigest()[:16]


def _archive(settings: ServerSettings, database: Database) -> DailyArchive | None:
    if settings.archive_after_days is None:
        return None
    folder = settings.archive_folder or home() / "archive"
    return DailyArchive(database, folder, timedelta(days=settings.archive_after_days))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
