"""`model.yaml`: everything a package says of its model. Published as a JSON Schema in docs/model.schema.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from camcount.detection.decoders import DECODERS
from camcount.detection.spec import Colour, Fit, Layout, ModelSpec
from camcount.errors import ModelLoadFailed, ModelVersionMismatch
from camcount.models.files import inside
from camcount.models.version import SEMVER, parse_version


def _version(text: Any) -> Any:
    try:
        return str(parse_version(text if isinstance(text, str) else str(text)))
    except ModelVersionMismatch as error:
        raise ValueError(str(error)) from None


def lists(value: Any) -> Any:
    """Tuples as JSON has them."""
    if isinstance(value, Mapping):
        return {key: lists(entry) for key, entry in value.items()}
    return [lists(entry) for entry in value] if isinstance(value, (list, tuple)) else value


Options = Annotated[dict[str, JsonValue], BeforeValidator(lists)]
FileName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(inside)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
SemVer = Annotated[str, BeforeValidator(_version), Field(json_schema_extra={"pattern": SEMVER})]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Side = Annotated[int, Field(ge=1, le=16384)]
Size = tuple[Side, Side]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Triple = tuple[Finite, Finite, Finite]
Share = Annotated[float, Field(ge=0, le=1)]
Confidence = Annotated[float, Field(gt=0, lt=1)]
Overlap = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Bucket(_Part):
    """Another size that the model takes, for pictures whose shape it suits better."""

    size: Size
    artifact: FileName | None = None
    """The file for this size; the package's main artifact where it takes several sizes itself."""


class Input(_Part):
    """How a picture becomes the model's input: ``(pixel * scale - mean) / std`` per channel, pixels 0..255."""

    size: Size
    """Width and height in pixels."""
    fit: Fit = "letterbox"
    colour: Colour = "bgr"
    layout: Layout = "nchw"
    pad: Annotated[int, Field(ge=0, le=255)] = 114
    scale: Positive = 1.0
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    alignment: Annotated[int, Field(ge=1, le=1024)] = 1
    """What both sides have to be multiples of."""
    flexible: bool = False
    """The artifact takes any smaller size too: what is only padding is left out, up to ``alignment``."""
    buckets: tuple[Bucket, ...] = ()

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if 0 in self.std:
            raise ValueError("std must not hold a 0: pixels are divided by it")
        sizes = [self.size, *(bucket.size for bucket in self.buckets)]
        if len(set(sizes)) < len(sizes):
            raise ValueError("two buckets have one size: give each size once")
        return self


class Output(_Part):
    """What the outputs mean: the decoder and what it has to know."""

    decoder: str
    parameters: Options = {}
    nms_iou: Overlap | None = 0.5
    kind_iou: Overlap | None = 0.75
    max_detections: Annotated[int, Field(ge=1, le=100_000)] = 300

    @field_validator("decoder")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in DECODERS:
            raise ValueError(f"unknown decoder {name!r}: choose from {', '.join(DECODERS)}")
        return name


class Thresholds(_Part):
    """The least confidence of a detection; low, because trackers use weak detections too."""

    default: Confidence = 0.1
    labels: dict[str, Confidence] = {}


class Lineage(_Part):
    """Where the model comes from."""

    dataset: str = ""
    dataset_version: str = ""
    training_run: str = ""
    git_commit: str = ""
    git_tag: str = ""
    parent: str = ""
    """The model it was made from, as ``name:version``."""
    source: str = ""
    """Where the artifact was had from."""


class Card(_Part):
    """What was measured, and on which machine. ``None``: not measured."""

    map: Share | None = None
    """Mean average precision over IoU 0.5 to 0.95, as COCO defines it."""
    counting_f1: Share | None = None
    latency_ms: Positive | None = None
    """One picture on one processor thread."""
    memory_mb: Positive | None = None
    machine: str = ""
    data: str = ""
    measured: str = ""
    """The day, as 2026-01-31."""


class Step(_Part):
    """One preparation step: what it did, and whether its agreement check let it stay."""

    name: str
    kept: bool
    detail: str
    recall: Share | None = None
    precision: Share | None = None
    speed: Positive | None = None
    """Pictures per second after the step over those before it, on one thread."""


class Plain(_Part):
    """The model as it was before preparation: what a check compares with, and what undoing goes back to."""

    artifact: FileName
    size: Size
    labels: dict[int, str]
    thresholds: Thresholds = Thresholds()


class Encryption(_Part):
    """Which files are encrypted at rest."""

    cipher: Literal["AES-256-GCM"] = "AES-256-GCM"
    files: tuple[FileName, ...]


class Manifest(_Part):
    """A model package's `model.yaml`."""

    name: Name
    version: SemVer
    description: str = ""
    task: Literal["detection", "embedding"] = "detection"
    engine: Annotated[str, Field(min_length=1)] = "onnx"
    engine_options: Options = {}
    artifact: Annotated[str, Field(min_length=1, max_length=2000)]
    """The file or folder that the engine loads; an address where the engine is ``remote``."""
    safe: bool = True
    """Promises that loading runs no code from the package: no pickles, no Python file as the artifact."""
    input: Input
    output: Output
    labels: Annotated[dict[int, str], Field(min_length=1)]
    """Class number to label, from 0 without gaps."""
    thresholds: Thresholds = Thresholds()
    licence: str = ""
    """An SPDX expression such as Apache-2.0."""
    framework: dict[str, str] = {}
    """What the model was made with, name to version."""
    dependencies: dict[str, str] = {}
    """What running it needs, name to version."""
    environment: dict[str, str] = {}
    lineage: Lineage = Lineage()
    card: Card = Card()
    notes: str = ""
    """What is new in this version."""
    plain: Plain | None = None
    preparation: tuple[Step, ...] = ()
    encryption: Encryption | None = None
    files: dict[FileName, Sha256] = {}
    """Every file of the package but this one and the signature, and its SHA-256."""

    @field_validator("labels")
    @classmethod
    def _numbered(cls, labels: dict[int, str]) -> dict[int, str]:
        missing = sorted(set(range(len(labels))) - set(labels))
        if missing:
            raise ValueError(f"class numbers run from 0 without gaps: {missing[0]} is missing")
        if empty := [number for number, label in labels.items() if not label.strip()]:
            raise ValueError(f"class {empty[0]} has an empty label: name it")
        return dict(sorted(labels.items()))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if strays := set(self.thresholds.labels) - set(self.labels.values()):
            raise ValueError(f"a threshold is given for {min(strays)!r}, which is not among the labels")
        if self.engine != "remote":
            inside(self.artifact)
        if self.safe and self.artifact.endswith(".py"):
            raise ValueError(
                f"{self.artifact} is code that loading would run: say safe: false, or use another engine"
            )
        return self

    @property
    def reference(self) -> str:
        """``name:version``."""
        return f"{self.name}:{self.version}"

    @property
    def sizes(self) -> dict[Size, str]:
        """Every input size that the package serves, the main one first, and the file for it."""
        others = {bucket.size: bucket.artifact or self.artifact for bucket in self.input.buckets}
        return {self.input.size: self.artifact, **others}

    def spec(self, size: Size | None = None) -> ModelSpec:
        """What a `ModelDetector` needs to know, for one of `sizes`; the main one unless told otherwise.

        Raises:
            ModelLoadFailed: the model does not detect, or has no such size.
        """
        if self.task != "detection":
            raise ModelLoadFailed(f"{self.reference} is for {self.task}, not for detection: use a detector")
        width, height = size or self.input.size
        if (width, height) not in self.sizes:
            offered = ", ".join(f"{w}x{h}" for w, h in self.sizes)
            raise ModelLoadFailed(f"{self.reference} has no input size {width}x{height}: it has {offered}")
        return ModelSpec(
            **self.input.model_dump(include=set(_PICTURE)),
            width=width,
            height=height,
            multiple=self.input.alignment if self.input.flexible else None,
            decoder=self.output.decoder,
            parameters={key: _frozen(value) for key, value in self.output.parameters.items()},
            labels=tuple(self.labels.values()),
            confidence=min(self.thresholds.default, *self.thresholds.labels.values(), 1),
            **self.output.model_dump(include=set(_SELECTION)),
        )

    def changed(self, **fields: Any) -> Manifest:
        """A copy with some fields changed, checked like any other.

        Raises:
            ModelLoadFailed, ModelVersionMismatch: as `manifest_of`.
        """
        return manifest_of({**self.model_dump(), **fields}, self.name)


_SELECTION = ("nms_iou", "kind_iou", "max_detections")
_PICTURE = ("fit", "colour", "layout", "pad", "scale", "mean", "std")


def _frozen(value: JsonValue) -> Any:
    return tuple(_frozen(entry) for entry in value) if isinstance(value, list) else value


def output_fields(spec: ModelSpec) -> dict[str, Any]:
    """The part of a spec that goes under ``output``."""
    selection = {name: getattr(spec, name) for name in _SELECTION}
    return {"decoder": spec.decoder, "parameters": dict(spec.parameters), **selection}


def picture_fields(spec: ModelSpec) -> dict[str, Any]:
    """The part of a spec that goes under ``input``, size included."""
    fields = {"size": (spec.width, spec.height), **{name: getattr(spec, name) for name in _PICTURE}}
    return fields if spec.multiple is None else {**fields, "alignment": spec.multiple, "flexible": True}


def manifest_of(values: Any, origin: str) -> Manifest:
    """A manifest from plain values; ``origin`` is what messages call it.

    Raises:
        ModelVersionMismatch: the version is not a SemVer version.
        ModelLoadFailed: anything else is not as it should be.
    """
    if not isinstance(values, Mapping):
        raise ModelLoadFailed(f"{origin} holds no manifest: write one with 'camcount models init'")
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"{origin}: {where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
        kind = ModelVersionMismatch if first["loc"] == ("version",) else ModelLoadFailed
        raise kind(" ".join(message.split())) from None


def json_schema() -> str:
    """The JSON Schema of `model.yaml`, as published."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Manifest.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
