"""What the objects look like while they cross a line: how tall, how fast, how sure, how crowded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from camcount.counting.doctor_paths import Path

_AROUND_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Sights:
    """Medians over the objects at a line.

    Attributes:
        objects: how many there were.
        height: in pixels of the frame. confidence: 0..1.
        speed, pace: how far they move in a second and from frame to frame, in their own sizes (root of the area).
        hidden, crowded: the shares of sights with hidden legs, and with a third or more covered by another object.
    """

    objects: int = 0
    height: float = 0.0
    confidence: float = 0.0
    speed: float = 0.0
    pace: float = 0.0
    hidden: float = 0.0
    crowded: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "objects": self.objects,
            "height_px": round(self.height, 1),
            "confidence": round(self.confidence, 3),
            "sizes_per_second": round(self.speed, 2),
            "sizes_per_frame": round(self.pace, 3),
            "hidden_share": round(self.hidden, 3),
            "crowded_share": round(self.crowded, 3),
        }


def sights_at(moments: Sequence[tuple[Path, float]], interval_s: float) -> Sights:
    """The paths around the moments at which they cross a line; ``interval_s`` is the time between frames."""
    if not moments:
        return Sights()
    heights, sure, speeds, hidden, crowded = [], [], [], [], []
    for path, time_s in moments:
        at = path.near(time_s, max(_AROUND_S, 1.5 * interval_s))
        # short of two sights there the whole path says how fast it was
        part = at if at.stop - at.start > 1 else slice(None)
        time, point = path.time[part], path.point[part]
        heights.append(float(path.height[at].mean()))
        sure.append(float(path.confidence[at].mean()))
        went = float(np.hypot(*(point[-1] - point[0]))) / float(path.size[at].mean())
        speeds.append(went / max(float(time[-1] - time[0]), 1e-6))
        hidden.append(float(path.hidden[at].mean()))
        crowded.append(float(path.crowded[at].mean()))
    speed = float(np.median(speeds))
    return Sights(
        objects=len(moments),
        height=float(np.median(heights)),
        confidence=float(np.median(sure)),
        speed=speed,
        pace=speed * interval_s,
        hidden=float(np.mean(hidden)),
        crowded=float(np.mean(crowded)),
    )
