"""Pictures with boxes on them, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from camcount.detections import Detections
from camcount.errors import DiskFull
from camcount.frame import Image

_COLOURS = ((60, 180, 75), (230, 110, 30), (40, 60, 230), (200, 60, 200), (20, 190, 230), (180, 180, 60))


def draw_boxes(picture: Image, found: Detections, rows: Sequence[int] | None = None) -> Image:
    """A copy of the picture with the boxes, their labels and confidences; of some rows only, if they are given."""
    drawn = picture.copy()
    scale = max(1, round(max(drawn.shape[:2]) / 640))
    for row in range(len(found)) if rows is None else rows:
        left, top, right, bottom = (round(float(value)) for value in found.xyxy[row])
        colour = _COLOURS[int(found.class_id[row]) % len(_COLOURS)]
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, 2 * scale)
        text = f"{found.label(row)} {found.confidence[row]:.2f}"
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45 * scale, scale)
        base = max(top, height + 6)
        cv2.rectangle(drawn, (left, base - height - 6), (left + width + 4, base), colour, cv2.FILLED)
        cv2.putText(drawn, text, (left + 2, base - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.45 * scale, (255, 255, 255), scale)
    return drawn


def write_picture(path: Path, picture: Image) -> None:
    """Writes a PNG or JPEG file, as its name says.

    Raises:
        DiskFull: it cannot be written.
    """
    good, content = cv2.imencode(path.suffix.lower() or ".png", picture)
    try:
        if not good:
            raise OSError("the picture cannot be encoded")
        path.write_bytes(np.asarray(content, np.uint8).tobytes())
    except OSError as error:
        raise DiskFull(f"{path} cannot be written: {error.strerror or error}") from error
