"""Detections against labelled pictures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from camcount.detections import Detections
from camcount.errors import SourceError, SourceNotFound, UsageError
from camcount.evaluation.detection import evaluate_detection
from camcount.evaluation.pictures import labelled_pictures
from camcount.frame import Frame

pytest.importorskip("pycocotools")


class Told:
    """A detector that gives what it was told to, picture by picture."""

    concurrency = 1

    def __init__(self, labels: Sequence[str], answers: Callable[[int], list[tuple[float, ...]]]) -> None:
        self.labels = tuple(labels)
        self._answers = answers
        self._next = 0

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Rows of ``left, top, right, bottom, confidence, class``."""
        rows = np.array(self._answers(self._next), np.float64).reshape(-1, 6)
        self._next += 1
        xyxy, confidence = rows[:, :4].astype(np.float32), rows[:, 4].astype(np.float32)
        return [Detections(xyxy, confidence, rows[:, 5].astype(np.int32), self.labels)]

    def close(self) -> None:
        """Nothing is held."""


def _pictures(folder: Path, labels: Sequence[str], size: tuple[int, int] = (100, 200)) -> tuple[Path, Path]:
    """Grey pictures 0.png, 1.png, … with YOLO labels; names are person and car."""
    images, truth = folder / "images", folder / "labels"
    images.mkdir()
    truth.mkdir()
    (folder / "data.yaml").write_text("names: [person, car]\n")
    for number, text in enumerate(labels):
        cv2.imwrite(str(images / f"{number}.png"), np.full((*size, 3), 128, np.uint8))
        (truth / f"{number}.txt").write_text(text)
    return images, truth


def test_hand_computed_average_precision(tmp_path: Path) -> None:
    """Two people, one found exactly, then one false box: precision 1 up to half the recall, then nothing.

    COCO reads precision at recalls 0, 0.01, … 1: 51 of 101 are 1. The car is found at IoU 0.7 (140 of 200 rows of
    pixels): right at 0.50 to 0.70, wrong above: 5 of 10 thresholds.
    """
    images, truth = _pictures(tmp_path, ["0 0.25 0.5 0.5 1\n0 0.75 0.5 0.5 1\n", "1 0.5 0.5 1 1\n"])
    found = [[(0, 0, 100, 100, 0.9, 0), (40, 0, 60, 20, 0.5, 0)], [(0, 0, 140, 100, 0.8, 1)]]
    score = evaluate_detection(Told(["person", "car"], lambda i: [*found[i]]), images, truth)
    assert score.by_label == pytest.approx({"person": 51 / 101, "car": 0.5})
    assert score.map == pytest.approx((51 / 101 + 0.5) / 2)
    assert score.map50 == pytest.approx((51 / 101 + 1) / 2)
    assert (score.images, score.objects) == (2, 3)
    assert score.as_dict()["by_label"]["car"] == pytest.approx(0.5)


def test_labels_meet_by_name_not_by_number(tmp_path: Path) -> None:
    """A detector with another order of classes scores the same, and its other labels are left out."""
    images, truth = _pictures(tmp_path, ["1 0.5 0.5 1 1\n"])
    boxes = [(0, 0, 200, 100, 0.9, 2), (0, 0, 200, 100, 0.95, 0)]
    score = evaluate_detection(Told(["dog", "person", "car"], lambda i: [*boxes]), images, truth)
    assert score.by_label == pytest.approx({"car": 1.0})


def test_a_picture_without_objects_makes_false_boxes_count(tmp_path: Path) -> None:
    """A more confident box on an empty picture halves the precision."""
    images, truth = _pictures(tmp_path, ["0 0.5 0.5 1 1\n", ""])
    found = [[(0, 0, 200, 100, 0.5, 0)], [(0, 0, 50, 50, 0.9, 0)]]
    score = evaluate_detection(Told(["person"], lambda i: [*found[i]]), images, truth)
    assert score.map == pytest.approx(0.5)


def test_nothing_found_scores_zero(tmp_path: Path) -> None:
    """No boxes at all is no crash."""
    images, truth = _pictures(tmp_path, ["0 0.5 0.5 1 1\n"])
    assert evaluate_detection(Told(["person"], lambda i: []), images, truth).map == 0.0


def test_coco_files_give_the_same_as_yolo_folders(tmp_path: Path) -> None:
    """The same two objects, written the other way; a crowd is neither right nor wrong."""
    images, truth = _pictures(tmp_path, ["0 0.25 0.5 0.5 1\n1 0.75 0.5 0.5 1\n"])
    content = {
        "images": [{"id": 7, "file_name": "sub/0.png"}, {"id": 8, "file_name": "not_here.png"}],
        "categories": [{"id": 3, "name": "person"}, {"id": 9, "name": "car"}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "bbox": [0, 0, 100, 100]},
            {"image_id": 7, "category_id": 9, "bbox": [100, 0, 100, 100]},
            {"image_id": 7, "category_id": 3, "bbox": [150, 50, 50, 50], "iscrowd": 1},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    (picture,) = labelled_pictures(images, tmp_path / "coco.json")
    (same,) = labelled_pictures(images, truth)
    assert picture.boxes[:2].tolist() == same.boxes.tolist() == [[0, 0, 100, 100], [100, 0, 200, 100]]
    assert picture.labels[:2] == same.labels == ("person", "car")
    crowded = [(150, 50, 200, 100, 0.99, 0), (151, 50, 200, 100, 0.98, 0)]
    boxes = [*crowded, (0, 0, 100, 100, 0.9, 0), (100, 0, 200, 100, 0.9, 1)]
    score = evaluate_detection(Told(["person", "car"], lambda i: [*boxes]), images, tmp_path / "coco.json")
    assert score.map == pytest.approx(1.0)
    assert (score.images, score.objects) == (1, 2)


def test_class_numbers_without_names_are_the_detectors_own(tmp_path: Path) -> None:
    """Without a YAML file number 1 is the detector's second label; `classes.txt` goes before."""
    images, truth = _pictures(tmp_path, ["1 0.5 0.5 1 1\n"])
    (tmp_path / "data.yaml").unlink()
    (picture,) = labelled_pictures(images, truth, ("bus", "tram"))
    assert picture.labels == ("tram",)
    (truth / "classes.txt").write_text("cat\ncow\n")
    (picture,) = labelled_pictures(images, truth, ("bus", "tram"))
    assert picture.labels == ("cow",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0 0.5 0.5 1", "row 1 is not 'class x y width height'"),
        ("0 0.5 nan 1 1", "row 1 is not"),
        ("\nperson 0.5 0.5 1 1", "row 2 is not"),
        ("9 0.5 0.5 1 1", "has class 9, which has no name"),
        ("", "no picture has a labelled object"),
    ],
)
def test_bad_labels_are_named(tmp_path: Path, text: str, says: str) -> None:
    """File, row, remedy."""
    images, truth = _pictures(tmp_path, [text])
    with pytest.raises(SourceError, match=says):
        evaluate_detection(Told(["person"], lambda i: []), images, truth)


def test_bad_folders_and_files_are_named(tmp_path: Path) -> None:
    """What is not there, what holds nothing, what is no COCO file."""
    images, truth = _pictures(tmp_path, ["0 0.5 0.5 1 1\n"])
    told = Told(["person"], lambda i: [])
    with pytest.raises(SourceNotFound, match="is not there"):
        evaluate_detection(told, tmp_path / "nowhere", truth)
    with pytest.raises(SourceError, match="holds no pictures"):
        evaluate_detection(told, truth, truth)
    (tmp_path / "coco.json").write_text('{"images": []}')
    with pytest.raises(SourceError, match="no COCO file"):
        evaluate_detection(told, images, tmp_path / "coco.json")
    with pytest.raises(UsageError, match="--label-map"):
        evaluate_detection(Told(["bus"], lambda i: []), images, truth)


def test_without_pycocotools_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line instead of an ImportError."""
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    images, truth = _pictures(tmp_path, ["0 0.5 0.5 1 1\n"])
    with pytest.raises(UsageError, match=r"camcount\[evaluation\]"):
        evaluate_detection(Told(["person"], lambda i: []), images, truth)


def test_the_labels_of_real_pictures_score_one(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """coco128, its own boxes given as found: every label at 1, nothing printed."""
    folder = data / "images" / "coco128"
    pictures = list(labelled_pictures(folder / "images", folder / "labels"))
    names = sorted({label for picture in pictures for label in picture.labels})

    def own(index: int) -> list[tuple[float, ...]]:
        picture = pictures[index]
        # fewer than a hundred boxes a picture and label is what COCO looks at
        return [
            (*box, 0.9, names.index(label)) for box, label in zip(picture.boxes.tolist(), picture.labels, strict=True)
        ]

    score = evaluate_detection(Told(names, own), folder / "images", folder / "labels")
    assert (score.images, score.objects) == (128, 929)
    assert score.by_label["person"] == pytest.approx(1.0)
    assert score.map > 0.99
    assert capsys.readouterr().out == ""
