"""A package as a detector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from camcount.detection.buckets import BucketDetector
from camcount.detection.detector import ModelDetector
from camcount.detection.labels import Vocabulary, vocabulary
from camcount.detection.recognise import recognise
from camcount.detection.spec import ModelSpec
from camcount.engines.select import engine_for
from camcount.errors import ModelLoadFailed, UsageError
from camcount.models.manifest import Manifest, Size
from camcount.models.package import Package
from camcount.protocols import Engine

Adjust = Callable[[ModelSpec], ModelSpec]


def detector_of(
    package: Package,
    *,
    labels: Sequence[str] | None = None,
    label_map: Mapping[str, str] | None = None,
    confidence: float | Mapping[str, float] | None = None,
    adjust: Adjust = lambda spec: spec,
    buckets: bool = True,
    threads: int = 1,
    providers: Sequence[str] | None = None,
    device: str | None = None,
) -> ModelDetector | BucketDetector:
    """The detector that a package describes. The package has to stay open as long as the detector.

    Args:
        package: opened and, where that is demanded, verified.
        labels, label_map, confidence: as in `camcount.detection.labels.vocabulary`; the manifest's thresholds hold
            where ``confidence`` says nothing.
        adjust: changes to each size's spec, where a user wants other than the manifest says.
        buckets: use the package's other input sizes too.
        threads, providers, device: as in `camcount.engines.select.engine_for`.

    Raises:
        ModelLoadFailed: the artifact cannot be loaded, or its outputs do not fit the manifest.
        UsageError: an engine or label that there is not.
    """
    manifest = package.manifest
    names = tuple(manifest.labels.values())
    words = vocabulary(
        names,
        labels=labels,
        label_map=label_map,
        confidence=_confidence(manifest, label_map or {}) if confidence is None else confidence,
        default_confidence=manifest.thresholds.default,
    )
    make = partial(
        _detector, package, words=words, adjust=adjust, threads=threads, providers=providers, device=device
    )
    main = make(size=manifest.input.size)
    others = [size for size in manifest.sizes if size != manifest.input.size]
    if not buckets or not others:
        return main
    return BucketDetector(main, {size: partial(make, size=size) for size in others})


def _confidence(manifest: Manifest, label_map: Mapping[str, str]) -> dict[str, float]:
    return {label_map.get(label, label): value for label, value in manifest.thresholds.labels.items()}


def _detector(package: Package, *, size: Size, words: Vocabulary, adjust: Adjust, **placing: Any) -> ModelDetector:
    manifest = package.manifest
    spec = adjust(manifest.spec(size))
    engine = open_engine(package, manifest.sizes[size], **placing)
    try:
        require_fitting(engine, manifest, size)
        return ModelDetector(engine, spec, words)
    except BaseException:
        engine.close()
        raise


def open_engine(package: Package, artifact: str, **placing: Any) -> Engine:
    """The manifest's engine with one of the package's artifacts loaded, decrypted in memory where it has to be.

    Raises:
        ModelLoadFailed: it cannot be loaded.
        UsageError: no such engine, or it is not installed.
    """
    manifest = package.manifest
    options = dict(manifest.engine_options)
    content: Any = package.content(artifact)
    if isinstance(content, bytes) and manifest.engine != "onnx":
        raise ModelLoadFailed(
            f"{manifest.reference} is encrypted, which engine {manifest.engine} cannot load: use onnx"
        )
    if manifest.engine == "python" and isinstance(content, Path):
        content = f"{content}:{options.pop('class', '')}"
    return engine_for(manifest.engine, content, options=options, **placing)


def require_fitting(engine: Engine, manifest: Manifest, size: Size | None = None) -> None:
    """The model's outputs are what the manifest's decoder and labels say.

    Raises:
        ModelLoadFailed: they are not; the message gives both numbers.
    """
    try:
        recognise(
            engine,
            manifest.reference,
            decoder=manifest.output.decoder,
            class_names=tuple(manifest.labels.values()),
            input_size=size or manifest.input.size,
        )
    except UsageError as error:
        raise ModelLoadFailed(f"{error}: correct the labels, the decoder or the size in model.yaml") from error
