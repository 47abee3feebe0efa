"""`POST /api/v1/models/{modelId}/batch-inference`: several pictures, each with its detections or its error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any, Protocol

import orjson
from starlette.types import Receive, Scope, Send

from camcount.api.answers import batch_failure, batch_item, new_id, timestamp
from camcount.api.errors import failure
from camcount.api.formats import MEDIA_TYPES, format_of, written
from camcount.api.inference import Infers, accepted, answered
from camcount.api.jobs import Jobs, patiently
from camcount.api.reading import (
    JSON_TYPE,
    body_of,
    headers_of,
    media_type,
    model_of,
    picture_in,
    query_of,
    request_id_of,
    trace_of,
    while_connected,
    wrong_type,
)
from camcount.api.schemas import BatchBody, from_json
from camcount.api.webhooks import webhook_of
from camcount.errors import InvalidInput
from camcount.serving.requests import DetectionRequest, ModelInfo, Priority
from camcount.video.encoded import LARGEST, picture_frame


class InfersByName(Infers, Protocol):
    """What this door needs of the data plane."""

    def model(self, reference: str) -> ModelInfo: ...


class BatchInference:
    """The ASGI application behind the address; the pictures of a batch let single ones go first."""

    def __init__(
        self, plane: InfersByName, jobs: Jobs, *, largest_pixels: int = LARGEST, private_webhooks: bool = False
    ) -> None:
        self._plane, self._jobs = plane, jobs
        self._largest_pixels, self._private_webhooks = largest_pixels, private_webhooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request.

        Raises:
            CamcountError: what concerns the whole batch; the entrance answers with it.
        """
        headers, model, query = headers_of(scope), model_of(scope), query_of(scope)
        if (kind := media_type(headers)) != JSON_TYPE:
            raise wrong_type(kind, "application/json")
        if query.model_fields_set - {"mode", "webhook"}:
            raise InvalidInput("options stand in the query of a JSON body: write them into its field options")
        content = await body_of(receive)
        body = from_json(BatchBody, content)
        info = await asyncio.to_thread(self._plane.model, model)
        batch = _Batch(self._plane, body, model, info.name, self._largest_pixels)
        batch.request_id, batch.trace = request_id_of(scope), trace_of(headers)
        webhook = body.webhook or query.webhook
        if query.mode == "async":
            target = webhook_of(webhook, private=self._private_webhooks)
            job = self._jobs.start(batch.json, size=len(content), request_id=batch.request_id, webhook=target)
            await accepted(send, job)
            return
        if webhook is not None:
            raise InvalidInput("a webhook is told of the end of a job: add ?mode=async")
        answer = await while_connected(scope, receive, batch.answer())
        form = format_of(body.options.output_format, headers.get(b"accept", b""))
        await answered(send, written(answer, form), MEDIA_TYPES[form])


class _Batch:
    """One batch on its way."""

    def __init__(self, plane: Infers, body: BatchBody, model: str, name: str, largest_pixels: int) -> None:
        self._plane, self._body, self._model, self._name = plane, body, model, name
        self._largest_pixels = largest_pixels
        self._patient = False
        self.request_id = self.trace = ""

    async def answer(self) -> dict[str, Any]:
        """All pictures, at most ``batchSize`` in flight."""
        started = time.perf_counter()
        results: list[dict[str, Any]] = [{}] * len(self._body.images)
        rows = iter(range(len(results)))
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._body.batch_size, len(results))):
                group.create_task(self._work_off(rows, results))
        return {
            "batchId": new_id(),
            "modelId": self._name,
            "results": results,
            "totalProcessingTime": round((time.perf_counter() - started) * 1000, 3),
            "timestamp": timestamp(time.time()),
        }

    async def json(self) -> bytes:
        """The same as a job's result: it has time."""
        self._patient = True
        return orjson.dumps(await self.answer())

    async def _work_off(self, rows: Iterator[int], results: list[dict[str, Any]]) -> None:
        for row in rows:
            try:
                results[row] = await self._one(row)
            except Exception as error:
                results[row] = batch_failure(row, failure(error, self.request_id), self.request_id)
            await asyncio.sleep(0)  # refused pictures cost time too: others come in between

    async def _one(self, row: int) -> dict[str, Any]:
        content = picture_in(self._body.images[row])
        request = DetectionRequest(
            model=self._model,
            frame=picture_frame(content, largest_pixels=self._largest_pixels),
            content=content,
            thresholds=self._body.options.thresholds,
            priority=Priority.BATCH,
            door="rest",
            request_id=self.request_id,
            trace=self.trace,
        )
        if self._patient:
            return batch_item(row, await patiently(lambda: self._plane.infer(request)))
        return batch_item(row, await self._plane.infer(request))
