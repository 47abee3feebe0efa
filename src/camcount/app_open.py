"""Settings to the source and the detector of a run, opened and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from camcount.geometry import Line, Zone
from camcount.protocols import Detector, Source, SourceInfo
from camcount.serving.options import cores
from camcount.settings import ModelSettings, Settings
from camcount.video.buffering import ReadAhead

if TYPE_CHECKING:
    from camcount.models.opening import Trust


def camera_name(uri: str) -> str:
    """What a source is called in events unless the user says: a file's stem, a camera's host."""
    parts = urlsplit(uri)
    if parts.scheme in ("rtsp", "rtsps", "http", "https"):
        return f"{parts.hostname}{parts.path}".rstrip("/")
    if parts.scheme in ("demo", "usb"):
        return f"{parts.scheme}-{parts.path}"
    return Path(uri).stem


def open_source(settings: Settings) -> tuple[ReadAhead, SourceInfo]:
    """The source of a run, opened and decoding ahead.

    Raises:
        SourceError: nothing can be read from it.
    """
    source: Source
    if settings.detections is not None:
        from camcount.tracking.mot_rows import last_frame
        from camcount.tracking.motchallenge import GivenFrames

        width, height = settings.size or (0, 0)
        frames = last_frame(settings.detections)
        source = GivenFrames(frames, settings.fps or 0.0, width, height, uri=str(settings.detections))
    else:
        from camcount.video.open import source_for

        source = source_for(
            settings.source or "",
            camera_id=settings.camera or camera_name(settings.source or ""),
            fps=settings.fps,
            timeout_s=settings.timeout_s,
            transport=settings.transport,
            start_time=settings.start_time,
        )
    ahead = ReadAhead(source)
    return ahead, ahead.open()


def open_detector(settings: ModelSettings, labels: Sequence[str] | None = None) -> Detector:
    """The detector that the settings name.

    Raises:
        ModelError: it cannot be loaded.
        UsageError: a label or an option does not fit it.
    """
    from camcount.models.opening import resolve_detector

    opening: dict[str, Any] = {
        "trust": trust_of(settings),
        "decoder": settings.decoder,
        "confidence": settings.confidence,
        "label_map": settings.label_map,
        "class_names": settings.class_names,
        "input_size": settings.input_size,
        "nms_iou": settings.nms_iou,
        "providers": settings.providers,
    }
    if settings.data_plane:
        from camcount.serving.embedded import EmbeddedDetector
        from camcount.serving.options import ServingOptions

        options = ServingOptions(replicas=settings.threads or cores())
        device = settings.device or "cpu"
        return EmbeddedDetector(settings.model, labels=labels, options=options, device=device, opening=opening)
    return resolve_detector(settings.model, labels=labels, device=settings.device, **opening)


def trust_of(settings: ModelSettings) -> Trust:
    """Which models the settings allow to be loaded."""
    from camcount.models.opening import Trust

    return Trust(require_signed_models=settings.require_signed_models, public_key=settings.model_public_key)


def check_shapes(lines: Sequence[Line], zones: Sequence[Zone], width: int, height: int) -> None:
    """Refuses a line or a zone that cannot count in a picture of this size.

    Raises:
        GeometryError: which one, and why.
    """
    for line in lines:
        line.at(width, height)
    for zone in zones:
        zone.at(width, height)
