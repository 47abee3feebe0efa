"""The pages on a server that has other doors: which addresses are theirs, and when they live."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from fastapi import FastAPI
from starlette.routing import BaseRoute, Match, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from camcount.dashboard.addresses import ADDRESSES
from camcount.dashboard.dashboard import Dashboard
from camcount.dashboard.kept_files import KeptFiles
from camcount.dashboard.pictures import Pictures
from camcount.dashboard.pictures_socket import PATH, pictures_route
from camcount.errors import ServiceError

_log = logging.getLogger("camcount.dashboard")
_OWN = ("/_nicegui/", "/_nicegui_ws/", "/_dashboard/", "/favicon.ico")
UPLOADS = "/_nicegui/client/"
"""Where browsers send what is dropped into a page."""

_one = threading.Lock()


class DashboardRoute(BaseRoute):
    """Answers for the pages and what they consist of; everything else is left to other routes.

    NiceGUI is imported beside the running server, so that the pages delay no other door. It is one per process: of
    several servers in one process, the first that runs has the pages.
    """

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard
        self._addresses = [compile_path(path)[0] for paths in ADDRESSES.values() for path in paths]
        self._pictures = Pictures(dashboard.site.cameras)
        self._moving = pictures_route(self._pictures, dashboard.site.entries)
        self._ready: asyncio.Future[ASGIApp] | None = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """All of an address that is a page's, or begins as what pages consist of."""
        path = scope.get("path", "")
        if scope["type"] not in ("http", "websocket"):
            return Match.NONE, {}
        page = scope.get("method") in ("GET", "HEAD") and any(known.match(path) for known in self._addresses)
        return (Match.FULL if page or path.startswith(_OWN) else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request.

        Raises:
            ServiceError: another server of this process has the pages.
        """
        if scope["type"] == "websocket" and scope["path"] == PATH:
            await self._moving.app(scope, receive, send)
            return
        if self._ready is None:
            raise ServiceError("the dashboard has not started: the server runs without its lifespan")
        shell = await asyncio.shield(self._ready)
        scope["dashboard"] = self._dashboard
        await shell(scope, receive, send)

    @asynccontextmanager
    async def life(self) -> AsyncIterator[None]:
        """From the start of the server to its end."""
        self._ready, closing = asyncio.get_running_loop().create_future(), asyncio.Event()
        living = asyncio.create_task(self._live(self._ready, closing))
        try:
            yield
        finally:
            closing.set()
            await self._pictures.close()
            await living

    async def _live(self, ready: asyncio.Future[ASGIApp], closing: asyncio.Event) -> None:
        if not _one.acquire(blocking=False):
            ready.set_exception(ServiceError("another server of this process has the dashboard: use that one"))
            ready.exception()  # nobody may ever ask
            return
        try:
            shell = await asyncio.to_thread(_nicegui)
            async with shell.router.lifespan_context(shell):
                ready.set_result(KeptFiles(shell))
                await closing.wait()
        except Exception as error:
            _log.exception("the dashboard failed")
            if not ready.done():
                ready.set_exception(ServiceError(f"the dashboard cannot start ({type(error).__name__})"))
                ready.exception()
        finally:
            _one.release()


@cache
def _nicegui() -> FastAPI:
    """NiceGUI with all pages, made once per process."""
    from camcount.dashboard.shell import mounted

    return mounted()
