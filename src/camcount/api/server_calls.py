"""The calls about the server itself: jobs, health, metrics for Prometheus, and the page that lists all calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Protocol

from fastapi import APIRouter, Path, Request
from starlette.responses import HTMLResponse, Response

from camcount.api.docs_page import docs_page
from camcount.api.formats import json_answer
from camcount.api.jobs import Jobs
from camcount.api.openapi import JOB_CODES, error_responses
from camcount.api.schemas import JobAnswer
from camcount.errors import ServiceError

JobId = Annotated[str, Path(alias="jobId", description="as the 202 said", max_length=100)]


class Ready(Protocol):
    """What these calls need of the data plane."""

    def ready(self) -> bool: ...


class ServerCalls:
    """The calls, over a data plane, its jobs and whatever renders the metrics."""

    def __init__(self, plane: Ready, jobs: Jobs, render: Callable[[], bytes] | None = None) -> None:
        self._plane, self._jobs, self._render = plane, jobs, render

    def router(self) -> APIRouter:
        """Their routes, described."""
        router = APIRouter()
        self._add_jobs(router)
        for path, call, summary in (
            ("/health/live", self.live, "Whether the server runs"),
            ("/health/ready", self.ready, "Whether its models are loaded"),
            ("/metrics", self.metrics, "Measurements for Prometheus"),
        ):
            told = error_responses(("SYS_001",))
            router.add_api_route(
                path, call, tags=["server"], summary=summary, responses=told, response_class=Response
            )
        router.add_api_route("/docs", self.docs, include_in_schema=False)
        router.add_api_route("/openapi.json", self.document, include_in_schema=False)
        return router

    def _add_jobs(self, router: APIRouter) -> None:
        path, gone = "/api/v1/jobs/{jobId}", error_responses(JOB_CODES, refused=(404,))
        router.add_api_route(
            path,
            self.job,
            tags=["jobs"],
            summary="How a job stands",
            responses={200: {"model": JobAnswer}, **gone},
            response_class=Response,
        )
        router.add_api_route(
            path,
            self.cancel,
            methods=["DELETE"],
            tags=["jobs"],
            summary="Cancel a job",
            status_code=204,
            responses=gone,
        )

    async def job(self, job_id: JobId) -> Response:
        """`queued`, `running`, `done` with its result, or `failed` with its error."""
        return Response(await self._jobs.answer(job_id), media_type="application/json")

    async def cancel(self, job_id: JobId) -> Response:
        """What it still has to compute is not computed; it is forgotten."""
        await self._jobs.cancel(job_id)
        return Response(status_code=204)

    async def live(self) -> Response:
        """Answers as long as the process does."""
        return Response(b'{"status":"live"}', media_type="application/json")

    async def ready(self) -> Response:
        """503 with SYS_001 until every model that should be there from the start is."""
        if not self._plane.ready():
            raise ServiceError("not all models are loaded yet: ask again")
        return Response(b'{"status":"ready"}', media_type="application/json")

    async def metrics(self) -> Response:
        """In Prometheus' text format."""
        if self._render is None:
            raise ServiceError("nothing is measured: the server was started without metrics")
        text = await asyncio.to_thread(self._render)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def docs(self, request: Request) -> Response:
        """A page of all calls, with a command for each; nothing is fetched from elsewhere."""
        return HTMLResponse(docs_page(request.app.openapi(), str(request.base_url).rstrip("/")))

    async def document(self, request: Request) -> Response:
        """The OpenAPI document."""
        return json_answer(request.app.openapi())
