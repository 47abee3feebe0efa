"""Every decoder by name: how a family's raw outputs become boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from camcount.detection.candidates import Decode
from camcount.detection.detr import detr
from camcount.detection.distributions import distribution
from camcount.detection.grids import fastestdet, yolox
from camcount.detection.lists import boxes, rows
from camcount.detection.spec import ModelSpec
from camcount.detection.yolo import yolov5, yolov8
from camcount.errors import UsageError


@dataclass(frozen=True, slots=True)
class DecoderKind:
    """One entry of `DECODERS`.

    Attributes:
        build: a model's spec to its decode function.
        outputs: the shapes it reads.
        purpose: the families it is for.
        source: where the method is published.
        needs_nms: whether one object may come back as several boxes.
        batches: whether all outputs have the pictures of a batch along their first axis.
    """

    name: str
    build: Callable[[ModelSpec], Decode]
    outputs: str
    purpose: str
    source: str
    needs_nms: bool = True
    batches: bool = True

    @property
    def summary(self) -> str:
        """One line: families, shapes, source."""
        return f"{self.purpose}: {self.outputs} ({self.source})"


_GFL = "Generalized Focal Loss, arXiv:2006.04388"
_KINDS = (
    DecoderKind("yolox", yolox, "[1,N,5+C] raw", "YOLOX, raw grid", "arXiv:2107.08430"),
    DecoderKind(
        "yolov5", yolov5, "[1,N,5+C]", "YOLOv5, YOLOv6, YOLOv7, YOLOX decoded inside", "doi:10.5281/zenodo.3908559"
    ),
    DecoderKind("yolov8", yolov8, "[1,4+C,N]", "YOLOv8, YOLOv9, YOLO11, YOLO12", "Ultralytics YOLO, 2023"),
    DecoderKind(
        "end2end",
        rows,
        "[1,N,6]",
        "YOLOv10, YOLO26 and exports with NMS inside",
        "arXiv:2405.14458",
        needs_nms=False,
    ),
    DecoderKind("nanodet", distribution, "n x [1,n,C], n x [1,n,32]", "NanoDet", _GFL),
    DecoderKind("nanodet-plus", distribution, "[1,N,C+32]", "NanoDet-Plus", _GFL),
    DecoderKind("picodet", distribution, "n x [1,n,C], n x [1,n,32]", "PP-PicoDet", "arXiv:2111.00902"),
    DecoderKind("fastestdet", fastestdet, "[1,5+C,H,W]", "FastestDet", "FastestDet, 2022"),
    DecoderKind(
        "ssd",
        boxes,
        "boxes [1,N,4], scores, labels",
        "SSD, TensorFlow and torchvision detectors, RT-DETR with its own post-processing",
        "arXiv:1512.02325",
        batches=False,
    ),
    DecoderKind("ssd-rows", rows, "[1,1,N,7]", "SSD from OpenVINO", "arXiv:1512.02325", batches=False),
    DecoderKind(
        "detr",
        detr,
        "boxes [1,Q,4], logits [1,Q,C]",
        "DETR, RT-DETR, RF-DETR, D-FINE",
        "arXiv:2005.12872",
        needs_nms=False,
    ),
)

DECODERS: dict[str, DecoderKind] = {kind.name: kind for kind in _KINDS}


def decoder_named(name: str) -> DecoderKind:
    """The decoder of that name.

    Raises:
        UsageError: there is none.
    """
    try:
        return DECODERS[name]
    except KeyError:
        raise UsageError(f"unknown decoder {name!r}: choose from {', '.join(DECODERS)}") from None
