"""From whatever a user names to a detector: built-in, file, package, registered model, server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from camcount.detection.buckets import BucketDetector
from camcount.detection.detector import ModelDetector
from camcount.detection.labels import vocabulary
from camcount.detection.load import detector_for
from camcount.detection.recognise import recognise
from camcount.detection.spec import ModelSpec
from camcount.detections import Detections
from camcount.engines.select import engine_for
from camcount.errors import ModelLoadFailed, UsageError
from camcount.frame import Frame, Image
from camcount.models.memory import Footprint, is_processor
from camcount.models.package import Package, open_package
from camcount.models.packaged import detector_of
from camcount.models.references import Reference, parse_reference
from camcount.models.registry import Registry
from camcount.models.signing import verify_signature
from camcount.protocols import Appearance, Detector

_PER_FILE_BYTE = 3
_BEYOND_FILE = 50_000_000
"""Memory of a loaded model whose card does not say: so many times its file, and so much more. Measured high."""

_CAMERA = (1280, 720)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Which packages may be loaded.

    Attributes:
        require_signed_models: refuse what is not signed with the private part of ``public_key``.
        public_key: a PEM file; a package that has a signature is checked with it even where none is required.
    """

    require_signed_models: bool = False
    public_key: str | Path | None = None

    def check(self, package: Package) -> None:
        """Passes a package that may be loaded.

        Raises:
            ModelLoadFailed: it is unsigned, or was altered after it was signed.
            UsageError: a signature is required and there is no key to check it with.
        """
        if self.require_signed_models and self.public_key is None:
            raise UsageError("require_signed_models is set and no public key is: name the key to check with")
        if self.public_key is not None and (self.require_signed_models or package.signature is not None):
            verify_signature(package, self.public_key)

    def check_file(self, reference: Reference) -> None:
        """Passes a bare file where no signature is required.

        Raises:
            ModelLoadFailed: one is, and a bare file has none.
        """
        if self.require_signed_models and reference.kind == "file":
            raise ModelLoadFailed(
                f"{reference} is refused, it is a bare file without a signature: make a package of it and sign that"
            )


def resolve_detector(
    reference: str,
    *,
    labels: Sequence[str] | None = None,
    confidence: float | Mapping[str, float] | None = None,
    label_map: Mapping[str, str] | None = None,
    threads: int = 1,
    nms_iou: float | None = None,
    providers: Sequence[str] | None = None,
    device: str | None = None,
    decoder: str | None = None,
    class_names: Sequence[str] | None = None,
    input_size: tuple[int, int] | None = None,
    registry: Registry | None = None,
    trust: Trust | None = None,
) -> Detector:
    """The detector that ``motion``, a path, ``name``, ``name:1.2.0``, ``name@champion`` or an address means.

    Args:
        reference: see `camcount.models.references.parse_reference`.
        labels, confidence, label_map, threads, nms_iou, providers: as in `camcount.detection.load.detector_for`.
        device: where to run, in the engine's own words.
        decoder, class_names, input_size: as in `detector_for`, for what is no package: a package says them itself.
        registry: where names are looked up; the default one unless given.
        trust: which packages may be loaded; any unless given.

    Raises:
        ModelNotFound, ModelLoadFailed, ModelVersionMismatch: there is no such model, or it is not acceptable.
        ServiceError: the registry or the server does not answer.
        UsageError: an option that does not fit.
    """
    of_file = {"decoder": decoder, "class_names": class_names, "input_size": input_size}
    shared = {"labels": labels, "confidence": confidence, "label_map": label_map, "threads": threads}
    wanted = parse_reference(reference)
    trust = trust or Trust()
    trust.check_file(wanted)
    if wanted.kind == "file" and device is not None:
        providers = providers or [device]
    if wanted.kind in ("built-in", "file"):
        return detector_for(reference, providers=providers, nms_iou=nms_iou, **of_file, **shared)  # type: ignore[arg-type]
    if wanted.kind == "remote":
        return _remote(reference, of_file, shared, nms_iou)
    if given := [name for name, value in of_file.items() if value is not None]:
        raise UsageError(f"{reference} is a package, which says its {given[0].replace('_', ' ')}: leave it out")
    package = open_reference(wanted, registry)
    try:
        trust.check(package)
        made = detector_of(package, adjust=_adjusted(nms_iou), providers=providers, device=device, **shared)  # type: ignore[arg-type]
    except BaseException:
        package.close()
        raise
    return _FromPackage(made, package)


def resolve_appearance(
    reference: str, *, providers: Sequence[str] | None = None, trust: Trust | None = None
) -> Appearance:
    """The embedding model of an ONNX file.

    Raises:
        ModelNotFound, ModelLoadFailed: there is no such file, it is no embedding model, or it is not acceptable.
        UsageError: it is no file, or there is no such execution provider.
    """
    wanted = parse_reference(reference)
    if wanted.kind != "file":
        raise UsageError(f"{reference} is no model file: --appearance wants a re-identification model as .onnx file")
    (trust or Trust()).check_file(wanted)
    from camcount.detection.appearance import appearance_for  # few runs want it

    return appearance_for(reference, providers=providers)


def open_reference(reference: Reference, registry: Registry | None = None) -> Package:
    """The package that a path or a name of the registry means, its files checked.

    Raises:
        ModelNotFound, ModelLoadFailed, ServiceError: as `resolve_detector`.
        UsageError: it means no package.
    """
    if reference.kind == "registry":
        return (registry or Registry()).resolve(reference)
    if reference.kind != "package" or reference.path is None:
        raise UsageError(f"{reference} is no package: make one of a model file with 'camcount models init'")
    return open_package(reference.path)


def _adjusted(nms_iou: float | None) -> Any:
    def adjust(spec: ModelSpec) -> ModelSpec:
        return spec if nms_iou is None else replace(spec, nms_iou=nms_iou)

    return adjust


def _remote(url: str, of_file: Mapping[str, Any], shared: Mapping[str, Any], nms_iou: float | None) -> Detector:
    engine = engine_for("remote", url)
    try:
        spec = _adjusted(nms_iou)(recognise(engine, url, metadata={}, **of_file))
        wishes = {name: shared[name] for name in ("labels", "label_map", "confidence")}
        return ModelDetector(engine, spec, vocabulary(spec.labels, default_confidence=spec.confidence, **wishes))
    except BaseException:
        engine.close()
        raise


class _FromPackage:
    """A detector that closes the package it was made from along with itself."""

    def __init__(self, detector: ModelDetector | BucketDetector, package: Package) -> None:
        self._detector = detector
        self._package = package
        self.labels = detector.labels
        self.concurrency = detector.concurrency
        self.engine = detector.engine
        self.spec = detector.spec
        self.adjusted = detector.adjusted

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        return self._detector.detect(frames)

    def close(self) -> None:
        self._detector.close()
        self._package.close()


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model for the loader: known by its reference, not loaded yet."""

    reference: str
    footprint: Footprint
    sizes: tuple[tuple[int, int], ...] = (_CAMERA,)
    options: Mapping[str, Any] = field(default_factory=dict)
    accuracy: float | None = None
    """Mean average precision on its card."""

    def open(self, device: str) -> Detector:
        """Loads it; ``cpu`` leaves the place to the manifest."""
        placing: dict[str, Any] = {} if is_processor(device) else {"device": device}
        return resolve_detector(self.reference, **{**placing, **self.options})

    def warm_up(self, detector: Detector) -> None:
        """Has it look at pictures of all its shapes, one and two at a time.

        Raises:
            ModelError, InferenceError: it cannot.
        """
        for number, (width, height) in enumerate(self.sizes):
            frame = Frame(index=number, time_s=0.0, width=width, height=height, render=_noise)
            detector.detect([frame])
            detector.detect([frame, frame])


def find_model(reference: str, *, registry: Registry | None = None, **options: Any) -> FoundModel:
    """A model for the loader.

    Args:
        reference: see `camcount.models.references.parse_reference`.
        registry: where names are looked up.
        options: for `resolve_detector`.

    Raises:
        ModelNotFound, ModelLoadFailed, ModelVersionMismatch, ServiceError, UsageError: as `resolve_detector`.
    """
    wanted = parse_reference(reference)
    options = {**options, "registry": registry}
    if wanted.kind == "file" and wanted.path is not None:
        return FoundModel(reference, _footprint(wanted.path.stat().st_size), options=options)
    if wanted.kind in ("built-in", "remote"):
        return FoundModel(reference, Footprint(), options=options)
    with open_reference(wanted, registry) as package:
        manifest = package.manifest
        card = manifest.card.memory_mb
        taken = _footprint(sum((package.root / name).stat().st_size for name in set(manifest.sizes.values())))
        if card is not None:
            taken = Footprint(int(card * 1_000_000))
        taken = _on_gpu(taken, manifest.engine_options)
        return FoundModel(reference, taken, tuple(manifest.sizes), options, manifest.card.map)


def _footprint(file_bytes: int) -> Footprint:
    return Footprint(_PER_FILE_BYTE * file_bytes + _BEYOND_FILE)


def _on_gpu(taken: Footprint, options: Mapping[str, Any]) -> Footprint:
    return replace(taken, gpu_bytes=taken.bytes) if any(w in str(options).lower() for w in ("cuda", "gpu")) else taken


def _noise(width: int, height: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
