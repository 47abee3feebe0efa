"""Pictures to judge a model by: spread over given videos, or of the synthetic street."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from camcount.errors import UsageError
from camcount.frame import Frame
from camcount.video.open import source_for
from camcount.video.pictures import frame_of

STREET = ("demo:street?seed=1&seconds=24&fps=1", "demo:street?seed=5&seconds=24&fps=1&width=640&height=480")
"""Where no video is given: a street in both usual shapes, with people and vehicles that real detectors find."""

_WIDEST = 1280


def samples(uris: Sequence[str] = (), count: int = 32) -> list[Frame]:
    """At most ``count`` pictures of each source, spread evenly over it, converted and held in memory.

    Raises:
        SourceError: a source gives no picture.
        UsageError: a source that does not end, such as a camera.
    """
    return [_held(frame) for uri in uris or STREET for frame in _spread(uri, count)]


def _spread(uri: str, count: int) -> list[Frame]:
    source = source_for(uri)
    info = source.open()
    try:
        if info.live:
            raise UsageError(f"{uri} does not end: judge models by a recorded video")
        kept: list[Frame] = []
        number, step = 0, 1
        while (frame := source.read()) is not None:
            if number % step == 0:
                kept.append(frame)
            if len(kept) > 2 * count:
                kept, step = kept[::2], 2 * step
            number += 1
    finally:
        source.close()
    if len(kept) <= count:
        return kept
    return [kept[place * len(kept) // count] for place in range(count)]


def _held(frame: Frame) -> Frame:
    """The frame with its picture in memory in every size asked for: a detector is judged here, not scaling."""
    width = min(frame.width, _WIDEST)
    height = max(1, round(frame.height * width / frame.width))
    held = frame_of(frame.image(width, height), index=frame.index, time_s=frame.time_s, camera_id=frame.camera_id)
    render = lru_cache(maxsize=8)(held.image)
    return replace(held, render=lambda width, height: render(width, height).copy())
