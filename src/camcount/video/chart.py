"""Counts over time as a picture: a bar a span, its low and high, and gaps that look like gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from camcount.errors import UsageError
from camcount.frame import Image
from camcount.video.ink import Colour, Ink
from camcount.video.writer import save_picture

_PANEL, _LEFT, _RIGHT, _TOP, _BOTTOM = 340, 84, 40, 66, 64
_LEAST_WIDTH, _MOST_WIDTH = 1200, 2400
_IN: Colour = (158, 98, 30)
_OUT: Colour = (74, 152, 240)
_BAND: Colour = (70, 60, 56)
_TEXT: Colour = (60, 50, 45)
_FAINT: Colour = (232, 229, 226)
_GAP: Colour = (246, 244, 242)
_HATCH: Colour = (200, 194, 190)
_SEEN: Colour = (128, 168, 96)


@dataclass(frozen=True, slots=True)
class Bar:
    """One span of time.

    Attributes:
        label: below the axis, where there is room.
        counts: in and out; None in a gap.
        low, high: of their sum; None where nothing is known.
        coverage: share of the span that was seen, 0..1.
    """

    label: str
    counts: tuple[int, int] | None
    low: int | None
    high: int | None
    coverage: float


@dataclass(frozen=True, slots=True)
class Panel:
    """The bars of one line, from left to right."""

    title: str
    bars: Sequence[Bar]


def write_chart(path: Path, panels: Sequence[Panel]) -> None:
    """Draws the panels below each other into a PNG file.

    Raises:
        UsageError: the file is no ``.png`` or cannot be created, or there is nothing to draw, or far too much.
        DiskFull: there is no space for it.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"a chart is a .png file, not {path.name!r}")
    if not panels or len(panels) > 20:
        raise UsageError(f"a chart shows 1 to 20 lines, not {len(panels)}: choose with --camera and --line")
    most = max(len(panel.bars) for panel in panels)
    if most > _MOST_WIDTH:
        raise UsageError(f"a chart shows at most {_MOST_WIDTH} spans, not {most}: take longer ones with --every")
    width = min(max(_LEAST_WIDTH, _LEFT + _RIGHT + 6 * most), _MOST_WIDTH + _LEFT + _RIGHT)
    save_picture(path, np.vstack([draw_panel(panel, width) for panel in panels]))


def draw_panel(panel: Panel, width: int) -> Image:
    """One panel so many pixels wide."""
    ink = Ink(np.full((_PANEL, width, 3), 255, np.uint8))
    peaks = [b.high if b.high is not None else sum(b.counts) for b in panel.bars if b.counts is not None]
    top = _round_up(max([1, *peaks]))
    _legend(ink, panel)
    _grid(ink, top)
    step = (width - _LEFT - _RIGHT) / max(1, len(panel.bars))
    for number, bar in enumerate(panel.bars):
        _bar(ink, bar, _LEFT + number * step, step, top)
    floor = _PANEL - _BOTTOM
    _line(ink, (_LEFT, floor), (width - _RIGHT, floor), _TEXT)
    _labels(ink, panel, step)
    return ink.image


def _bar(ink: Ink, bar: Bar, left: float, step: float, top: float) -> None:
    floor = _PANEL - _BOTTOM
    _rectangle(ink, left, floor + 4, left + step, floor + 9, _FAINT)
    _rectangle(ink, left, floor + 4, left + step * bar.coverage, floor + 9, _SEEN)
    if bar.counts is None:
        _hatch(ink, left, left + step)
        return
    edge = 0.12 * step if step >= 5 else 0.0
    came, went = bar.counts
    _rectangle(ink, left + edge, _y(came, top), left + step - edge, floor, _IN)
    _rectangle(ink, left + edge, _y(came + went, top), left + step - edge, _y(came, top), _OUT)
    if bar.low is None:
        return
    middle, wing = left + step / 2, min(0.22 * step, 9)
    # nothing is known upwards: the line goes out of the picture
    ends = (_y(bar.low, top), _TOP - 6 if bar.high is None else _y(bar.high, top))
    _line(ink, (middle, ends[0]), (middle, ends[1]), _BAND)
    if step >= 6:
        for y in ends if bar.high is not None else ends[:1]:
            _line(ink, (middle - wing, y), (middle + wing, y), _BAND)


def _hatch(ink: Ink, left: float, right: float) -> None:
    """What nobody saw: slanting lines that go on from one span to the next."""
    first, last = round(left), round(right)
    rows, columns = np.mgrid[_TOP : _PANEL - _BOTTOM, first:last]
    stripes = (rows + columns) % 10 < 2
    ink.image[_TOP : _PANEL - _BOTTOM, first:last] = np.where(stripes[..., None], _HATCH, _GAP)


def _grid(ink: Ink, top: int) -> None:
    for k in range(5):
        value = top * k / 4
        y = _y(value, top)
        _line(ink, (_LEFT, y), (ink.image.shape[1] - _RIGHT, y), _FAINT)
        _write(ink, f"{value:g}", _LEFT - 10, y + 5, "right")


def _labels(ink: Ink, panel: Panel, step: float) -> None:
    widest = max((_wide(ink, bar.label) for bar in panel.bars), default=0)
    every = _steps(max(1, math.ceil((widest + 16) / step)))
    for number in range(0, len(panel.bars), every):
        x = _LEFT + (number + 0.5) * step
        _write(ink, panel.bars[number].label, x, _PANEL - _BOTTOM + 30, "middle")


def _legend(ink: Ink, panel: Panel) -> None:
    _write(ink, panel.title, _LEFT, 32, "left", 19)
    marks: list[tuple[str, Colour | None]] = [("in", _IN), ("out", _OUT), ("gap", None), ("seen", _SEEN)]
    if any(bar.low is not None for bar in panel.bars):
        marks.append(("low to high", _BAND))
    x = float(ink.image.shape[1] - _RIGHT)
    for name, colour in reversed(marks):
        x -= _wide(ink, name)
        _write(ink, name, x, 32, "left")
        x -= 20
        if colour is None:
            ink.image[21:33, round(x) : round(x) + 12] = _GAP
            for k in range(-12, 12, 5):
                _line(ink, (x + max(0, k), 21 + max(0, -k)), (x + min(12, 12 + k), 33 - max(0, k)), _HATCH)
        elif colour == _BAND:
            _line(ink, (x + 6, 21), (x + 6, 33), colour)
            _line(ink, (x + 2, 21), (x + 10, 21), colour)
            _line(ink, (x + 2, 33), (x + 10, 33), colour)
        else:
            _rectangle(ink, x, 21 if colour != _SEEN else 26, x + 12, 33 if colour != _SEEN else 31, colour)
        x -= 22


def _y(value: float, top: float) -> float:
    floor = _PANEL - _BOTTOM
    return floor - value / top * (floor - _TOP)


def _round_up(value: float) -> int:
    """The next of 4, 8, 12, 16, 20, 40, 60, 80, 100, 120, …, which four steps divide well."""
    size: int = 4 * 10 ** max(0, math.floor(math.log10(value / 4)))
    return next(k * size for k in (1, 2, 3, 4, 5, 10) if k * size >= value)


def _steps(least: int) -> int:
    """How many spans from label to label: a number that divides hours and days."""
    return next((n for n in (1, 2, 4, 8, 12, 24, 48, 96, 192, 384) if n >= least), least)


def _rectangle(ink: Ink, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
    if right > left and bottom > top:
        ink.image[round(top) : round(bottom), round(left) : max(round(right), round(left) + 1)] = colour


def _line(ink: Ink, start: tuple[float, float], end: tuple[float, float], colour: Colour) -> None:
    ink.line(np.array([start, end], np.float64), colour, 1.4)


def _wide(ink: Ink, text: str, size: int = 15) -> int:
    return int(cv2.getTextSize((0, 0), text, (0, 0), ink.font, size, 500)[2])


def _write(ink: Ink, text: str, x: float, y: float, side: Literal["left", "middle", "right"], size: int = 15) -> None:
    shift = {"left": 0.0, "middle": 0.5, "right": 1.0}[side] * _wide(ink, text, size)
    cv2.putText(ink.image, text, (round(x - shift), round(y)), _TEXT, ink.font, size, 500)
