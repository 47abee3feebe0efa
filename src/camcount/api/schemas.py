"""The JSON of the REST interface: what comes in is checked by these classes, what goes out is described by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.json_schema import models_json_schema

from camcount.api.errors import InvalidFields
from camcount.protocols import Thresholds

OutputFormat = Literal["json", "xml", "protobuf"]
MOST_IMAGES = 1000
MOST_AT_ONCE = 64


class _Camel(BaseModel):
    """Written in camelCase; what is not named here is refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


class Options(_Camel):
    """What is to be returned; what is left out is up to the model."""

    confidence_threshold: float | None = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="the least confidence returned, a number from 0 to 1"
    )
    nms_threshold: float | None = Field(
        None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="the overlap (IoU) above which two boxes are one object, a number above 0 up to 1",
    )
    max_detections: int | None = Field(
        None, ge=1, le=10_000, description="how many are returned at most, the surest, a whole number from 1 to 10000"
    )
    output_format: OutputFormat | None = Field(
        None, description="json, xml or protobuf; where nothing is said, as the Accept header asks, else json"
    )

    @property
    def thresholds(self) -> Thresholds:
        """The same for the data plane."""
        return Thresholds(self.confidence_threshold, self.nms_threshold, self.max_detections)


NO_OPTIONS = Options.model_validate({})


class Query(Options):
    """All that may stand behind the question mark of an inference."""

    mode: Literal["sync", "async"] = Field(
        "sync", description="sync waits for the answer, async answers with a job at once"
    )
    webhook: str | None = Field(
        None, max_length=2000, description="with mode=async: an http or https address that is told of the end"
    )


NO_QUERY = Query.model_validate({})

_Image = Annotated[
    str,
    Field(
        description="a JPEG, PNG, WebP or BMP in base64, with or without data:image/…;base64, before it",
        examples=["iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC"],
    ),
]


class InferenceBody(_Camel):
    """One picture and what to return of it."""

    image: _Image
    options: Options = Field(NO_OPTIONS)
    webhook: str | None = Field(None, max_length=2000, description="see the query")


class BatchBody(_Camel):
    """Several pictures; at most ``batchSize`` of them are worked on at once."""

    images: list[_Image] = Field(min_length=1, max_length=MOST_IMAGES)
    options: Options = Field(NO_OPTIONS)
    batch_size: int = Field(
        32, ge=1, le=MOST_AT_ONCE, description="how many are worked on at once, a whole number from 1 to 64"
    )
    webhook: str | None = Field(None, max_length=2000, description="see the query")


class DetectionAnswer(BaseModel):
    """One object; ``bbox`` is left, top, width, height in pixels of the upright picture."""

    model_config = ConfigDict(populate_by_name=True)
    label: str = Field(alias="class")
    confidence: float = Field(ge=0, le=1)
    bbox: list[float] = Field(min_length=4, max_length=4)


class DecisionAnswer(_Camel):
    """Which model answered (``name:version``), and why."""

    variant: str
    reason: str


class ResultsAnswer(_Camel):
    """What was found; ``processingTime`` is in milliseconds, from arrival in the queue to the answer."""

    detections: list[DetectionAnswer]
    processing_time: float = Field(description="milliseconds")
    timestamp: str = Field(description="UTC, ISO 8601")


class InferenceAnswer(_Camel):
    """One picture's detections and how they came about."""

    model_id: str
    version: str
    inference_id: str
    results: ResultsAnswer
    decision: DecisionAnswer
    cached: bool = Field(description="whether it came from the result cache")
    fallback: str | None = Field(None, description="what was asked for and could not answer, if another model did")


class ErrorFields(_Camel):
    """What was wrong, where, and what would be right."""

    code: str
    message: str
    details: Any = None
    request_id: str


class ErrorAnswer(_Camel):
    """The body of every answer from 400 up."""

    error: ErrorFields


class BatchItem(_Camel):
    """One picture of a batch: its detections, or its error."""

    image_index: int
    detections: list[DetectionAnswer] | None = None
    processing_time: float | None = Field(None, description="milliseconds")
    error: ErrorFields | None = None


class BatchAnswer(_Camel):
    """All pictures, in the order they were sent."""

    batch_id: str
    model_id: str
    results: list[BatchItem]
    total_processing_time: float = Field(description="milliseconds")
    timestamp: str


class JobAnswer(_Camel):
    """An asynchronous job: ``result`` once it is done, ``error`` once it failed."""

    job_id: str
    status: Literal["queued", "running", "done", "failed"]
    status_url: str
    created: str
    result: InferenceAnswer | BatchAnswer | None = None
    error: ErrorFields | None = None


class TensorAnswer(_Camel):
    """One input or output of a model's engine; ``null`` where the size is free."""

    name: str
    shape: list[int | None]
    datatype: str


class ModelAnswer(_Camel):
    """One model that can be asked for."""

    model_id: str
    version: str
    reference: str
    status: Literal["loading", "ready", "error", "unavailable"]
    state: str = Field(description="more exactly: registered, loading, warming, ready, error or unavailable")
    reason: str
    aliases: list[str]
    platform: str
    labels: list[str]
    inputs: list[TensorAnswer]
    outputs: list[TensorAnswer]
    last_updated: str | None


class ModelsAnswer(_Camel):
    """All models that can be asked for."""

    models: list[ModelAnswer]


class ResourceUsage(_Camel):
    """``cpu`` is the share, 0 to 1, of the cores of this server; ``memory`` bytes; ``gpu`` the share it is busy."""

    cpu: float | None
    memory: int | None
    gpu: float | None


class PerformanceAnswer(_Camel):
    """The last minute: ``avgLatency`` in milliseconds, ``throughput`` in requests per second; ``null``: not known."""

    avg_latency: float | None
    throughput: float | None
    accuracy: float | None
    resource_usage: ResourceUsage


class StatusAnswer(_Camel):
    """How a model does."""

    model_id: str
    version: str
    status: Literal["loading", "ready", "error", "unavailable"]
    state: str
    reason: str
    performance: PerformanceAnswer
    last_updated: str | None


class MetricsAnswer(_Camel):
    """A time series; each point has its ``time`` and one value per metric."""

    model_id: str
    time_range: str
    since: str
    until: str
    metrics: list[str]
    points: list[dict[str, Any]]


Body = TypeVar("Body", bound=BaseModel)


def from_json(kind: type[Body], content: bytes) -> Body:
    """The body that JSON bytes hold.

    Raises:
        InvalidFields: they are no JSON, or a field is missing, unknown, of the wrong type or out of its range.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise _invalid(kind, error) from None


def from_strings(kind: type[Body], values: Mapping[str, str]) -> Body:
    """The same of the names and values of a query.

    Raises:
        InvalidFields: as `from_json`.
    """
    try:
        return kind.model_validate_strings(values, strict=False)
    except ValidationError as error:
        raise _invalid(kind, error) from None


def json_schemas(*kinds: type[BaseModel]) -> dict[str, Any]:
    """The JSON schemas of these classes, and of all that they are made of, for an OpenAPI document."""
    modes: Any = [(kind, "validation") for kind in kinds]
    _, definitions = models_json_schema(modes, ref_template="#/components/schemas/{model}")
    found: dict[str, Any] = definitions["$defs"]
    return found


def _invalid(kind: type[BaseModel], error: ValidationError) -> InvalidFields:
    details = [
        {"field": ".".join(str(part) for part in problem["loc"]) or "body", "problem": _problem(kind, problem)}
        for problem in error.errors(include_url=False, include_input=False, include_context=False)[:20]
    ]
    first = details[0]
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return InvalidFields(f"{first['field']}: {first['problem']}{more}", details)


def _problem(kind: type[BaseModel], problem: Any) -> str:
    path = [part for part in problem["loc"] if isinstance(part, str)]
    if problem["type"] == "extra_forbidden":
        known = Options if path[:-1] == ["options"] else kind
        names = [field.alias or name for name, field in known.model_fields.items()]
        return f"there is no such field: there are {', '.join(names)}"
    known = Options if path[:1] == ["options"] else kind
    said = {field.alias or name: field.description for name, field in known.model_fields.items()}
    meant = said.get(path[-1]) if path else None
    text = str(problem["msg"])
    return f"{text[:1].lower()}{text[1:]}" + (f"; it is {meant}" if meant else "")
