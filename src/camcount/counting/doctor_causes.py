"""Why a line loses what it loses, in words that an operator understands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from camcount.counting.doctor_evidence import Sign
from camcount.counting.doctor_paths import Path, Recording
from camcount.counting.doctor_sights import Sights
from camcount.geometry import Line, Points

CauseKind = Literal[
    "empty",
    "elsewhere",
    "edge",
    "broken",
    "short_before",
    "short_after",
    "rate",
    "small",
    "unsure",
    "crowd",
    "hidden",
]

SMALL_PX = 24
"""Objects lower than this are found unreliably by any detector."""
UNSURE = 0.45
CROWDED = 0.3
HIDDEN = 0.3
FAST = 0.3
"""Sizes per frame above which tracks are hard to keep together."""
CALM = 0.15
_LEAST = 0.025
"""A cause of less than this loss is not worth a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One reason.

    Attributes:
        kind: a stable word for it.
        loss: how much of the expected loss it is, 0..1; 0 where it only explains the others.
        text: a sentence for people, with what to do about it.
    """

    kind: CauseKind
    loss: float
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"kind": self.kind, "loss": round(self.loss, 3), "text": self.text}


def causes_of(
    line: Line,
    points: Points,
    recording: Recording,
    confirmed: Sequence[Path],
    weighed: Sequence[tuple[Sign, float]],
    sights: Sights,
    total: float,
    unseen: float,
) -> list[Cause]:
    """The causes at one line, weightiest first.

    ``points`` are the line's in pixels, ``weighed`` the signs with the number of crossings each stands for,
    ``total`` the crossings there probably were and ``unseen`` those of them that left no sign.
    """
    if not sights.objects:
        return [_nobody(recording, confirmed)]
    found: list[Cause] = []
    for kind, weight in _by_kind(weighed).items():
        if weight / total >= _LEAST:
            found.append(Cause(kind=kind, loss=weight / total, text=_words(kind, points, recording)))
    found.sort(key=lambda cause: -cause.loss)
    return found + _looks(recording, sights, unseen / total)


def _nobody(recording: Recording, confirmed: Sequence[Path]) -> Cause:
    span = recording.end_s - recording.begin_s
    if not confirmed:
        text = (
            f"Nothing was found in {span:.0f} s. Watch longer with --seconds, at a time when something moves, "
            f"or use a --model that knows what is to be counted."
        )
        return Cause(kind="empty", loss=0.0, text=text)
    text = (
        f"{len(confirmed)} objects were seen in {span:.0f} s, and none came to this line. Draw it across their way."
    )
    return Cause(kind="elsewhere", loss=0.0, text=text)


def _by_kind(weighed: Sequence[tuple[Sign, float]]) -> dict[CauseKind, float]:
    shares: dict[CauseKind, float] = {}
    for sign, weight in weighed:
        kind = _kind(sign)
        shares[kind] = shares.get(kind, 0.0) + weight
    return shares


def _kind(sign: Sign) -> CauseKind:
    if sign.broken:
        return "broken"
    if sign.cut:
        return "edge"
    if sign.kind in ("entered", "left"):
        return "short_before" if sign.kind == "entered" else "short_after"
    return "broken"


def _words(kind: CauseKind, points: Points, recording: Recording) -> str:
    if kind == "edge":
        share, side = nearest_edge(points, recording.width, recording.height)
        return (
            f"The line is {100 * share:.0f} % of the picture from the {side} edge: objects vanish, or appear, "
            f"before they were seen long enough on both sides. Move it inwards."
        )
    if kind == "broken":
        return (
            "Tracks break at the line: objects are lost there and found again beyond, as new ones. Move the line "
            "to where nothing stands before them."
        )
    where = "before" if kind == "short_before" else "beyond"
    return (
        f"Objects are seen too briefly {where} the line: a side counts once it was kept for about a third of a "
        f"second. Leave more room {where} it."
    )


def nearest_edge(points: Points, width: int, height: int) -> tuple[float, str]:
    """Which edge of the picture a line runs along, and how far from it, as a share of the picture."""
    middle = (points[0] + points[-1]) / 2
    along = np.abs(points[-1] - points[0]) / (width, height)
    away = {
        "left": float(middle[0]) / width,
        "right": 1 - float(middle[0]) / width,
        "top": float(middle[1]) / height,
        "bottom": 1 - float(middle[1]) / height,
    }
    sides = ("top", "bottom") if along[0] >= along[1] else ("left", "right")
    side = min(sides, key=lambda name: away[name])
    return away[side], side


def _looks(recording: Recording, sights: Sights, unseen: float) -> list[Cause]:
    found: list[Cause] = []
    if sights.pace > FAST:
        rate = 1 / max(recording.interval_s, 1e-6)
        wanted = math.ceil(sights.speed / CALM)
        text = (
            f"{rate:.0f} frames a second are too few: objects move {100 * sights.pace:.0f} % of their size from "
            f"one frame to the next. Use {wanted} or more."
        )
        found.append(Cause(kind="rate", loss=unseen, text=text))
    if sights.height < SMALL_PX:
        text = (
            f"Objects are only {sights.height:.0f} pixels tall at the line. Move it nearer to the camera, zoom in, "
            f"or use a model with a larger input."
        )
        found.append(Cause(kind="small", loss=0.0, text=text))
    if sights.confidence < UNSURE:
        text = (
            f"The detector is only {100 * sights.confidence:.0f} % sure of what crosses: some will not be found at "
            f"all. Use a better model, more light or a line nearer to the camera."
        )
        found.append(Cause(kind="unsure", loss=0.0, text=text))
    if sights.crowded > CROWDED:
        text = (
            "Objects cover each other at the line. A line where they walk apart, or a camera that looks more from "
            "above, counts better."
        )
        found.append(Cause(kind="crowd", loss=0.0, text=text))
    if recording.anchor == "foot" and sights.hidden > HIDDEN:
        text = "Feet are often hidden at the line. Move it to where the ground is seen, or use --anchor centre."
        found.append(Cause(kind="hidden", loss=0.0, text=text))
    return found
