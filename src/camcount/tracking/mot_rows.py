"""The rows of MOTChallenge text files.

One row a box: ``frame,id,left,top,width,height,score,…``, frames from 1, pixels (Dendorfer et al. 2021,
"MOTChallenge: A Benchmark for Single-Camera Multiple Target Tracking").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camcount.errors import SourceError, SourceNotFound

_FORM = "frame,id,left,top,width,height,score"
_LARGEST = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of one file, in the file's order.

    Attributes:
        frame: ``int64 (N,)`` from 1.
        track_id: ``int64 (N,)``, -1 where there is none.
        ltwh: ``float64 (N, 4)``, left, top, width, height in pixels.
        score: ``float64 (N,)`` as written, -1 where the column is missing; in ground truth 0 means "leave out".
        category: ``int64 (N,)``, the class column of nine-column ground truth (MOT16 and later: 1 is a
            pedestrian), else 1.
        classed: whether the file has that column.
    """

    frame: NDArray[np.int64]
    track_id: NDArray[np.int64]
    ltwh: NDArray[np.float64]
    score: NDArray[np.float64]
    category: NDArray[np.int64]
    classed: bool

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def xyxy(self) -> NDArray[np.float64]:
        """``(N, 4)``, left, top, right, bottom in pixels."""
        return np.concatenate([self.ltwh[:, :2], self.ltwh[:, :2] + self.ltwh[:, 2:]], axis=1)

    def select(self, rows: NDArray[Any]) -> Rows:
        """The rows that a mask or an index array names."""
        return replace(
            self,
            frame=self.frame[rows],
            track_id=self.track_id[rows],
            ltwh=self.ltwh[rows],
            score=self.score[rows],
            category=self.category[rows],
        )

    def by_frame(self) -> Iterator[tuple[int, Rows]]:
        """``(frame number, its rows)``, frames rising, rows in the file's order."""
        order = np.argsort(self.frame, kind="stable")
        numbers, starts = np.unique(self.frame[order], return_index=True)
        for number, rows in zip(numbers, np.split(order, starts[1:]), strict=False):
            yield int(number), self.select(rows)


def read_rows(path: Path) -> Rows:
    """Reads a detections, tracks or ground-truth file; blank lines are passed over.

    Raises:
        SourceNotFound: there is no such file.
        SourceError: it cannot be read or a row is not of the format; the message names file and row.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SourceNotFound(f"{path} is not there: check the spelling, or give the full path") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path} is no text file: it needs rows of {_FORM}") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from None
    parsed = [_row(path, n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    classed = bool(parsed) and all(columns == 9 for _, columns in parsed)
    table = np.array([values for values, _ in parsed], np.float64).reshape(-1, 8)
    category = table[:, 7].astype(np.int64) if classed else np.ones(len(table), np.int64)
    return Rows(
        table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:6], table[:, 6], category, classed
    )


def last_frame(path: Path) -> int:
    """The highest frame number in a file, which is how many frames there are as far as it knows.

    Raises:
        SourceError: as `read_rows`, or there is no row.
    """
    rows = read_rows(path)
    if not len(rows):
        raise SourceError(f"{path} holds no rows: it needs one box a line, {_FORM}")
    return int(rows.frame.max())


def tracked_rows(path: Path) -> Rows:
    """The rows of a tracks or ground-truth file.

    Raises:
        SourceError: as `read_tracks`.
    """
    rows = read_rows(path)
    if (rows.track_id < 0).any():
        raise SourceError(f"{path} has rows without a track id: they are detections, give them as --detections")
    keys, counts = np.unique(np.stack([rows.frame, rows.track_id], axis=1), axis=0, return_counts=True)
    if (counts > 1).any():
        frame, track_id = keys[counts > 1][0]
        raise SourceError(f"{path} has track {track_id} twice in frame {frame}: an id is one object")
    return rows


def confidences(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of any detector to 0..1, one rule for the whole file.

    A missing score (-1) is 1. Where all others lie in 0..1 they stay. Where none is negative they are
    hundredths if the highest is in 10..100, else shares of the highest. Negative ones are the margins of a
    classifier, which the logistic function maps.

    >>> confidences(np.array([50.0, 25.0, -1.0]))
    array([0.5 , 0.25, 1.  ])
    """
    missing = score == -1
    given = score[~missing]
    if given.size and given.min() < 0:
        given = 1 / (1 + np.exp(-np.clip(given, -50, 50)))
    elif given.size and given.max() > 1:
        top = given.max()
        given = given / (100 if 10 < top <= 100 else top)
    result = np.ones_like(score)
    result[~missing] = given
    return result


def _row(path: Path, number: int, line: str) -> tuple[tuple[float, ...], int]:
    """Frame, id, box, score and class of one line, and how many columns it has."""
    cells = line.split(",")
    where = f"{path}, row {number}"
    if len(cells) < 6:
        raise SourceError(f"{where} has {len(cells)} columns and needs at least 6, separated by commas: {_FORM}")
    try:
        values = [float(cell) for cell in cells[:8]]
    except ValueError:
        wrong = next(cell for cell in cells if not _is_number(cell))
        raise SourceError(f"{where} has {wrong.strip()!r} where a number belongs: {_FORM}") from None
    if not all(abs(value) < _LARGEST for value in values):
        raise SourceError(f"{where} has a value that is not finite or beyond a thousand million: {_FORM}")
    if values[0] < 1 or values[0] % 1 or values[1] % 1:
        raise SourceError(
            f"{where}: the frame is {cells[0].strip()} and the id {cells[1].strip()}: whole numbers, frames from 1"
        )
    score = values[6] if len(cells) > 6 else -1.0
    return (*values[:6], score, values[7] if len(cells) == 9 else 1.0), len(cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
