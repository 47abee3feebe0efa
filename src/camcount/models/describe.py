"""A package from a bare model file: what the file shows of itself, and what somebody knows of it besides."""

from __future__ import annotations

import platform
import re
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from camcount.detection.recognise import recognise
from camcount.detection.spec import ModelSpec
from camcount.detections import Detections
from camcount.engines.select import engine_for
from camcount.errors import ModelLoadFailed, ModelNotFound, UsageError
from camcount.frame import Frame
from camcount.models.manifest import Manifest, manifest_of, output_fields, picture_fields
from camcount.models.package import Package, seal
from camcount.models.packaged import detector_of
from camcount.models.prepare_steps import alignment
from camcount.models.version import parse_version
from camcount.protocols import Engine

ENGINE_OF = {
    ".onnx": ("onnx", "onnxruntime"),
    ".xml": ("openvino", "openvino"),
    ".tflite": ("tensorflow", "ai-edge-litert"),
    ".torchscript": ("torch", "torch"),
    ".pt2": ("torch", "torch"),
    ".pt": ("torch", "torch"),
}
"""By the ending of a file: the engine that runs it, and the distribution that the engine needs."""

_MEASURED = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a model file does not say of itself. What is left out is found out, or left out of the manifest.

    ``fields`` are further fields of the manifest, such as ``licence`` or ``lineage``.
    """

    name: str | None = None
    version: str = "1.0.0"
    engine: str | None = None
    decoder: str | None = None
    class_names: Sequence[str] | None = None
    input_size: tuple[int, int] | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def describe(file: Path, folder: Path, given: Description) -> Package:
    """Makes a package folder of a model file by running it once.

    Raises:
        ModelNotFound: there is no such file.
        ModelVersionMismatch: the version is not a SemVer version.
        ModelLoadFailed: it is no detector that is understood.
        UsageError: the folder is in use, or what is given contradicts the model.
    """
    parse_version(given.version)
    if not file.is_file():
        raise ModelNotFound(f"no model file {file}: check the path")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and not empty: give another folder with --out")
    name, distribution = _engine(file, given.engine)
    engine = engine_for(name, file)
    try:
        spec = _recognised(engine, file.name, given)
    finally:
        engine.close()
    manifest = _manifest(file, name, distribution, spec, given)
    return _made(file, folder, manifest)


def _recognised(engine: Engine, name: str, given: Description) -> ModelSpec:
    metadata = getattr(engine, "metadata", None)
    look = partial(recognise, engine, name, decoder=given.decoder, input_size=given.input_size)
    try:
        return look(metadata=metadata, class_names=given.class_names)
    except ModelLoadFailed:
        if not given.class_names:
            raise
        # were it not for the names, would it be understood?
        classes = len(look(metadata=metadata).labels)
        raise UsageError(
            f"{name} has {classes} classes, and {len(given.class_names)} class names were given: name each once"
        ) from None


def _engine(file: Path, named: str | None) -> tuple[str, str]:
    known = ENGINE_OF.get(file.suffix.lower())
    if named is not None:
        return named, known[1] if known and known[0] == named else ""
    if known is None:
        endings = ", ".join(ENGINE_OF)
        raise ModelLoadFailed(f"{file} is of no kind that is known here ({endings}): name its engine with --engine")
    return known


def _manifest(file: Path, engine: str, distribution: str, spec: ModelSpec, given: Description) -> Manifest:
    values = {
        "name": given.name or slug(file.stem),
        "version": given.version,
        "engine": engine,
        "artifact": f"model{file.suffix.lower()}",
        "safe": engine != "torch",
        "input": {"alignment": alignment(spec), **picture_fields(spec)},
        "output": output_fields(spec),
        "labels": dict(enumerate(spec.labels)),
        "thresholds": {"default": spec.confidence},
        "dependencies": _installed(distribution),
        "environment": {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"},
        "lineage": {"source": file.name},
    }
    return manifest_of(values | given.fields, str(file))


def _installed(distribution: str) -> dict[str, str]:
    try:
        return {distribution: version(distribution)} if distribution else {}
    except PackageNotFoundError:
        return {}


def _made(file: Path, folder: Path, manifest: Manifest) -> Package:
    existed = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(file, folder / manifest.artifact)
        for beside in (file.with_suffix(".bin"), Path(f"{file}.data"), Path(f"{file}_data")):
            if beside.is_file() and beside != file:
                # an ONNX file names its data file inside; OpenVINO looks for the model's own name
                name = f"model{beside.suffix}" if file.suffix == ".xml" else beside.name
                shutil.copyfile(beside, folder / name)
        return seal(folder, manifest)
    except BaseException:
        shutil.rmtree(folder)
        if existed:
            folder.mkdir()
        raise


def slug(text: str) -> str:
    """A name for a model from a file's name.

    >>> slug("YOLOX nano_416x416")
    'yolox-nano-416x416'
    """
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "model"


def look(package: Package, frame: Frame) -> tuple[Package, Detections]:
    """What the model finds in one picture; the time it takes goes into the manifest's card.

    Raises:
        ModelLoadFailed: the artifact cannot be loaded, or its outputs do not fit the manifest.
    """
    detector = detector_of(package)
    try:
        found = detector.detect([frame])[0]
        latency_ms = 1000 * _median_seconds(lambda: detector.detect([frame]))
    finally:
        detector.close()
    card = package.manifest.card.model_copy(
        update={
            "latency_ms": round(latency_ms, 2),
            "machine": machine(),
            "measured": datetime.now(UTC).date().isoformat(),
        }
    )
    return seal(package.root, package.manifest.changed(card=card.model_dump())), found


def _median_seconds(action: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_MEASURED):
        begun = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def machine() -> str:
    """The processor of this machine, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
