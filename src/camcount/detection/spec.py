"""What has to be known of a model file before pictures can go in and boxes come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from camcount.errors import UsageError

Fit = Literal["letterbox", "letterbox-centred", "stretch", "inside"]
"""How a picture comes to the input size: scaled and padded on the right and at the bottom; scaled and padded
on all sides; distorted; scaled down to fit with no padding at all (for models that take any size)."""

Colour = Literal["bgr", "rgb"]
Layout = Literal["nchw", "nhwc"]

FITS: tuple[Fit, ...] = ("letterbox", "letterbox-centred", "stretch", "inside")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """How one model wants its pictures and what its outputs mean.

    A pixel of 0..255 becomes ``(pixel * scale - mean) / std``, per channel in the model's own channel order.

    Attributes:
        decoder: a name in `camcount.detection.decoders.DECODERS`.
        labels: the names of the model's classes, in the order of its class numbers.
        width, height: size of the model's input in pixels.
        multiple: of a letterbox's padding, what lies beyond the next multiple of so many pixels is left out, which
            makes the input smaller; ``None`` for models that take the full size only.
        pad: pixel value 0..255 around a letterboxed picture, before normalisation.
        parameters: what this model's decoder needs to know beyond the outputs themselves; each decoder lists its own.
        confidence: detections below are not returned; low on purpose, trackers use the weak ones too.
        nms_iou: two boxes of one label that overlap more than this are one object; ``None``: the model has done it.
        kind_iou: two boxes that overlap more than this, with different labels that both name vehicles, are one object
            of which the model is in doubt; ``None``: both are returned.
        max_detections: at most this many per picture, the surest first.

    Raises:
        UsageError: a number is outside its range.
    """

    decoder: str
    labels: tuple[str, ...]
    width: int
    height: int
    fit: Fit = "letterbox"
    colour: Colour = "bgr"
    layout: Layout = "nchw"
    multiple: int | None = None
    pad: int = 114
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    confidence: float = 0.1
    nms_iou: float | None = 0.5
    kind_iou: float | None = 0.75
    max_detections: int = 300

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise UsageError(f"input size {self.width}x{self.height}: both must be at least 1 pixel")
        if self.fit not in FITS:
            raise UsageError(f"unknown fit {self.fit!r}: choose from {', '.join(FITS)}")
        if self.colour not in ("bgr", "rgb"):
            raise UsageError(f"unknown colour order {self.colour!r}: choose bgr or rgb")
        if self.multiple is not None and self.multiple < 1:
            raise UsageError(f"multiple {self.multiple} must be at least 1 pixel")
        if len(self.mean) != 3 or len(self.std) != 3 or 0 in self.std:
            raise UsageError("mean and std take three numbers each, and std none that is 0")
        if not 0 < self.confidence < 1:
            raise UsageError(f"confidence {self.confidence} must lie between 0 and 1")
        for overlap in (self.nms_iou, self.kind_iou):
            if overlap is not None and not 0 < overlap <= 1:
                raise UsageError(f"NMS overlap {overlap} must lie between 0 and 1")
