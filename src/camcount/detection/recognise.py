"""A model file without a manifest: look at what it takes, what it gives and what is written in it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from camcount.detection.candidates import Array
from camcount.detection.decoders import DECODERS, decoder_named
from camcount.detection.detector import other_inputs, picture_input
from camcount.detection.families import MATCHERS, PICTURES, Evidence, Match
from camcount.detection.labels import COCO_80, COCO_91
from camcount.detection.spec import Layout, ModelSpec
from camcount.errors import ModelError, ModelLoadFailed, UsageError
from camcount.protocols import Engine, TensorInfo

_USUAL_SIZE = 640
_NO_BOXES = {"classify": "names what a whole picture shows", "obb": "gives boxes that stand at an angle"}


def recognise(
    engine: Engine,
    name: str,
    *,
    metadata: Mapping[str, str] | None = None,
    decoder: str | None = None,
    class_names: Sequence[str] | None = None,
    input_size: tuple[int, int] | None = None,
) -> ModelSpec:
    """How to use a model that says nothing about itself but its inputs and outputs.

    Runs it once on a noisy grey picture, so that sizes which the file leaves open become known too.

    Args:
        engine: has the model loaded.
        name: what to call the model in messages.
        metadata: what the exporting program wrote into the file (Ultralytics: ``names``, ``imgsz``, ``task``).
        decoder: the decoder to use, whatever the model looks like.
        class_names: the names of its classes, in order.
        input_size: width and height, for models that leave it open.

    Raises:
        ModelLoadFailed: it is no detector, or of more than one family or of none as far as can be seen.
        UsageError: what the caller says contradicts the model.
    """
    written = metadata or {}
    if decoder is not None:
        decoder_named(decoder)
    if (task := written.get("task", "")) in _NO_BOXES:
        raise ModelLoadFailed(f"{name} is no detector: its task {task!r} {_NO_BOXES[task]}; use one that gives boxes")
    picture = picture_input(engine.inputs.values())
    if picture is None:
        raise ModelLoadFailed(f"{name} is no detector: it takes {_shapes(engine.inputs)} and no picture")
    names = tuple(class_names) if class_names else _written_names(written.get("names"))
    layout, (width, height) = _geometry(picture, name, input_size or _written_size(written.get("imgsz")))
    outputs = _look(engine, picture, layout, width, height, name)
    seen = Evidence(
        outputs, tuple(engine.inputs), width, height, len(names) if names else None, settled=decoder is not None
    )
    decoder, match = _family(seen, name, decoder)
    pictures = {**PICTURES[decoder], **match.pictures}
    if picture.dtype == np.uint8:
        pictures = {key: value for key, value in pictures.items() if key not in ("scale", "mean", "std")}
    if None not in _sides(picture, layout):
        pictures.pop("multiple", None)
        if pictures["fit"] == "inside":
            pictures["fit"] = "stretch"
    labels = _labels(names, match.classes, name)
    if not DECODERS[decoder].needs_nms:
        pictures["nms_iou"] = None
    return ModelSpec(
        decoder=decoder,
        labels=labels,
        width=width,
        height=height,
        layout=layout,
        parameters=match.parameters,
        **pictures,
    )


def _family(seen: Evidence, name: str, decoder: str | None) -> tuple[str, Match]:
    outputs = _shapes(seen.outputs)
    if decoder is not None:
        match = MATCHERS[decoder](seen)
        if match is None:
            raise UsageError(
                f"{name} gives {outputs}, which decoder {decoder!r} cannot read: it wants {DECODERS[decoder].outputs}"
            )
        return decoder, match
    matches = {kind: match for kind, matcher in MATCHERS.items() if (match := matcher(seen)) is not None}
    if not matches:
        raise ModelLoadFailed(
            f"{name} is no detector of a known family: it gives {outputs}; "
            f"if it is one, name its decoder with --decoder {'|'.join(DECODERS)}"
        )
    if len(matches) > 1:
        raise ModelLoadFailed(
            f"{name} gives {outputs}, which may mean several things: say which with --decoder {'|'.join(matches)}"
        )
    return next(iter(matches.items()))


def _geometry(picture: TensorInfo, name: str, wanted: tuple[int, int] | None) -> tuple[Layout, tuple[int, int]]:
    layout: Layout = "nchw" if picture.shape[-3] == 3 or picture.shape[-1] != 3 else "nhwc"
    fixed = _sides(picture, layout)
    width, height = (side or (wanted or (_USUAL_SIZE,) * 2)[axis] for axis, side in enumerate(fixed))
    if wanted is not None and wanted != (width, height):
        raise UsageError(
            f"{name} takes pictures of {width}x{height} only, not {wanted[0]}x{wanted[1]}: leave the input size out"
        )
    return layout, (width, height)


def _sides(picture: TensorInfo, layout: Layout) -> tuple[int | None, int | None]:
    """Width and height, ``None`` where the file leaves them open."""
    if layout == "nchw":
        return picture.shape[-1], picture.shape[-2]
    return picture.shape[-2], picture.shape[-3]


def _look(
    engine: Engine, picture: TensorInfo, layout: Layout, width: int, height: int, name: str
) -> dict[str, Array]:
    shape = (3, height, width) if layout == "nchw" else (height, width, 3)
    noise = np.random.default_rng(0).normal(114, 20, shape).clip(0, 255)
    if picture.dtype.kind == "f":
        noise /= 255
    tensor = noise.astype(picture.dtype)[None] if len(picture.shape) == 4 else noise.astype(picture.dtype)
    feeds = {picture.name: tensor, **other_inputs(engine, picture.name, width, height)}
    try:
        outputs = engine.run(feeds)
    except ModelError as error:
        raise ModelLoadFailed(
            f"{name} does not run on a picture of {width}x{height}: give the size it was made for with --input-size "
            f"({error})"
        ) from error
    return dict(zip(engine.outputs, outputs, strict=True))


def _labels(names: tuple[str, ...] | None, classes: int | None, name: str) -> tuple[str, ...]:
    if names is not None:
        if classes is not None and classes != len(names):
            raise UsageError(f"{name} has {classes} classes, and {len(names)} class names were given: name each once")
        return names
    if classes == 1:
        return ("person",)
    if classes in (None, 80):
        return COCO_80
    if classes in (90, 91):
        return COCO_91[91 - classes :]
    return tuple(f"class {number}" for number in range(classes))


def _written_names(text: str | None) -> tuple[str, ...] | None:
    """Class names as Ultralytics writes them: a dictionary or a list, as Python text."""
    names = _literal(text)
    if isinstance(names, dict):
        names = [names[number] for number in sorted(names)] if all(isinstance(n, int) for n in names) else None
    return tuple(str(entry) for entry in names) if isinstance(names, list) and names else None


def _written_size(text: str | None) -> tuple[int, int] | None:
    """Width and height from the height and width that Ultralytics writes."""
    size = _literal(text)
    if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size):
        return size[1], size[0]
    return None


def _literal(text: str | None) -> Any:
    try:
        return ast.literal_eval(text or "")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _shapes(values: Mapping[str, Any]) -> str:
    """``name [1,3,416,416]`` of each input or output."""
    sizes = (",".join("?" if side is None else str(side) for side in value.shape) for value in values.values())
    return ", ".join(f"{key} [{size}]" for key, size in zip(values, sizes, strict=True))
