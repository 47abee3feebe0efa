"""A whole detector: labels and confidence, batches, bad outputs, and real weights against a plain reference."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from camcount.detection.detector import ModelDetector
from camcount.detection.labels import COCO_80, COCO_91, Vocabulary, vocabulary
from camcount.detection.load import detector_for
from camcount.detection.spec import ModelSpec
from camcount.detections import Detections
from camcount.engines.onnx import OnnxEngine
from camcount.errors import ModelLoadFailed, PostprocessingFailed, UsageError
from camcount.frame import Frame
from camcount.protocols import TensorInfo

Array = NDArray[Any]
NAMES = ("person", "car", "truck", "cell phone")
INPUT_SIDE = 100


class RowsEngine:
    """Answers with given rows of left, top, right, bottom, score, class, the same for every picture of a batch."""

    concurrency = 0

    def __init__(self, rows: Sequence[Sequence[float]], batch: int | None = 1) -> None:
        self.inputs: Mapping[str, TensorInfo] = {
            "images": TensorInfo("images", (batch, 3, INPUT_SIDE, INPUT_SIDE), np.dtype(np.float32))
        }
        self.outputs: Mapping[str, TensorInfo] = {
            "y": TensorInfo("y", (batch, len(rows), 6), np.dtype(np.float32)),
        }
        self.batches: list[int] = []
        self.closed = False
        self._rows = np.array(rows, np.float32).reshape(-1, 6)

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        n = len(feeds["images"])
        self.batches.append(n)
        shift = feeds["images"][:, 0, 0, 0].reshape(n, 1, 1) * np.array([1, 0, 1, 0, 0, 0], np.float32)
        return [self._rows[None] + shift]

    def close(self) -> None:
        self.closed = True


def spec(**changes: Any) -> ModelSpec:
    given = {"decoder": "end2end", "labels": NAMES, "width": INPUT_SIDE, "height": INPUT_SIDE}
    return ModelSpec(**{**given, **changes})


def frame(index: int = 0, width: int = 200, height: int = 100) -> Frame:
    """A picture whose every value is its index, which `RowsEngine` adds to left and right."""
    return Frame(
        index=index,
        time_s=0.0,
        width=width,
        height=height,
        render=lambda w, h: np.full((h, w, 3), index, np.uint8),
    )


def picture_frame(picture: Array) -> Frame:
    return Frame(
        index=0,
        time_s=0.0,
        width=picture.shape[1],
        height=picture.shape[0],
        render=lambda w, h: np.asarray(cv2.resize(picture, (w, h)), np.uint8),
    )


THREE = [[10, 10, 20, 30, 0.9, 0], [30, 10, 50, 20, 0.15, 1], [60, 5, 90, 45, 0.5, 3]]


def test_boxes_come_in_pixels_of_the_frame_surest_first() -> None:
    """A frame twice as large as the input gives boxes twice as large, ordered by confidence, with their labels."""
    (found,) = ModelDetector(RowsEngine(THREE), spec()).detect([frame()])
    assert found.xyxy.tolist() == [[20, 20, 40, 60], [120, 10, 180, 90], [60, 20, 100, 40]]
    assert [found.label(row) for row in range(3)] == ["person", "cell phone", "car"]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.5, 0.15])


def test_weak_detections_are_returned_down_to_the_specs_confidence() -> None:
    """The default lets through what a tracker's second stage needs, and the spec can raise it."""
    assert len(ModelDetector(RowsEngine(THREE), spec()).detect([frame()])[0]) == 3
    assert len(ModelDetector(RowsEngine(THREE), spec(confidence=0.3)).detect([frame()])[0]) == 2


def test_frames_share_a_batch_where_the_model_takes_one() -> None:
    """Twenty frames make batches of at most sixteen, and each gets its own boxes, in order."""
    engine = RowsEngine(THREE, batch=None)
    found = ModelDetector(engine, spec()).detect([frame(index) for index in range(20)])
    assert engine.batches == [16, 4]
    assert [each.xyxy[0, 0] for each in found] == [20 + 2 * index for index in range(20)]


def test_fixed_models_run_one_by_one() -> None:
    """A model made for one picture gets one at a time, with the same answers."""
    engine = RowsEngine(THREE)
    found = ModelDetector(engine, spec()).detect([frame(index) for index in range(3)])
    assert engine.batches == [1, 1, 1]
    assert [each.xyxy[0, 0] for each in found] == [20, 22, 24]


def test_no_frames_no_detections() -> None:
    """An empty request is answered without running the model."""
    engine = RowsEngine(THREE)
    assert ModelDetector(engine, spec()).detect([]) == []
    assert engine.batches == []


def test_boxes_outside_or_without_area_are_dropped() -> None:
    """What lies outside the frame or has no area is no object; what reaches outside is cut off."""
    rows = [[10, 10, 10, 30, 0.9, 0], [30, 30, 20, 40, 0.9, 0], [-50, 0, -10, 20, 0.9, 0], [-10, 10, 20, 20, 0.8, 0]]
    (found,) = ModelDetector(RowsEngine(rows), spec()).detect([frame()])
    assert found.xyxy.tolist() == [[0, 20, 40, 40]]


def test_no_more_than_the_limit() -> None:
    """The surest so many come back."""
    rows = [[10, 10, 20, 20, 0.2 + 0.001 * n, 0] for n in range(400)]
    (found,) = ModelDetector(RowsEngine(rows), spec()).detect([frame()])
    assert len(found) == 300
    assert found.confidence[0] == pytest.approx(0.599)


@pytest.mark.parametrize("column", [0, 4])
def test_outputs_that_are_no_numbers_raise(column: int) -> None:
    """A NaN among boxes or scores is an error that says so, never an empty frame."""
    rows = [*THREE, [1.0, 2.0, 3.0, 4.0, 0.5, 0.0]]
    rows[3][column] = float("nan")
    with pytest.raises(PostprocessingFailed, match=r"no numbers \(NaN") as caught:
        ModelDetector(RowsEngine(rows), spec()).detect([frame()])
    assert caught.value.code == "INF_003"


def test_infinite_boxes_raise() -> None:
    """A box at infinity is the model's failure, not an object."""
    with pytest.raises(PostprocessingFailed, match="no numbers"):
        ModelDetector(RowsEngine([[1, 2, float("inf"), 4, 0.9, 0]]), spec()).detect([frame()])


def test_class_number_without_a_name_raises() -> None:
    """A class beyond the list of names is named with both numbers instead of being mislabelled."""
    with pytest.raises(PostprocessingFailed, match="class number 9 and has 4 class names"):
        ModelDetector(RowsEngine([[1, 2, 3, 4, 0.9, 9]]), spec()).detect([frame()])


def test_outputs_that_do_not_suit_the_decoder_raise() -> None:
    """A decoder that cannot read the shapes says which it got."""
    detector = ModelDetector(RowsEngine(THREE), spec(decoder="yolox"))
    with pytest.raises(PostprocessingFailed, match=r"'yolox' cannot use the model's outputs of shape \[1, 3, 6\]"):
        detector.detect([frame()])


def test_engine_without_a_picture_input_is_refused() -> None:
    """An engine that takes no picture is refused when the detector is made."""
    engine = RowsEngine(THREE)
    engine.inputs = {"tokens": TensorInfo("tokens", (1, 128), np.dtype(np.int64))}
    with pytest.raises(ModelLoadFailed, match="tokens"):
        ModelDetector(engine, spec())


def test_closing_closes_the_engine() -> None:
    """The engine belongs to its detector."""
    engine = RowsEngine(THREE)
    ModelDetector(engine, spec()).close()
    assert engine.closed


def words(**wishes: Any) -> Vocabulary:
    return vocabulary(NAMES, **wishes)


def found_labels(**wishes: Any) -> list[str]:
    (found,) = ModelDetector(RowsEngine(THREE), spec(), words(**wishes)).detect([frame()])
    return [found.label(row) for row in range(len(found))]


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({}, ["person", "cell phone", "car"]),
        ({"labels": ["car"]}, ["car"]),
        ({"labels": ["vehicle"]}, ["car"]),
        ({"labels": ["vehicle", "person"]}, ["person", "car"]),
        ({"label_map": {"cell phone": "car"}}, ["person", "car", "car"]),
        ({"label_map": {"cell phone": "car"}, "labels": ["car"]}, ["car", "car"]),
        ({"label_map": {"person": "visitor"}, "labels": ["visitor"]}, ["visitor"]),
        ({"confidence": 0.4}, ["person", "cell phone"]),
        ({"confidence": {"person": 0.95}}, ["cell phone", "car"]),
        ({"confidence": {"vehicle": 0.2, "cell phone": 0.6}}, ["person"]),
        ({"label_map": {"cell phone": "car"}, "confidence": {"car": 0.4}}, ["person", "car"]),
    ],
)
def test_labels_are_kept_renamed_and_thresholded(wishes: dict[str, Any], expected: list[str]) -> None:
    """Keeping, renaming and demanding confidence per label each do what they say, alone and together."""
    assert found_labels(**wishes) == expected


@pytest.mark.parametrize(
    ("wishes", "word"),
    [
        ({"labels": ["perso"]}, "'perso'.*did you mean person"),
        ({"labels": ["Car"]}, "'Car'.*did you mean car"),
        ({"labels": ["zeppelin"]}, "it knows person, car, truck, cell phone"),
        ({"labels": []}, "no label to keep"),
        ({"label_map": {"phone": "car"}}, "'phone'.*cell phone"),
        ({"label_map": {"car": " "}}, "empty name"),
        ({"label_map": {"cell phone": "car"}, "labels": ["cell phone"]}, "'cell phone'"),
        ({"confidence": {"dog": 0.4}}, "'dog'"),
        ({"confidence": 1.2}, r"1\.2"),
        ({"confidence": {"car": 0.0}}, r"0\.0"),
    ],
)
def test_wishes_that_cannot_be_met_are_usage_errors(wishes: dict[str, Any], word: str) -> None:
    """A label that the model lacks is refused with near matches or the choice, a confidence with its value."""
    with pytest.raises(UsageError, match=word):
        words(**wishes)


def test_long_lists_of_labels_are_cut_in_messages() -> None:
    """Eighty classes are not poured into one line."""
    with pytest.raises(UsageError, match="and 68 more"):
        vocabulary(COCO_80, labels=["zzz"])


def test_renaming_two_classes_to_one_makes_them_rivals() -> None:
    """One object seen as two classes that carry one label is one detection."""
    table = np.zeros((1, 8, 21), np.float32)
    table[0, :, 0] = [50, 50, 20, 20, 0, 0, 0, 0.8]
    table[0, :, 1] = [51, 50, 20, 20, 0.6, 0, 0, 0]

    class Table(RowsEngine):
        def run(self, feeds: Mapping[str, Array]) -> list[Array]:
            return [table]

    apart = ModelDetector(Table(THREE), spec(decoder="yolov8"))
    together = ModelDetector(Table(THREE), spec(decoder="yolov8"), words(label_map={"person": "cell phone"}))
    assert len(apart.detect([frame()])[0]) == 2
    assert len(together.detect([frame()])[0]) == 1


ONE_VEHICLE = [[10, 10, 50, 50, 0.6, 1], [10, 11, 50, 51, 0.5, 2]]


@pytest.mark.parametrize(
    ("rows", "changes", "wishes", "expected"),
    [
        (ONE_VEHICLE, {}, {}, ["car"]),
        (ONE_VEHICLE, {"decoder": "end2end"}, {}, ["car"]),
        (ONE_VEHICLE, {"kind_iou": None}, {}, ["car", "truck"]),
        (ONE_VEHICLE, {}, {"label_map": {"truck": "lorry"}}, ["car"]),
        (ONE_VEHICLE, {}, {"labels": ["truck"]}, ["truck"]),
        ([[10, 10, 50, 50, 0.6, 1], [30, 10, 70, 50, 0.5, 2]], {}, {}, ["car", "truck"]),
        ([[10, 10, 50, 50, 0.6, 1], [10, 10, 50, 50, 0.5, 0]], {}, {}, ["car", "person"]),
        ([[10, 10, 50, 50, 0.6, 1], [10, 10, 50, 50, 0.5, 1]], {}, {}, ["car", "car"]),
    ],
    ids=["one", "no NMS", "off", "renamed", "only one wanted", "side by side", "driver", "the model's own"],
)
def test_one_vehicle_under_two_labels_is_one_detection(
    rows: list[list[float]], changes: dict[str, Any], wishes: dict[str, Any], expected: list[str]
) -> None:
    """A car that is also seen as a truck comes back once, by its surer label; nothing else is merged."""
    detector = ModelDetector(RowsEngine(rows), spec(**changes), words(**wishes))
    (found,) = detector.detect([frame()])
    assert [found.label(row) for row in range(len(found))] == expected


def test_coco_lists_agree() -> None:
    """The list under the data set's own numbers holds the same names in the same order, with known gaps."""
    assert tuple(name for name in COCO_91 if not name.startswith("class ")) == COCO_80
    assert (COCO_91[1], COCO_91[3], COCO_91[90]) == ("person", "car", "toothbrush")


# What follows reads real weights the slow and plain way.


def sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


Rows = list[tuple[list[float], float, int]]
"""Box in pixels of the input, score, class."""


def plain_yolox(outputs: Sequence[Array], side: int) -> Rows:
    found: Rows = []
    row = 0
    for stride in (8, 16, 32):
        for y in range(side // stride):
            for x in range(side // stride):
                values = outputs[0][0, row]
                row += 1
                if values[4] < 0.001:
                    continue
                label = int(np.argmax(values[5:]))
                cx, cy = (values[0] + x) * stride, (values[1] + y) * stride
                w, h = np.exp(values[2]) * stride, np.exp(values[3]) * stride
                box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
                found.append((box, float(values[4] * values[5 + label]), label))
    return found


def plain_distribution(outputs: Sequence[Array], side: int, shift: Callable[[int, int], float]) -> Rows:
    found: Rows = []
    half = len(outputs) // 2
    for level in range(half):
        columns = round(len(outputs[level][0]) ** 0.5)
        stride = (8, 16, 32, 64)[level]
        for row, scores in enumerate(outputs[level][0]):
            label = int(np.argmax(scores))
            if scores[label] < 0.001:
                continue
            reach = []
            for logits in outputs[half + level][0, row].reshape(4, 8):
                weights = np.exp(logits) / np.exp(logits).sum()
                reach.append(float(sum(weights[n] * n for n in range(8))) * stride)
            x, y = shift(row % columns, stride), shift(row // columns, stride)
            found.append(([x - reach[0], y - reach[1], x + reach[2], y + reach[3]], float(scores[label]), label))
    return found


def plain_fastestdet(outputs: Sequence[Array], side: int) -> Rows:
    found: Rows = []
    for y in range(22):
        for x in range(22):
            values = outputs[0][0, :, y, x]
            label = int(np.argmax(values[5:]))
            cx, cy = (x + np.tanh(values[1])) / 22 * side, (y + np.tanh(values[2])) / 22 * side
            w, h = sigmoid(values[3]) * side, sigmoid(values[4]) * side
            score = float(values[0] ** 0.6 * values[5 + label] ** 0.4)
            found.append(([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], score, label))
    return found


def letterboxed(picture: Array, side: int, centred: bool) -> tuple[Array, float, int, int]:
    scale = side / max(picture.shape[:2])
    small = cv2.resize(picture, (int(picture.shape[1] * scale + 0.5), int(picture.shape[0] * scale + 0.5)))
    top, left = ((side - small.shape[0]) // 2, (side - small.shape[1]) // 2) if centred else (0, 0)
    canvas = np.full((side, side, 3), 114, np.float32)
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas, scale, left, top


def chw(picture: Array) -> Array:
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)


def plain_run(name: str, engine: OnnxEngine, picture: Array) -> Rows:
    """Picture to boxes in its own pixels, by the table of the weights' own description."""
    side = next(iter(engine.inputs.values())).shape[-1] or 0
    key = next(iter(engine.inputs))
    left = top = 0
    stretch_x, stretch_y = picture.shape[1] / side, picture.shape[0] / side
    small = np.asarray(cv2.resize(picture, (side, side)), np.float32)
    if name.startswith("picodet"):
        rgb = (small[:, :, ::-1] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        rows = plain_distribution(engine.run({key: chw(rgb)}), side, lambda n, stride: (n + 0.5) * stride)
    elif name == "FastestDet":
        rows = plain_fastestdet(engine.run({key: chw(small / 255)}), side)
    else:
        canvas, scale, left, top = letterboxed(picture, side, centred=name.startswith("nanodet"))
        stretch_x = stretch_y = 1 / scale
        if name.startswith("nanodet"):
            normal = (canvas - [103.53, 116.28, 123.675]) / [57.375, 57.12, 58.395]
            outputs = engine.run({key: chw(normal)})
            rows = plain_distribution(outputs, side, lambda n, stride: n * stride + 0.5 * (stride - 1))
        else:
            rows = plain_yolox(engine.run({key: chw(canvas)}), side)
    return [
        (
            [
                (b[0] - left) * stretch_x,
                (b[1] - top) * stretch_y,
                (b[2] - left) * stretch_x,
                (b[3] - top) * stretch_y,
            ],
            score,
            label,
        )
        for b, score, label in rows
        if score >= 0.001
    ]


def suppressed(rows: Rows) -> Detections:
    """OpenCV's NMS per class."""
    boxes = np.array([box for box, _, _ in rows], np.float64).reshape(-1, 4)
    scores = np.array([score for _, score, _ in rows])
    labels = np.array([label for _, _, label in rows])
    sizes = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    kept = np.array(cv2.dnn.NMSBoxesBatched(sizes.tolist(), scores.tolist(), labels.tolist(), 0.001, 0.5), int)[:300]
    return Detections(boxes[kept], scores[kept], labels[kept], COCO_80)


def coco_truth(folder: Path, stems: Sequence[str], pictures: Sequence[Array]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for image, (stem, picture) in enumerate(zip(stems, pictures, strict=True)):
        height, width = picture.shape[:2]
        path = folder / "labels" / f"{stem}.txt"
        for line in path.read_text().splitlines() if path.exists() else []:
            label, x, y, w, h = (float(word) for word in line.split())
            box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": image,
                    "category_id": int(label),
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    return rows


def mean_average_precision(found: Sequence[Detections], truth: list[dict[str, Any]], classes: int) -> float:
    """COCO's mAP over overlaps .5 to .95, by its own library."""
    rows = [
        [image, box[0], box[1], box[2] - box[0], box[3] - box[1], score, label]
        for image, each in enumerate(found)
        for box, score, label in zip(each.xyxy, each.confidence, each.class_id, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(len(found))],
            "annotations": truth,
            "categories": [{"id": number} for number in range(classes)],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(np.array(rows)), "bbox")
        evaluation.params.catIds = list(range(classes))
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


@pytest.fixture(scope="module")
def photos(data: Path) -> tuple[list[Array], list[dict[str, Any]]]:
    """Every fifth picture of coco128 with its truth."""
    folder = data / "images" / "coco128"
    paths = sorted((folder / "images").glob("*.jpg"))[::5]
    pictures: list[Array] = [np.asarray(cv2.imread(str(path))) for path in paths]
    return pictures, coco_truth(folder, [path.stem for path in paths], pictures)


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("yolox_nano_416x416", 0.30),
        ("picodet_s_416_coco", 0.35),
        ("picodet_s_320_coco", 0.32),
        ("nanodet_m_320", 0.25),
        ("FastestDet", 0.17),
        ("light_person_detector", 0.18),
    ],
)
def test_real_weights_are_as_precise_as_a_plain_reference_decode(
    data: Path, photos: tuple[list[Array], list[dict[str, Any]]], name: str, least: float
) -> None:
    """On pictures of COCO each model's mAP is that of loops written from its description, and good in itself."""
    pictures, truth = photos
    path = str(data / "weights" / f"{name}.onnx")
    detector = detector_for(path, confidence=0.001, nms_iou=0.5)
    engine = OnnxEngine(path)
    ours = [detector.detect([picture_frame(picture)])[0] for picture in pictures]
    plain = [suppressed(plain_run(name, engine, picture)) for picture in pictures]
    classes = len(detector.labels)
    reached = mean_average_precision(ours, truth, classes)
    assert reached == pytest.approx(mean_average_precision(plain, truth, classes), abs=0.02)
    assert reached >= least


@pytest.mark.parametrize(
    ("photo", "label", "models"),
    [
        ("people1.jpeg", "person", ["yolox_nano_416x416", "picodet_s_416_coco", "nanodet_m_320", "FastestDet"]),
        ("people1.jpeg", "person", ["light_person_detector"]),
        ("road1.jpg", "car", ["yolox_nano_416x416", "picodet_s_416_coco", "nanodet_m_320", "FastestDet"]),
    ],
)
def test_photos_give_what_one_sees(data: Path, photo: str, label: str, models: list[str]) -> None:
    """In the group photo of ten each model finds seven or more people, on the road ten or more cars."""
    picture = np.asarray(cv2.imread(str(data / "images" / "photos" / photo)))
    for name in models:
        detector = detector_for(str(data / "weights" / f"{name}.onnx"), labels=[label], confidence=0.35)
        (found,) = detector.detect([picture_frame(picture)])
        assert len(found) >= (7 if label == "person" else 10), name
