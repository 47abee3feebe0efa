"""The chart of the comparison, drawn with OpenCV, which is there anyway."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 620, 520, 60, 50, 150
_COLOURS = [(180, 119, 31), (14, 127, 255), (44, 160, 44), (189, 103, 148), (75, 86, 140), (127, 127, 127)]
_OURS = (40, 39, 214)


def draw(path: Path, labels: list[str], curves: dict[str, tuple[list[float], list[float]]]) -> None:
    """Writes a PNG of two panels, WMAPE and F1 over the frame rate; the last curve is ours."""
    panels = [
        panel("count error (WMAPE, %): lower is better", labels, {n: c[0] for n, c in curves.items()}, 0.0),
        panel("event F1 (%): higher is better", labels, {n: c[1] for n, c in curves.items()}, 40.0),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.hstack(panels))


def panel(title: str, labels: list[str], curves: dict[str, list[float]], low: float) -> NDArray[np.uint8]:
    """One curve for each name over the labels; the last is ours. The lowest value shown is ``low``."""
    image = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    high = max(v for values in curves.values() for v in values) * 1.05
    floor = _HEIGHT - _BOTTOM

    def at(k: int, value: float) -> tuple[int, int]:
        x = _LEFT + 30 + k * (_WIDTH - _LEFT - 80) // max(1, len(labels) - 1)
        return x, int(floor - (value - low) / (high - low) * (floor - _TOP))

    _text(image, title, (_LEFT, 28), 0.55)
    for value in np.linspace(low, high, 5):
        y = at(0, float(value))[1]
        cv2.line(image, (_LEFT, y), (_WIDTH - 20, y), (225, 225, 225), 1)
        _text(image, f"{value:.0f}", (18, y + 5), 0.45)
    for k, label in enumerate(labels):
        _text(image, label, (at(k, low)[0] - 12, floor + 20), 0.45)
    for number, (name, values) in enumerate(curves.items()):
        ours = number == len(curves) - 1
        colour = _OURS if ours else _COLOURS[number % len(_COLOURS)]
        points = np.array([at(k, v) for k, v in enumerate(values)], np.int32)
        cv2.polylines(image, [points], False, colour, 4 if ours else 2, cv2.LINE_AA)
        row, column = divmod(number, 2)
        _text(image, name, (_LEFT + column * 280, floor + 48 + 24 * row), 0.45, colour)
    return image


def _text(
    image: NDArray[np.uint8],
    text: str,
    at: tuple[int, int],
    scale: float,
    colour: tuple[int, int, int] = (40, 40, 40),
) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)


def bars(path: Path, titles: list[str], measured: list[dict[str, float]], ours: str) -> None:
    """Writes a PNG with one panel of horizontal bars per measure, the longest first; ``ours`` begins our names."""
    panels = [_bars(title, values, ours) for title, values in zip(titles, measured, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.hstack(panels))


def _bars(title: str, values: dict[str, float], ours: str) -> NDArray[np.uint8]:
    row, label = 24, 210
    image = np.full((_TOP + row * len(values) + 20, _WIDTH, 3), 255, np.uint8)
    _text(image, title, (20, 28), 0.55)
    longest = max(values.values())
    for k, (name, value) in enumerate(sorted(values.items(), key=lambda item: -item[1])):
        y, colour = _TOP + row * k, _OURS if name.startswith(ours) else _COLOURS[5]
        end = label + int((_WIDTH - label - 70) * value / longest)
        cv2.rectangle(image, (label, y), (end, y + row - 7), colour, cv2.FILLED)
        _text(image, name, (20, y + 13), 0.45)
        _text(image, f"{value:.1f}", (end + 6, y + 13), 0.45)
    return image
