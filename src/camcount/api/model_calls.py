"""The calls about models: which there are, how they do, loading and unloading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from camcount.api.answers import STATUSES, model_answer, timestamp
from camcount.api.formats import json_answer
from camcount.api.measured import SERIES, Rates, TimeSeries, points_of, time_range, wanted
from camcount.api.openapi import MODEL_CODES, error_responses
from camcount.api.schemas import MetricsAnswer, ModelAnswer, ModelsAnswer, StatusAnswer
from camcount.errors import ServiceError
from camcount.models.references import registry_reference
from camcount.serving.requests import ModelInfo
from camcount.stats import ModelGauges

ModelId = Annotated[
    str, Path(alias="modelId", description="name, name:version or name@alias", examples=["yolox-nano:1.0.0"])
]
_METRICS = "latency,throughput"
_METRICS_TEXT = f"names with commas between: {'; '.join(f'`{name}` {text}' for name, (_, text) in SERIES.items())}"


class Models(Protocol):
    """What these calls need of the data plane; loading and unloading may take long."""

    def models(self) -> list[ModelInfo]: ...
    def model(self, reference: str) -> ModelInfo: ...
    def load(self, reference: str, *, anew: bool = False) -> ModelInfo: ...
    def unload(self, reference: str) -> None: ...
    def gauges(self) -> list[ModelGauges]: ...


class ModelCalls:
    """The calls, over a data plane and what is measured of it."""

    def __init__(
        self,
        plane: Models,
        *,
        rates: Rates | None = None,
        series: TimeSeries | None = None,
        accuracy: Callable[[ModelInfo], float | None] | None = None,
    ) -> None:
        self._plane, self._rates, self._series, self._accuracy = plane, rates, series, accuracy

    def router(self) -> APIRouter:
        """Their routes, described."""
        router = APIRouter(prefix="/api/v1/models", tags=["models"])
        one, errors = "/{modelId}", error_responses(MODEL_CODES)
        calls: list[tuple[str, str, Any, Any, str]] = [
            ("GET", "", self.list, ModelsAnswer, "All models"),
            ("GET", one, self.get, ModelAnswer, "One model"),
            ("GET", f"{one}/status", self.status, StatusAnswer, "How a model does now"),
            ("GET", f"{one}/metrics", self.metrics, MetricsAnswer, "How a model did over time"),
            ("POST", f"{one}/load", self.load, ModelAnswer, "Load a model"),
            ("POST", f"{one}/reload", self.reload, ModelAnswer, "Load a model anew"),
            ("POST", f"{one}/unload", self.unload, ModelAnswer, "Unload a model"),
        ]
        for method, path, call, answer, summary in calls:
            router.add_api_route(
                path,
                call,
                methods=[method],
                summary=summary,
                responses={200: {"model": answer}, **errors},
                response_class=Response,
            )
        return router

    async def list(self) -> Response:
        """Configured and registered ones, loaded or not."""
        found = await asyncio.to_thread(self._plane.models)
        return json_answer({"models": [model_answer(info) for info in found]})

    async def get(self, model_id: ModelId) -> Response:
        """Its state, labels, inputs and outputs; the last three are known once it is loaded."""
        return json_answer(model_answer(await self._info(model_id)))

    async def status(self, model_id: ModelId) -> Response:
        """`loading`, `ready`, `error` or `unavailable`, and its performance over the last minute."""
        info = await self._info(model_id)
        body = {
            "modelId": info.name,
            "version": info.version,
            "status": STATUSES.get(info.state, "unavailable"),
            "state": str(info.state),
            "reason": info.reason,
            "performance": await asyncio.to_thread(self._performance, info),
            "lastUpdated": timestamp(info.changed) if info.changed else None,
        }
        return json_answer(body)

    async def metrics(
        self,
        model_id: ModelId,
        time_range_text: Annotated[
            str, Query(alias="timeRange", description="up to now: 30s, 15m, 1h, 7d or 4w", max_length=40)
        ] = "1h",
        names: Annotated[str, Query(alias="metrics", description=_METRICS_TEXT, max_length=500)] = _METRICS,
    ) -> Response:
        """A time series from the database, of one version where the address names one, of all together otherwise."""
        span, metrics = time_range(time_range_text), wanted(names)
        info = await self._info(model_id)
        if self._series is None:
            raise ServiceError("nothing is kept over time: start the server with a database")
        until = datetime.now(UTC)
        since = until - span
        model = info.reference if set(model_id) & set(":@") else info.name
        points = await asyncio.to_thread(points_of, self._series, model, since, until, metrics)
        body = {
            "modelId": info.name,
            "timeRange": time_range_text,
            "since": timestamp(since.timestamp()),
            "until": timestamp(until.timestamp()),
            "metrics": metrics,
            "points": points,
        }
        return json_answer(body)

    async def load(self, model_id: ModelId) -> Response:
        """Answers once it is ready; one that is loaded stays as it is."""
        return json_answer(model_answer(await asyncio.to_thread(self._plane.load, _checked(model_id))))

    async def reload(self, model_id: ModelId) -> Response:
        """The loaded one goes on answering until the new one is ready."""
        return json_answer(model_answer(await asyncio.to_thread(self._plane.load, _checked(model_id), anew=True)))

    async def unload(self, model_id: ModelId) -> Response:
        """What is queued for it is answered first."""
        await asyncio.to_thread(self._plane.unload, _checked(model_id))
        return json_answer(model_answer(await self._info(model_id)))

    async def _info(self, model_id: str) -> ModelInfo:
        return await asyncio.to_thread(self._plane.model, _checked(model_id))

    def _performance(self, info: ModelInfo) -> dict[str, Any]:
        # asked for first: then the rates know of every request that has ended
        own = next((g for g in self._plane.gauges() if (g.model, g.version) == (info.name, info.version)), None)
        usage: dict[str, Any] = {"cpu": None, "memory": None, "gpu": None}
        latency = throughput = None
        if self._rates is not None:
            now = self._rates.performance(info.name, info.version)
            latency = None if now.latency_avg_s is None else round(now.latency_avg_s * 1000, 3)
            throughput = round(now.requests_per_s, 3)
            gpu = now.resources.gpu
            usage = {
                "cpu": round(now.resources.cpu_share, 4),
                "memory": now.resources.memory_bytes,
                "gpu": None if gpu is None else round(gpu.busy, 4),
            }
        if own is not None and own.memory_bytes:
            usage["memory"] = own.memory_bytes
        accuracy = None if self._accuracy is None else self._accuracy(info)
        return {"avgLatency": latency, "throughput": throughput, "accuracy": accuracy, "resourceUsage": usage}


def _checked(model_id: str) -> str:
    return registry_reference(model_id).text
