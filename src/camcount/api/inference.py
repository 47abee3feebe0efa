"""`POST /api/v1/models/{modelId}/inference`: one picture, as the body itself or in JSON, to its detections."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import orjson
from starlette.types import Receive, Scope, Send

from camcount.api.answers import inference_answer
from camcount.api.formats import MEDIA_TYPES, format_of, written
from camcount.api.jobs import Job, Jobs, patiently
from camcount.api.reading import (
    JSON_TYPE,
    PICTURE_TYPES,
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
from camcount.api.schemas import InferenceBody, Options, Query, from_json
from camcount.api.webhooks import webhook_of
from camcount.errors import InvalidInput
from camcount.serving.requests import Answer, DetectionRequest, Priority
from camcount.video.encoded import LARGEST, picture_frame


class Infers(Protocol):
    """What this door needs of the data plane."""

    async def infer(self, request: DetectionRequest) -> Answer: ...


class Inference:
    """The ASGI application behind the address: nothing stands between it and the data plane.

    Args:
        private_webhooks: jobs may tell addresses of the server's own network.
    """

    def __init__(
        self, plane: Infers, jobs: Jobs, *, largest_pixels: int = LARGEST, private_webhooks: bool = False
    ) -> None:
        self._plane, self._jobs = plane, jobs
        self._largest_pixels, self._private_webhooks = largest_pixels, private_webhooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request.

        Raises:
            CamcountError: what the entrance answers with.
        """
        headers = headers_of(scope)
        model, query = model_of(scope), query_of(scope)
        content, options, webhook = await self._read(headers, query, receive)
        request = DetectionRequest(
            model=model,
            frame=picture_frame(content, largest_pixels=self._largest_pixels),
            content=content,
            thresholds=options.thresholds,
            door="rest",
            request_id=request_id_of(scope),
            trace=trace_of(headers),
        )
        if query.mode == "async":
            await accepted(send, self._start(request, webhook))
            return
        answer = await while_connected(scope, receive, self._plane.infer(request))
        form = format_of(options.output_format, headers.get(b"accept", b""))
        await answered(send, written(inference_answer(answer), form), MEDIA_TYPES[form])

    async def _read(
        self, headers: dict[bytes, bytes], query: Query, receive: Receive
    ) -> tuple[bytes, Options, str | None]:
        kind = media_type(headers)
        if kind in PICTURE_TYPES:
            _check_mode(query, query.webhook)
            return await body_of(receive), query, query.webhook
        if kind != JSON_TYPE:
            raise wrong_type(kind, "image/jpeg, image/png, image/webp, image/bmp or application/json")
        if query.model_fields_set - {"mode", "webhook"}:
            raise InvalidInput("options stand in the query of a JSON body: write them into its field options")
        body = from_json(InferenceBody, await body_of(receive))
        webhook = body.webhook or query.webhook
        _check_mode(query, webhook)
        return picture_in(body.image), body.options, webhook

    def _start(self, request: DetectionRequest, webhook: str | None) -> Job:
        later = replace(request, priority=Priority.BATCH, door="batch")

        async def work() -> bytes:
            return orjson.dumps(inference_answer(await patiently(lambda: self._plane.infer(later))))

        return self._jobs.start(
            work,
            size=len(request.content or b""),
            request_id=request.request_id,
            webhook=webhook_of(webhook, private=self._private_webhooks),
        )


def _check_mode(query: Query, webhook: str | None) -> None:
    if webhook is not None and query.mode != "async":
        raise InvalidInput("a webhook is told of the end of a job: add ?mode=async")


async def answered(send: Send, body: bytes, kind: bytes = b"application/json", status: int = 200) -> None:
    """Sends an answer."""
    length = str(len(body)).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", kind), (b"content-length", length)],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def accepted(send: Send, job: Job) -> None:
    """Answers 202 with where the job can be asked for."""
    body = orjson.dumps({"jobId": job.id, "statusUrl": job.address})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"location", job.address.encode()),
    ]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": body})
