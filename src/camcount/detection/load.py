"""From what a user names to a `Detector`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from camcount.detection.detector import ModelDetector
from camcount.detection.grids import cell_count
from camcount.detection.labels import vocabulary
from camcount.detection.recognise import recognise
from camcount.detection.spec import Colour, Fit, ModelSpec
from camcount.errors import ModelError, ModelLoadFailed, ModelNotFound, UsageError
from camcount.protocols import Detector, Engine

BUILT_IN = {"motion": "finds whatever moves in front of a camera that stands still; no weights, one label: object"}
"""Models that need no file, and what they are for."""


def detector_for(
    model: str | None = None,
    *,
    decoder: str | None = None,
    labels: Sequence[str] | None = None,
    confidence: float | Mapping[str, float] | None = None,
    label_map: Mapping[str, str] | None = None,
    class_names: Sequence[str] | None = None,
    input_size: tuple[int, int] | None = None,
    fit: Fit | None = None,
    colour: Colour | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    scale: float | None = None,
    nms_iou: float | None = None,
    providers: Sequence[str] | None = None,
    threads: int = 1,
) -> Detector:
    """A detector from a built-in model's name (``motion`` unless told otherwise) or the path of an ``.onnx`` file.

    Args:
        model: ``motion`` or a path.
        decoder: a name in `DECODERS`; recognised from the model's outputs unless given.
        labels: keep only these; ``vehicle`` stands for car, truck, bus, motorcycle and bicycle.
        confidence: the least confidence returned, for all labels or per label; low (0.1) unless given, because
            trackers use weak detections too.
        label_map: class names to new names, before ``labels`` is looked at.
        class_names: the model's class names in order, where the file does not hold them.
        input_size: width and height, for models that leave it open.
        fit, colour, mean, std, scale: how pictures go in, see `ModelSpec`; the family's own unless given.
        nms_iou: overlap above which two boxes of one label are one object.
        providers: ONNX Runtime execution providers, in order of preference.
        threads: threads inside one inference; the pipeline runs several inferences at once.

    Raises:
        ModelNotFound: there is no such file or built-in model.
        ModelLoadFailed: the file is no ONNX model, no detector, or of a family that is not recognised.
        UsageError: a label, decoder, provider or value that there is not.
    """
    engine, spec = _model(model or "motion", decoder, class_names, input_size, providers, threads)
    given: dict[str, Any] = {
        "fit": fit,
        "colour": colour,
        "mean": mean,
        "std": std,
        "scale": scale,
        "nms_iou": nms_iou,
    }
    spec = replace(spec, **{name: value for name, value in given.items() if value is not None})
    words = vocabulary(
        spec.labels,
        labels=labels,
        label_map=label_map,
        confidence=confidence,
        default_confidence=spec.confidence,
    )
    return ModelDetector(engine, spec, words)


def _model(
    model: str,
    decoder: str | None,
    class_names: Sequence[str] | None,
    input_size: tuple[int, int] | None,
    providers: Sequence[str] | None,
    threads: int,
) -> tuple[Engine, ModelSpec]:
    if model == "motion":
        refused = {"decoder": decoder, "class names": class_names, "providers": providers}
        if contradicting := [name for name, value in refused.items() if value is not None]:
            raise UsageError(f"the motion model takes no {contradicting[0]}: leave it out or name an .onnx file")
        return _motion(input_size)
    path = Path(model)
    if not path.exists():
        built_in = ", ".join(BUILT_IN)
        raise ModelNotFound(f"no model {model!r}: it is neither a file nor built in ({built_in})")
    if path.suffix.lower() in (".xml", ".bin", ".pt", ".pth", ".tflite", ".engine", ".pb"):
        raise ModelLoadFailed(f"{path} is not an ONNX file: export the model to .onnx first")
    from camcount.engines.onnx import OnnxEngine

    engine = OnnxEngine(path, threads=threads, providers=providers)
    spec = recognise(
        engine,
        path.name,
        metadata=engine.metadata,
        decoder=decoder,
        class_names=class_names,
        input_size=input_size,
    )
    if spec.decoder == "yolox" and spec.multiple is None:
        multiple: int = spec.parameters["strides"][-1]
        opened = _with_open_size(engine, spec, path, multiple, threads, providers)
        if opened is not None:
            return opened, replace(spec, multiple=multiple)
    return engine, spec


def _with_open_size(
    fixed: Engine, spec: ModelSpec, path: Path, multiple: int, threads: int, providers: Sequence[str] | None
) -> Engine | None:
    """The model with its input size opened, if it works so: wide pictures then cost a third less.

    It must give the same answer as before at its own size, and one row per cell at another.
    """
    from camcount.engines.onnx import OnnxEngine
    from camcount.engines.onnx_sizes import with_open_size

    less = (spec.height // 2 // multiple) * multiple
    if not less:
        return None
    name = next(iter(fixed.inputs))
    picture = np.random.default_rng(0).integers(0, 256, (1, 3, spec.height, spec.width)).astype(np.float32)
    try:
        engine = OnnxEngine(with_open_size(path.read_bytes()), threads=threads, providers=providers)
        same, other = engine.run({name: picture})[0], engine.run({name: picture[:, :, :less]})[0]
    except (ValueError, ModelError):
        return None
    if not np.allclose(same, fixed.run({name: picture})[0], atol=1e-3):
        return None
    return engine if other.shape[1] == cell_count(spec.width, less, spec.parameters["strides"]) else None


def _motion(input_size: tuple[int, int] | None) -> tuple[Engine, ModelSpec]:
    from camcount.engines.motion import MotionEngine, MotionSettings

    least = MotionSettings().width
    width, height = input_size or (least, 4 * least)
    engine = MotionEngine()
    where = {name: number for number, name in enumerate(engine.outputs)}
    spec = ModelSpec(
        decoder="ssd",
        labels=("object",),
        width=width,
        height=height,
        fit="inside",
        layout="nhwc",
        parameters={name: where[name] for name in ("boxes", "scores", "labels")},
        nms_iou=None,
    )
    return engine, spec
