"""The documented supervision loop on one video: prints its frames per second as JSON.

Runs in an environment of its own (bench/supervision.txt) and imports nothing of camcount.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
import supervision as sv  # type: ignore[import-not-found,unused-ignore]  # only in the environment of its own
from numpy.typing import NDArray

SIDE = 416
WANTED = (0, 1, 2, 3, 5, 7)
"""Person, bicycle, car, motorcycle, bus, truck."""
LEAST = 0.1


def grid() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Corner and stride of every cell."""
    corners, strides = [], []
    for stride in (8, 16, 32):
        x, y = np.meshgrid(np.arange(SIDE // stride), np.arange(SIDE // stride))
        corners.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(corners).astype(np.float32), np.concatenate(strides).astype(np.float32)


CORNERS, STRIDES = grid()


def infer(session: ort.InferenceSession, frame: NDArray[np.uint8]) -> Any:
    """Letterbox, YOLOX and its grid, NMS: a frame's `sv.Detections`."""
    height, width = frame.shape[:2]
    ratio = min(SIDE / height, SIDE / width)
    padded = np.full((SIDE, SIDE, 3), 114, np.uint8)
    inside = cv2.resize(frame, (int(width * ratio), int(height * ratio)))
    padded[: inside.shape[0], : inside.shape[1]] = inside
    blob = np.ascontiguousarray(padded.transpose(2, 0, 1)[None], dtype=np.float32)
    raw = session.run(None, {session.get_inputs()[0].name: blob})[0][0]
    rows = np.flatnonzero(raw[:, 4] >= LEAST)
    found = raw[rows]
    scores = found[:, 4:5] * found[:, 5:]
    classes = scores.argmax(axis=1)
    best = scores.max(axis=1)
    keep = (best >= LEAST) & np.isin(classes, WANTED)
    found, rows = found[keep], rows[keep]
    centres = (found[:, :2] + CORNERS[rows]) * STRIDES[rows]
    sizes = np.exp(found[:, 2:4]) * STRIDES[rows]
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1) / ratio
    return sv.Detections(xyxy=boxes, confidence=best[keep], class_id=classes[keep]).with_nms(threshold=0.5)


def main(video: str, model: str, most: int) -> None:
    """One pass over the first ``most`` frames."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    capture = cv2.VideoCapture(video)
    fps = capture.get(cv2.CAP_PROP_FPS)
    width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    tracker = sv.ByteTrack(frame_rate=round(fps))
    line = sv.LineZone(sv.Point(0, height / 2), sv.Point(width, height / 2))
    frames = 0
    start, work = time.perf_counter(), time.process_time()
    while frames < most:
        read, frame = capture.read()
        if not read:
            break
        line.trigger(tracker.update_with_detections(infer(session, np.asarray(frame, np.uint8))))
        frames += 1
    seconds, busy = time.perf_counter() - start, time.process_time() - work
    figures = {"fps": frames / seconds, "cpu_ms": 1000 * busy / frames, "crossings": line.in_count + line.out_count}
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
