"""When two detectors say the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from camcount.detections import Detections
from camcount.errors import UsageError
from camcount.frame import Frame
from camcount.models.agreement import agreement, overlaps, times_as_fast
from camcount.video.pictures import frame_of

LABELS = ("person", "car")


def found(*rows: tuple[float, float, float, float, float, int], labels: tuple[str, ...] = LABELS) -> Detections:
    """Detections from rows of box, confidence and class."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int32), labels)


ONE = (0, 0, 10, 20, 0.9, 0)


def test_the_same_answers_agree() -> None:
    """Both shares are 1, and the boxes are counted."""
    said = found(ONE, (30, 30, 50, 60, 0.5, 1))
    same = agreement([said], [said], LABELS)
    assert (same.recall, same.precision, same.plain_sure, same.other_sure) == (1, 1, 2, 2)


@pytest.mark.parametrize(
    ("other", "recall", "precision"),
    [
        ([ONE, (100, 100, 120, 140, 0.8, 0)], 1, 0.5),
        ([], 0, 1),
        ([(0, 0, 10, 20, 0.21, 0)], 1, 1),
        ([(0, 0, 10, 20, 0.19, 0)], 0, 1),
        ([(0, 0, 10, 20, 0.9, 1)], 0, 0),
        ([(0, 0, 10, 11, 0.9, 0)], 1, 1),
        ([(0, 0, 10, 9, 0.9, 0)], 0, 0),
    ],
)
def test_what_counts_as_found_again(other: list[tuple[float, ...]], recall: float, precision: float) -> None:
    """An extra box, a missing one, a weak one, a too weak one, another label, just enough overlap, too little."""
    result = agreement([found(ONE)], [found(*other)], LABELS)  # type: ignore[arg-type]
    assert (result.recall, result.precision) == (recall, precision)


def test_labels_are_compared_by_name() -> None:
    """A model with fewer classes has other class numbers and says the same."""
    sliced = found((0, 0, 10, 20, 0.9, 0), labels=("car",))
    assert agreement([found((0, 0, 10, 20, 0.9, 1))], [sliced], ["car"]).recall == 1


def test_other_labels_do_not_count() -> None:
    """What was cut out on purpose is no loss."""
    result = agreement([found(ONE, (30, 30, 50, 60, 0.9, 1))], [found(ONE)], ["person"])
    assert (result.recall, result.plain_sure) == (1, 1)


def test_shares_are_over_all_pictures() -> None:
    """Three of four, not the mean over pictures."""
    far = (50, 50, 60, 70, 0.9, 0)
    third = (80, 80, 99, 99, 0.9, 0)
    result = agreement([found(ONE, far, third), found(ONE)], [found(ONE, far, third), found()], LABELS)
    assert result.recall == 0.75
    assert str(result) == "recall 0.7500 of 4 boxes, precision 1.0000 of 3, over 2 pictures"


def test_overlaps_of_no_boxes_are_an_empty_table() -> None:
    """Nothing found is an answer too."""
    assert overlaps(np.empty((0, 4), np.float32), np.ones((3, 4), np.float32)).shape == (0, 3)


class Busy:
    """A detector that takes its time, in processor time."""

    def __init__(self, work: int) -> None:
        self.labels: tuple[str, ...] = LABELS
        self.concurrency = 1
        self.work = work

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        for _ in range(self.work):
            np.sort(np.arange(20_000)[::-1])
        return [found() for _ in frames]

    def close(self) -> None:
        return


def test_twice_the_work_is_half_as_fast() -> None:
    """Within what a busy machine allows."""
    frames = [frame_of(np.zeros((4, 4, 3), np.uint8))] * 10
    assert 1.4 < times_as_fast(Busy(200), Busy(100), frames) < 2.8


def test_speed_without_pictures_cannot_be_measured() -> None:
    """It is said what is missing."""
    with pytest.raises(UsageError, match="--video"):
        times_as_fast(Busy(1), Busy(1), [])
