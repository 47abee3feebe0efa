"""The pictures that are posted: 32 JPEG files of quality 90, cut from the videos, in four sizes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

_WANTED = (
    ("videos/people.mp4", (480, 360), 4),
    ("videos/tfl", (480, 360), 4),
    ("videos/one-by-one-person-detection.mp4", (768, 432), 4),
    ("videos/people-walking.mp4", (1280, 720), 8),
    ("videos/cars.mp4", (1280, 720), 4),
    ("videos/people-walking.mp4", (1920, 1080), 4),
    ("videos/cars.mp4", (1920, 1080), 4),
)
"""Video or folder of videos, size, how many."""


def frames(data: Path, folder: Path) -> list[Path]:
    """The pictures in the order in which they are posted, sizes mixed; cut if they are not there yet."""
    paths = [folder / f"{number:02d}.jpg" for number in range(32)]
    if not all(path.exists() for path in paths):
        folder.mkdir(parents=True, exist_ok=True)
        pictures = [picture for name, size, count in _WANTED for picture in _cut(data / name, size, count)]
        mixed = np.random.default_rng(5).permutation(len(pictures))
        for path, number in zip(paths, mixed.tolist(), strict=True):
            path.write_bytes(pictures[number])
    return paths


def _cut(video: Path, size: tuple[int, int], count: int) -> list[bytes]:
    if video.is_dir():
        return [_jpeg(path, 0.5, size) for path in sorted(video.glob("*.mp4"))[:: 52 // count][:count]]
    return [_jpeg(video, (k + 0.5) / count, size) for k in range(count)]


def _jpeg(video: Path, place: float, size: tuple[int, int]) -> bytes:
    capture = cv2.VideoCapture(str(video))
    capture.set(cv2.CAP_PROP_POS_FRAMES, int(capture.get(cv2.CAP_PROP_FRAME_COUNT) * place))
    read, image = capture.read()
    capture.release()
    if not read:
        raise SystemExit(f"{video} cannot be read: set CAMCOUNT_TEST_DATA to a folder that has it")
    small = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])
