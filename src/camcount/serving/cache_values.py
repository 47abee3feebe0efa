"""Detections as bytes and back.

Layout, little endian: ``CCD1``, CRC-32 of what follows, rows ``N``, then ``float32 (N, 4)`` boxes, ``float32 (N,)``
confidences, ``int32 (N,)`` classes, and the labels as JSON. A later layout changes the first four bytes.
"""

from __future__ import annotations

import json
import struct
import zlib
from functools import lru_cache

import numpy as np

from camcount.detections import Detections

_HEAD = struct.Struct("<4sII")
_VERSION = b"CCD1"
_ROW_BYTES = 24


def encode(detections: Detections) -> bytes:
    """All but ``stages``: what was measured once says nothing about the next time."""
    arrays = (
        detections.xyxy.astype("<f4").tobytes(),
        detections.confidence.astype("<f4").tobytes(),
        detections.class_id.astype("<i4").tobytes(),
    )
    body = struct.pack("<I", len(detections)) + b"".join(arrays) + _labels_bytes(detections.labels)
    return _VERSION + struct.pack("<I", zlib.crc32(body)) + body


def decode(value: bytes) -> Detections | None:
    """The detections bit by bit as they were; ``None`` for bytes that `encode` did not make or that are damaged."""
    if len(value) < _HEAD.size:
        return None
    version, checksum, rows = _HEAD.unpack_from(value)
    end = _HEAD.size + rows * _ROW_BYTES
    if version != _VERSION or zlib.crc32(value[8:]) != checksum or end > len(value):
        return None
    boxes = np.frombuffer(value, "<f4", rows * 4, _HEAD.size).reshape(rows, 4)
    confidence = np.frombuffer(value, "<f4", rows, _HEAD.size + rows * 16)
    classes = np.frombuffer(value, "<i4", rows, _HEAD.size + rows * 20)
    return Detections(boxes, confidence, classes, _labels(value[end:]))


@lru_cache(64)
def _labels_bytes(labels: tuple[str, ...]) -> bytes:
    return json.dumps(labels, separators=(",", ":")).encode()


@lru_cache(64)
def _labels(content: bytes) -> tuple[str, ...]:
    return tuple(json.loads(content))
