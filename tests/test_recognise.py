"""Models without a manifest: what is recognised, what is asked back, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from camcount.detection.grids import cell_count
from camcount.detection.labels import COCO_80, COCO_91
from camcount.detection.load import detector_for
from camcount.detection.recognise import recognise
from camcount.detection.spec import ModelSpec
from camcount.errors import ModelError, ModelLoadFailed, UsageError
from camcount.protocols import TensorInfo

Array = NDArray[Any]
Shape = tuple[int | None, ...]
CELLS = cell_count(640, 640, (8, 16, 32))
RANDOM = np.random.default_rng(0)


class FixedAnswers:
    """An engine that gives the same arrays whatever it is fed."""

    concurrency = 0

    def __init__(
        self, outputs: Mapping[str, Array], inputs: Mapping[str, Shape] | None = None, dtype: type = np.float32
    ) -> None:
        given = inputs or {"images": (1, 3, 640, 640)}
        self.inputs: Mapping[str, TensorInfo] = {
            name: TensorInfo(name, shape, np.dtype(dtype)) for name, shape in given.items()
        }
        self.outputs: Mapping[str, TensorInfo] = {
            name: TensorInfo(name, array.shape, array.dtype) for name, array in outputs.items()
        }
        self.fed: Mapping[str, Array] = {}
        self._answers = list(outputs.values())

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        self.fed = dict(feeds)
        return self._answers

    def close(self) -> None:
        pass


class OnlySquare(FixedAnswers):
    """An engine that fails on any picture but 320x320."""

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        if next(iter(feeds.values())).shape[-1] != 320:
            raise ModelError("shapes do not match")
        return super().run(feeds)


def probabilities(*shape: int) -> Array:
    return RANDOM.random(shape, np.float32) * np.float32(0.3)


def pixels(*shape: int) -> Array:
    return RANDOM.random(shape, np.float32) * np.float32(600)


def ordered(unit: float, *shape: int) -> Array:
    """Boxes as left, top, right, bottom."""
    first = RANDOM.random((*shape, 2), np.float32) * np.float32(unit / 2)
    return np.concatenate([first, first * np.float32(1.5)], axis=-1)


def table(boxes: Array, *more: Array) -> Array:
    return np.concatenate([boxes, *more], axis=-1)


def maps(side: int, strides: tuple[int, ...]) -> dict[str, Array]:
    counts = [cell_count(side, side, (stride,)) for stride in strides]
    scores = {f"cls{n}": probabilities(1, n, 80) for n in counts}
    return scores | {f"dis{n}": RANDOM.normal(0, 1, (1, n, 32)).astype(np.float32) for n in counts}


LOGITS = RANDOM.normal(-5, 1, (1, 300, 91)).astype(np.float32)
NOTHING = RANDOM.normal(0, 1, (1, 100, 92)).astype(np.float32)
NOTHING[..., -1] = 9
QUERIES = RANDOM.random((1, 300, 4), np.float32)
FAMILIES: dict[str, tuple[str, FixedAnswers, dict[str, Any]]] = {
    "YOLOX": (
        "yolox",
        FixedAnswers({"output": table(RANDOM.normal(0, 1, (1, CELLS, 4)), probabilities(1, CELLS, 81))}),
        {"labels": COCO_80, "fit": "letterbox", "colour": "bgr", "scale": 1.0},
    ),
    "YOLOX decoded inside": (
        "yolov5",
        FixedAnswers({"output": table(pixels(1, CELLS, 4), probabilities(1, CELLS, 81))}),
        {"labels": COCO_80},
    ),
    "YOLOv5": (
        "yolov5",
        FixedAnswers({"output0": table(pixels(1, 3 * CELLS, 4), probabilities(1, 3 * CELLS, 81))}),
        {"labels": COCO_80, "fit": "letterbox-centred", "colour": "rgb", "scale": 1 / 255},
    ),
    "YOLOv8": (
        "yolov8",
        FixedAnswers({"output0": table(pixels(1, CELLS, 4), probabilities(1, CELLS, 80)).transpose(0, 2, 1)}),
        {"labels": COCO_80, "fit": "letterbox-centred", "colour": "rgb"},
    ),
    "YOLOv8 turned": (
        "yolov8",
        FixedAnswers({"output0": table(pixels(1, CELLS, 4), probabilities(1, CELLS, 80))}),
        {"labels": COCO_80},
    ),
    "YOLOv8 of one class": (
        "yolov8",
        FixedAnswers({"output0": table(pixels(1, CELLS, 4), probabilities(1, CELLS, 1)).transpose(0, 2, 1)}),
        {"labels": ("person",)},
    ),
    "YOLOv10": (
        "end2end",
        FixedAnswers({"output0": table(ordered(600, 1, 300), probabilities(1, 300, 1), np.zeros((1, 300, 1)))}),
        {"labels": COCO_80, "nms_iou": None},
    ),
    "YOLOv7 with NMS": ("end2end", FixedAnswers({"output": np.zeros((0, 7), np.float32)}), {"nms_iou": None}),
    "Paddle with NMS": (
        "end2end",
        FixedAnswers(
            {"boxes": np.zeros((5, 6), np.float32), "count": np.array([5])},
            {"image": (1, 3, 640, 640), "scale_factor": (1, 2)},
        ),
        {"fit": "stretch"},
    ),
    "NanoDet": ("nanodet", FixedAnswers(maps(640, (8, 16, 32))), {"fit": "letterbox-centred", "colour": "bgr"}),
    "PicoDet": ("picodet", FixedAnswers(maps(640, (8, 16, 32, 64))), {"fit": "stretch", "colour": "rgb"}),
    "NanoDet-Plus": (
        "nanodet-plus",
        FixedAnswers({"output": probabilities(1, cell_count(640, 640, (8, 16, 32, 64)), 112)}),
        {"labels": COCO_80},
    ),
    "FastestDet": ("fastestdet", FixedAnswers({"758": probabilities(1, 85, 40, 40)}), {"fit": "stretch"}),
    "TensorFlow": (
        "ssd",
        FixedAnswers(
            {
                "detection_boxes:0": ordered(1, 1, 100),
                "detection_classes:0": np.ones((1, 100), np.float32),
                "detection_scores:0": probabilities(1, 100),
                "num_detections:0": np.array([100], np.float32),
            },
            {"image_tensor:0": (1, None, None, 3)},
            np.uint8,
        ),
        {"labels": COCO_91, "fit": "inside", "layout": "nhwc", "scale": 1.0},
    ),
    "torchvision": (
        "ssd",
        FixedAnswers(
            {"boxes": ordered(600, 7), "labels": np.ones(7, np.int64), "scores": probabilities(7)},
            {"image": (3, 640, 640)},
        ),
        {"labels": COCO_91, "scale": 1 / 255},
    ),
    "RT-DETR with its post-processing": (
        "ssd",
        FixedAnswers(
            {"labels": np.ones((1, 300), np.int64), "boxes": ordered(600, 1, 300), "scores": probabilities(1, 300)},
            {"images": (1, 3, 640, 640), "orig_target_sizes": (1, 2)},
        ),
        {"labels": COCO_80, "colour": "rgb", "scale": 1 / 255},
    ),
    "boxes and scores per class": (
        "ssd",
        FixedAnswers({"boxes": ordered(600, 1, CELLS), "scores": probabilities(1, CELLS, 80)}),
        {"labels": COCO_80},
    ),
    "OpenVINO": ("ssd-rows", FixedAnswers({"detection_out": probabilities(1, 1, 200, 7)}), {"fit": "stretch"}),
    "RF-DETR": ("detr", FixedAnswers({"dets": QUERIES, "labels": LOGITS}), {"labels": COCO_91, "nms_iou": None}),
    "DETR": (
        "detr",
        FixedAnswers({"logits": NOTHING, "pred_boxes": QUERIES[:, :100]}),
        {"labels": COCO_91, "mean": (0.485, 0.456, 0.406)},
    ),
    "RT-DETR raw": (
        "detr",
        FixedAnswers({"logits": LOGITS[..., :80], "pred_boxes": QUERIES}),
        {"labels": COCO_80, "mean": (0.0, 0.0, 0.0), "scale": 1 / 255},
    ),
    "RT-DETR side by side": (
        "detr",
        FixedAnswers({"output0": table(QUERIES, probabilities(1, 300, 80))}),
        {"labels": COCO_80},
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_family_is_recognised_from_its_outputs(family: str) -> None:
    """Each family's export is given its decoder, its labels and its way with pictures, without any flag."""
    decoder, engine, expected = FAMILIES[family]
    spec = recognise(engine, "m.onnx")
    assert spec.decoder == decoder
    assert {name: getattr(spec, name) for name in expected} == expected
    assert (spec.width, spec.height) == (640, 640)


@pytest.mark.parametrize("family", FAMILIES)
def test_naming_the_right_decoder_changes_nothing(family: str) -> None:
    """With the recognised decoder named by hand the answer is the same."""
    decoder, engine, _ = FAMILIES[family]
    assert recognise(engine, "m.onnx", decoder=decoder) == recognise(engine, "m.onnx")


@pytest.mark.parametrize(
    ("name", "decoder", "classes", "size"),
    [
        ("yolox_nano_416x416", "yolox", 80, 416),
        ("picodet_s_416_coco", "picodet", 80, 416),
        ("picodet_s_320_coco", "picodet", 80, 320),
        ("nanodet_m_320", "nanodet", 80, 320),
        ("FastestDet", "fastestdet", 80, 352),
        ("light_person_detector", "yolox", 1, 192),
    ],
)
def test_real_files_are_recognised(data: Path, name: str, decoder: str, classes: int, size: int) -> None:
    """The weights at hand need no flag."""
    detector = detector_for(str(data / "weights" / f"{name}.onnx"))
    spec: ModelSpec = detector.spec  # type: ignore[attr-defined]
    assert (spec.decoder, len(spec.labels), spec.width, spec.height) == (decoder, classes, size, size)


NOT_DETECTORS = {
    "embedding": {"y": probabilities(1, 256)},
    "classifier": {"y": probabilities(1, 1000)},
    "classifier of six": {"y": probabilities(1, 6)},
    "classifier of seven": {"y": probabilities(1, 7)},
    "segmentation": {"y": probabilities(1, 21, 40, 40)},
    "depth": {"y": probabilities(1, 1, 640, 640)},
    "raw YOLOv5 heads": {f"y{n}": probabilities(1, 3, n, n, 85) for n in (80, 40, 20)},
}


@pytest.mark.parametrize("kind", NOT_DETECTORS)
def test_what_is_no_detector_is_refused_with_what_it_gives(kind: str) -> None:
    """The refusal is one line with the outputs' names and shapes and the flag that overrules it."""
    outputs = NOT_DETECTORS[kind]
    with pytest.raises(ModelLoadFailed, match="no detector of a known family") as caught:
        recognise(FixedAnswers(outputs), "m.onnx")
    name, array = next(iter(outputs.items()))
    assert f"{name} [{','.join(map(str, array.shape))}]" in str(caught.value)
    assert "--decoder" in str(caught.value)
    assert "\n" not in str(caught.value)


def ambiguous() -> FixedAnswers:
    """Nine decoded columns: five classes without objectness, or four with it."""
    return FixedAnswers({"y": table(pixels(1, CELLS, 4), probabilities(1, CELLS, 5))})


def test_ambiguous_outputs_ask_for_the_flag() -> None:
    """Where two families fit, both are named; naming one settles it, and so do the class names."""
    with pytest.raises(ModelLoadFailed, match=r"--decoder yolov5\|yolov8"):
        recognise(ambiguous(), "m.onnx")
    assert recognise(ambiguous(), "m.onnx", decoder="yolov8").labels == tuple(f"class {n}" for n in range(5))
    assert recognise(ambiguous(), "m.onnx", class_names=list("abcde")).decoder == "yolov8"
    assert recognise(ambiguous(), "m.onnx", class_names=list("abcd")).decoder == "yolov5"


def test_decoder_that_does_not_fit_is_a_usage_error() -> None:
    """A named decoder that cannot read the outputs is refused with both shapes."""
    _, engine, _ = FAMILIES["YOLOv8"]
    with pytest.raises(UsageError, match=r"output0 \[1,84,8400\].*'fastestdet'.*\[1,5\+C,H,W\]"):
        recognise(engine, "m.onnx", decoder="fastestdet")


def test_names_and_size_come_from_the_file() -> None:
    """Ultralytics' metadata gives labels in order of their numbers, and the size where the file leaves it open."""
    cells = cell_count(320, 640, (8, 16, 32))
    engine = FixedAnswers(
        {"output0": table(pixels(1, cells, 4), probabilities(1, cells, 2)).transpose(0, 2, 1)},
        {"images": (None, 3, None, None)},
    )
    written = {"names": "{1: 'dog', 0: 'cat'}", "imgsz": "[640, 320]", "task": "detect"}
    spec = recognise(engine, "m.onnx", metadata=written)
    assert (spec.labels, spec.width, spec.height) == (("cat", "dog"), 320, 640)
    assert engine.fed["images"].shape == (1, 3, 640, 320)


@pytest.mark.parametrize("text", ["{0: 'cat'", "import os", "{'a': 'cat'}", "[]", "7"])
def test_unreadable_metadata_is_left_alone(text: str) -> None:
    """Metadata that holds no list of names is not evaluated and changes nothing."""
    _, engine, _ = FAMILIES["YOLOv8"]
    assert recognise(engine, "m.onnx", metadata={"names": text, "imgsz": text}).labels == COCO_80


@pytest.mark.parametrize("task", ["classify", "obb"])
def test_other_tasks_are_refused_by_name(task: str) -> None:
    """A file that says it does something else is believed."""
    _, engine, _ = FAMILIES["YOLOv8"]
    with pytest.raises(ModelLoadFailed, match=f"no detector: its task '{task}'"):
        recognise(engine, "m.onnx", metadata={"task": task})


def test_masks_and_key_points_beside_the_boxes_are_ignored() -> None:
    """A segmentation export detects: its names say how many columns are classes."""
    outputs = {
        "output0": table(pixels(1, CELLS, 4), probabilities(1, CELLS, 34)).transpose(0, 2, 1),
        "output1": probabilities(1, 32, 160, 160),
    }
    spec = recognise(FixedAnswers(outputs), "m.onnx", metadata={"names": "['cat', 'dog']", "task": "segment"})
    assert (spec.decoder, spec.labels) == ("yolov8", ("cat", "dog"))


def test_wrong_number_of_class_names() -> None:
    """Too few names for the model's classes are refused with both numbers."""
    _, engine, _ = FAMILIES["FastestDet"]
    with pytest.raises(UsageError, match=r"80 classes, and 2 class names|cannot read"):
        recognise(engine, "m.onnx", class_names=["a", "b"], decoder="fastestdet")


def test_size_that_the_file_fixes_cannot_be_changed() -> None:
    """Asking a fixed model for another size is refused with its own."""
    _, engine, _ = FAMILIES["YOLOX"]
    with pytest.raises(UsageError, match="640x640 only, not 320x320"):
        recognise(engine, "m.onnx", input_size=(320, 320))


def test_size_that_a_model_cannot_run_at_names_the_flag() -> None:
    """An open size that fails inside the model leads to the flag that sets it, and the right one works."""
    cells = cell_count(320, 320, (8, 16, 32))
    output = {"y": table(pixels(1, cells, 4), probabilities(1, cells, 80)).transpose(0, 2, 1)}
    engine = OnlySquare(output, {"images": (1, 3, None, None)})
    with pytest.raises(ModelLoadFailed, match=r"640x640.*--input-size"):
        recognise(engine, "m.onnx")
    assert recognise(engine, "m.onnx", input_size=(320, 320)).width == 320


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ({"tokens": (1, 128)}, r"tokens \[1,128\] and no picture"),
        ({"images": (1, 3, 640, 640), "prompt": (1, 7)}, "'prompt'"),
    ],
)
def test_inputs_that_are_not_a_picture_are_refused(inputs: dict[str, Shape], word: str) -> None:
    """A model that takes no picture, or wants more than one, is refused by the input's name."""
    with pytest.raises(ModelLoadFailed, match=word):
        recognise(FixedAnswers({"y": probabilities(1, 84, CELLS)}, inputs), "m.onnx")


def test_unknown_number_of_classes_is_numbered() -> None:
    """Where nothing tells the names, classes get numbers instead of wrong names."""
    engine = FixedAnswers({"y": table(pixels(1, CELLS, 4), probabilities(1, CELLS, 3)).transpose(0, 2, 1)})
    assert recognise(engine, "m.onnx").labels == ("class 0", "class 1", "class 2")
