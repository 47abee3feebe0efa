"""Frames, detections, tracks and events as values."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from camcount.detections import Detections, Tracks
from camcount.events import Crossing, ZoneLeft
from camcount.frame import Frame, Image


def crossing(**changes: object) -> Crossing:
    """A crossing with some fields changed."""
    fields: dict[str, object] = {
        "camera_id": "door",
        "time_s": 1.25,
        "time": datetime(2026, 5, 4, 8, tzinfo=UTC),
        "track_id": 7,
        "label": "person",
        "confidence": 0.8,
        "reason": "path crossed the line",
        "point": (10.0, 20.0),
        "line": "gate",
        "direction": "in",
    }
    return Crossing(**(fields | changes))  # type: ignore[arg-type]


def test_the_same_event_has_the_same_id_however_well_it_is_explained() -> None:
    """Stored twice it counts once: confidence and reason do not make another event."""
    assert crossing().event_id == crossing(confidence=0.5, reason="after a gap").event_id


@pytest.mark.parametrize("change", [{"line": "exit"}, {"direction": "out"}, {"track_id": 8}, {"time_s": 1.3}])
def test_another_line_direction_track_or_time_is_another_event(change: dict[str, object]) -> None:
    """What makes a crossing that crossing."""
    assert crossing().event_id != crossing(**change).event_id


def test_an_event_as_a_mapping_starts_with_what_identifies_it() -> None:
    """The order and the forms that files rely on."""
    row = crossing().as_dict()
    assert list(row)[:3] == ["event_id", "type", "camera_id"]
    assert (row["type"], row["time"], row["direction"]) == ("crossing", "2026-05-04T08:00:00+00:00", "in")


def test_dwell_is_a_refinement_and_not_an_identity() -> None:
    """A zone left after a longer look is the same visit."""
    base = {
        "camera_id": "c",
        "time_s": 2.0,
        "track_id": 1,
        "label": "person",
        "confidence": 1.0,
        "reason": "r",
        "point": (0.0, 0.0),
        "zone": "hall",
    }
    assert ZoneLeft(**base, dwell_s=1.0).event_id == ZoneLeft(**base, dwell_s=2.0).event_id  # type: ignore[arg-type]


def test_detections_refuse_a_box_that_is_not_a_number() -> None:
    """A NaN box would poison every track it touches."""
    with pytest.raises(ValueError, match="finite"):
        Detections(np.array([[0, 0, np.nan, 1]]), np.array([0.5]), np.array([0]))


def test_detections_refuse_columns_of_different_length() -> None:
    """Two boxes and one confidence do not belong together."""
    with pytest.raises(ValueError, match="shape"):
        Detections(np.zeros((2, 4)), np.array([0.5]), np.array([0]))  # type: ignore[arg-type]


def test_values_cannot_be_changed_behind_the_readers_back() -> None:
    """Arrays inside a frozen value are read-only."""
    found = Detections.empty(["person"])
    assert len(found) == 0
    with pytest.raises(ValueError, match="read-only"):
        Tracks.empty().xyxy[:] = 1


def test_a_selection_keeps_the_rows_in_the_order_asked() -> None:
    """By index array and by mask."""
    found = Detections(np.arange(12).reshape(3, 4), np.array([0.1, 0.2, 0.3]), np.array([0, 1, 2]), ("a", "b"))  # type: ignore[arg-type]
    assert [found.select(np.array([2, 0])).label(i) for i in range(2)] == ["2", "a"]
    assert found.select(found.confidence > 0.15).confidence.tolist() == pytest.approx([0.2, 0.3])


def test_a_frame_renders_at_the_size_asked_and_full_size_by_default() -> None:
    """The picture is made once, at the size that is needed."""

    def render(width: int, height: int) -> Image:
        return np.zeros((height, width, 3), np.uint8)

    frame = Frame(index=0, time_s=0.0, width=64, height=48, render=render)
    assert frame.image().shape == (48, 64, 3)
    assert frame.image(32, 24).shape == (24, 32, 3)


def test_a_frame_without_a_picture_says_why() -> None:
    """Given detections come without pictures."""
    with pytest.raises(ValueError, match="no picture"):
        Frame(index=3, time_s=0.0, width=64, height=48).image()
