"""The job that everybody does: a JPEG file to the people and vehicles in it, as JSON.

Needs numpy, OpenCV and ONNX Runtime only, because the peers run it in environments of their own. A folder with a
``job.json`` says which job: the model file for each input size, how many classes it has, and whether the picture may
be decoded at half, a quarter or an eighth of its size. Of two boxes of a class that overlap by half, one is left.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Array = NDArray[Any]

LABELS = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
_COLUMNS = (0, 1, 2, 3, 5, 7)
"""Where COCO's eighty classes have them."""
_CONFIDENCE, _OVERLAP, _PAD = 0.25, 0.5, 114.0
_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))


def write_job(folder: Path, models: dict[tuple[int, int], Path], *, classes: int, scaled: bool) -> Path:
    """Writes what `Job` reads; gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    given = [[width, height, str(path)] for (width, height), path in models.items()]
    (folder / "job.json").write_text(json.dumps({"models": given, "classes": classes, "scaled": scaled}))
    return folder


@dataclass(frozen=True)
class _Sized:
    """A session for one input size, and where each of its rows lies in the picture."""

    width: int
    height: int
    session: Any
    offsets: Array
    strides: Array

    @classmethod
    def load(cls, width: int, height: int, path: str) -> _Sized:
        """One thread, and no waiting thread that spins."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return cls(width, height, session, *_grid(width, height))


def _grid(width: int, height: int) -> tuple[Array, Array]:
    offsets, strides = [], []
    for stride in (8, 16, 32):
        across, down = width // stride, height // stride
        offsets.append(np.stack(np.meshgrid(np.arange(across), np.arange(down)), -1).reshape(-1, 2))
        strides.append(np.full((across * down, 1), stride))
    return np.concatenate(offsets).astype(np.float32), np.concatenate(strides).astype(np.float32)


class Job:
    """Loaded once for each worker; ``run`` is the whole job, ``detect`` all but the JSON.

    Raises:
        ValueError: from ``run`` and ``detect``, for bytes that are no picture.
    """

    labels = LABELS

    def __init__(self, folder: str | Path) -> None:
        given = json.loads((Path(folder) / "job.json").read_text())
        self._models = [_Sized.load(*model) for model in given["models"]]
        self._scaled = bool(given["scaled"])
        self._columns = 5 + np.array(_COLUMNS if given["classes"] == 80 else range(len(LABELS)))

    def run(self, content: bytes) -> bytes:
        """The file of a picture to JSON."""
        return json.dumps(self.detect(content)).encode()

    def detect(self, content: bytes) -> list[dict[str, Any]]:
        """The file of a picture to what is in it: ``label``, ``confidence`` and ``box`` (x, y, width, height)."""
        image, factor = self._decoded(content)
        height, width = image.shape[:2]
        model = max(self._models, key=lambda m: (min(m.width / width, m.height / height), -m.width * m.height))
        scale = min(model.width / width, model.height / height)
        tensor = _letterbox(image, model, scale)
        table = model.session.run(None, {model.session.get_inputs()[0].name: tensor})[0][0]
        return self._found(table, model, scale / factor, (width * factor, height * factor))

    def _decoded(self, content: bytes) -> tuple[Array, int]:
        data = np.frombuffer(content, np.uint8)
        factor, mode = self._mode(content) if self._scaled else (1, cv2.IMREAD_COLOR)
        image = cv2.imdecode(data, mode) if data.size else None
        if image is None:
            raise ValueError("this is no picture")
        return image, factor

    def _mode(self, content: bytes) -> tuple[int, int]:
        """The smallest scale at which the picture still is as large as it comes into the model."""
        width, height = _jpeg_size(content)
        scale = max(min(m.width / width, m.height / height) for m in self._models)
        return next(((f, mode) for f, mode in _REDUCED if f * scale <= 1), (1, cv2.IMREAD_COLOR))

    def _found(self, table: Array, model: _Sized, scale: float, size: tuple[int, int]) -> list[dict[str, Any]]:
        rows = np.flatnonzero(table[:, 4] > _CONFIDENCE)  # most boxes have nothing in them: those first
        scores = table[rows, 4:5] * table[rows[:, None], self._columns]
        kinds = scores.argmax(1)
        scores = scores[np.arange(len(rows)), kinds]
        sure = scores > _CONFIDENCE
        rows, kinds, scores = rows[sure], kinds[sure], scores[sure]
        strides = model.strides[rows]
        centres = (table[rows, :2] + model.offsets[rows]) * strides
        sides = np.exp(table[rows, 2:4]) * strides
        boxes = np.concatenate([centres - sides / 2, centres + sides / 2], 1) / scale
        boxes = np.clip(boxes, 0, np.array([*size, *size], np.float32))
        boxes[:, 2:] -= boxes[:, :2]
        kept = (
            cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores.tolist(), kinds.tolist(), _CONFIDENCE, _OVERLAP)
            if len(rows)
            else ()
        )
        return [{"label": LABELS[kinds[k]], "confidence": float(scores[k]), "box": boxes[k].tolist()} for k in kept]


def _letterbox(image: Array, model: _Sized, scale: float) -> Array:
    height, width = image.shape[:2]
    inner = min(model.width, round(width * scale)), min(model.height, round(height * scale))
    tensor = np.full((1, 3, model.height, model.width), _PAD, np.float32)
    small = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    for channel, plane in enumerate(cv2.split(small)):
        tensor[0, channel, : inner[1], : inner[0]] = plane
    return tensor


def _jpeg_size(content: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 < len(content):
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(content[at + k : at + k + 2], "big") for k in (5, 7))
            return width, height
        at += 2 + length
    raise ValueError("this is no JPEG picture")


def agree(found: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]], least: float = 0.4) -> tuple[int, int]:
    """How many boxes of ``found`` are surer than ``least``, and how many of those the other answer has too.

    It has one where a box overlaps by half and both are persons, or both are vehicles: where a model says car and
    truck of one object, some leave one box and some two.
    """
    sure = [box for box in found if box["confidence"] > least]
    return len(sure), sum(
        any(
            (a["label"] == "person") == (b["label"] == "person") and _overlap(a["box"], b["box"]) >= 0.5
            for b in other
        )
        for a in sure
    )


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(0.0, across) * max(0.0, down)
    return both / (a[2] * a[3] + b[2] * b[3] - both) if both else 0.0
