"""Which crossings a camera cannot miss for want of frames, whatever else the machine has to do."""

from __future__ import annotations

from dataclasses import dataclass

SIGHTS = 2
"""Frames with the object on either side of the line: three sights confirm a track, and one more is spare."""
STEP = 0.8
"""How far an object may move from frame to frame, in its own heights, and still be told from another one."""
FASTEST = 4.0
"""Heights per second above which it may not be, at any rate of frames."""
BRIEFEST_S = 0.25
"""A side of the line counts once it was kept so long, at any rate of frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What is counted in any case, as long as the model finds it.

    An object whose crossing is counted has ``SIGHTS`` frames on either side of the line and moves at most ``STEP`` of
    its height between them. Of frames that come evenly, ``fps`` a second, it has those however they fall, if it is in
    view for ``SIGHTS / fps`` seconds on either side and moves at most ``STEP * fps`` of its heights a second. More
    frames than some eight a second promise no more: then what counts is ``BRIEFEST_S`` and ``FASTEST``.

    Attributes:
        view_s: seconds in view on either side of the line.
        speed: heights per second.
    """

    view_s: float
    speed: float


def promised(fps: float) -> Promise | None:
    """At a rate of frames that the model is asked about; None at 0, where nothing can be promised.

    >>> promised(5.0)
    Promise(view_s=0.4, speed=4.0)
    """
    return Promise(view_s=max(SIGHTS / fps, BRIEFEST_S), speed=min(STEP * fps, FASTEST)) if fps > 0 else None
