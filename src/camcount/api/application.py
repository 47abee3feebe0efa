"""All doors over HTTP as one ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

import camcount
from camcount.api.batches import BatchInference, InfersByName
from camcount.api.entrance import BODY_LIMIT, Entrance
from camcount.api.inference import Inference
from camcount.api.jobs import Jobs
from camcount.api.measured import Rates, TimeSeries
from camcount.api.model_calls import ModelCalls, Models
from camcount.api.openapi import completed
from camcount.api.server_calls import Ready, ServerCalls
from camcount.serving.requests import ModelInfo
from camcount.video.encoded import LARGEST


class Plane(InfersByName, Models, Ready, Protocol):
    """What the doors need of `camcount.serving.dataplane.DataPlane`."""


def application(
    plane: Plane,
    *,
    doors: Sequence[BaseRoute] = (),
    routers: Sequence[APIRouter] = (),
    rates: Rates | None = None,
    series: TimeSeries | None = None,
    render: Callable[[], bytes] | None = None,
    accuracy: Callable[[ModelInfo], float | None] | None = None,
    jobs: Jobs | None = None,
    body_limit: int = BODY_LIMIT,
    larger_bodies: Mapping[str, int] = {},
    lives: Sequence[Callable[[], AbstractAsyncContextManager[None]]] = (),
    largest_pixels: int = LARGEST,
    private_webhooks: bool = False,
) -> ASGIApp:
    """The REST interface over a data plane, with other doors beside it.

    Args:
        doors: routes of other doors; they stand behind the same entrance: request ids, limit of the body,
            access log, and the one form of errors for what they do not answer themselves.
        routers: further calls, described in the OpenAPI document.
        rates, series: what `/status` and `/metrics` of a model show.
        render: Prometheus' text for `/metrics`.
        accuracy: how right a model is, 0 to 1, where that is known.
        body_limit: bytes; ``larger_bodies`` where paths that begin so take more.
        lives: what runs from the start of the server to its end.
        private_webhooks: jobs may tell addresses of the server's own network.
    """
    jobs = jobs or Jobs()
    limits: dict[str, Any] = {"largest_pixels": largest_pixels, "private_webhooks": private_webhooks}
    described = _Described()
    described.include_router(ModelCalls(plane, rates=rates, series=series, accuracy=accuracy).router())
    described.include_router(ServerCalls(plane, jobs, render).router())
    for router in routers:
        described.include_router(router)
    one = "/api/v1/models/{model_id}"
    direct = [
        Route(f"{one}/inference", Inference(plane, jobs, **limits), methods=["POST"]),
        Route(f"{one}/batch-inference", BatchInference(plane, jobs, **limits), methods=["POST"]),
    ]
    return Entrance(
        _Front([*direct, *doors], described, _lifespan(jobs, lives)), body_limit=body_limit, larger=larger_bodies
    )


class _Front(Router):
    """What is asked most comes first and directly, the rest of what there is by way of FastAPI."""

    def __init__(self, direct: Sequence[BaseRoute], described: FastAPI, lifespan: Callable[[Any], Any]) -> None:
        super().__init__(direct, redirect_slashes=False, default=described, lifespan=lifespan)
        self._described = described

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes one request on."""
        scope["app"] = self._described  # routes raise what is wrong, rather than answer it, if there is one
        await super().__call__(scope, receive, send)


class _Described(FastAPI):
    """FastAPI for routes and their description; errors are the entrance's, all of them."""

    def __init__(self) -> None:
        super().__init__(
            title="camcount",
            version=camcount.__version__,
            summary="Detections from pictures",
            description="Post a picture, get the people and vehicles in it. Every error has one form, with a code.",
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )

    def build_middleware_stack(self) -> ASGIApp:
        """Nothing that would answer an error in another form."""
        return AsyncExitStackMiddleware(self.router)

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = completed(super().openapi())
        return self.openapi_schema


def _lifespan(jobs: Jobs, lives: Sequence[Callable[[], AbstractAsyncContextManager[None]]]) -> Callable[[Any], Any]:
    @asynccontextmanager
    async def life(_: Any) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for other in lives:
                await stack.enter_async_context(other())
            yield
            await jobs.close()

    return life
