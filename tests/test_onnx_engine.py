"""ONNX Runtime as an engine, on tiny models built here and on real files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from camcount.detection.detector import ModelDetector
from camcount.detection.grids import cell_count
from camcount.detection.labels import vocabulary
from camcount.detection.load import detector_for
from camcount.detection.preprocess import place
from camcount.detections import Detections
from camcount.engines.motion import MotionSettings
from camcount.engines.onnx import OnnxEngine
from camcount.engines.onnx_sizes import with_open_size
from camcount.errors import CamcountError, ModelError, ModelLoadFailed, ModelNotFound, UsageError
from camcount.frame import Frame
from camcount.geometry import iou_matrix
from camcount.video.open import source_for


def save_model(
    path: Path,
    outputs: Mapping[str, NDArray[Any]],
    input_shape: tuple[int | str, ...] = (1, 3, 32, 32),
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A model that takes a picture and answers with the same arrays whatever it shows."""
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, list(input_shape))
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in outputs.items()
    ]
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))
        for name, array in outputs.items()
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "answers", [picture], values),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    helper.set_model_props(model, dict(metadata or {}))
    onnx.save(model, str(path))
    return path


def test_the_runtime_tells_its_makers_nothing(tmp_path: Path) -> None:
    """A process that runs a model leaves no record of this machine for ONNX Runtime to send, and holds none open."""
    path = doubling_model(tmp_path / "double.onnx")
    program = (
        "import os, sys\n"
        "from camcount.engines.onnx import OnnxEngine\n"
        "OnnxEngine(sys.argv[1])\n"
        "print(*(os.path.realpath(f'/proc/self/fd/{number}') for number in os.listdir('/proc/self/fd')))"
    )
    home = tmp_path / "home"
    home.mkdir()
    quiet = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], env=quiet | places, capture_output=True, text=True, check=True
    )
    assert "onnxruntime.db" not in done.stdout
    assert list(home.rglob("*onnxruntime*")) == []


def doubling_model(path: Path) -> Path:
    """``y = x + x`` over any number of rows of three."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def test_runs_and_describes_itself(tmp_path: Path) -> None:
    """Inputs and outputs carry name, shape with open sizes as None, and dtype; run returns the arrays in order."""
    engine = OnnxEngine(doubling_model(tmp_path / "double.onnx"))
    assert engine.inputs["x"].shape == (None, 3)
    assert engine.inputs["x"].dtype == np.float32
    assert list(engine.outputs) == ["y"]
    (doubled,) = engine.run({"x": np.ones((2, 3), np.float32)})
    assert doubled.tolist() == [[2, 2, 2], [2, 2, 2]]


def test_many_threads_may_run_at_once(tmp_path: Path) -> None:
    """Calls from several threads do not mix up their arrays, and the given arrays stay unchanged."""
    engine = OnnxEngine(doubling_model(tmp_path / "double.onnx"))

    def check(value: int) -> bool:
        given = np.full((50, 3), value, np.float32)
        answers = [engine.run({"x": given})[0] for _ in range(50)]
        return bool((given == value).all()) and all((answer == 2 * value).all() for answer in answers)

    assert engine.concurrency == 0
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(check, range(8)))


def test_wrong_feed_is_an_inference_error(tmp_path: Path) -> None:
    """What the runtime throws comes out as MODEL_003 on one line, naming the file."""
    engine = OnnxEngine(doubling_model(tmp_path / "double.onnx"))
    with pytest.raises(ModelError, match=r"double\.onnx: inference failed") as caught:
        engine.run({"x": np.ones((2, 4), np.float32)})
    assert caught.value.code == "MODEL_003"
    assert "\n" not in str(caught.value)


def test_metadata_of_the_exporter_is_readable(tmp_path: Path) -> None:
    """Custom entries of the file come out as text."""
    path = save_model(tmp_path / "m.onnx", {"y": np.zeros(1, np.float32)}, metadata={"names": "{0: 'cup'}"})
    assert OnnxEngine(path).metadata == {"names": "{0: 'cup'}"}


def broken_files(folder: Path) -> dict[str, Path]:
    whole = doubling_model(folder / "whole.onnx").read_bytes()
    contents = {
        "empty": b"",
        "text": b"this is no model\n" * 20,
        "truncated": whole[: len(whole) // 2],
        "garbage": bytes(np.random.default_rng(0).integers(0, 256, 4000, np.uint8)),
    }
    for name, content in contents.items():
        (folder / f"{name}.onnx").write_bytes(content)
    return {name: folder / f"{name}.onnx" for name in contents} | {"folder": folder}


@pytest.mark.parametrize("name", ["empty", "text", "truncated", "garbage", "folder"])
def test_what_is_no_onnx_is_refused_on_one_line(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A file that is no model is named in one line with a remedy, and the runtime prints nothing of its own."""
    with pytest.raises(ModelLoadFailed, match=r"check that the file|name the \.onnx file") as caught:
        OnnxEngine(broken_files(tmp_path)[name])
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_truncated_real_weights_are_refused(data: Path, tmp_path: Path) -> None:
    """Half a real weight file is refused too."""
    half = tmp_path / "half.onnx"
    half.write_bytes((data / "weights" / "FastestDet.onnx").read_bytes()[:500_000])
    with pytest.raises(ModelLoadFailed):
        OnnxEngine(half)


def test_missing_file(tmp_path: Path) -> None:
    """A path to nothing is a usage error that names the path."""
    with pytest.raises(ModelNotFound, match=r"nothing\.onnx") as caught:
        OnnxEngine(tmp_path / "nothing.onnx")
    assert caught.value.usage


@pytest.mark.parametrize("provider", ["cpu", "CPU", "CPUExecutionProvider"])
def test_providers_go_by_short_and_long_names(tmp_path: Path, provider: str) -> None:
    """The processor can be asked for under any of its names."""
    OnnxEngine(doubling_model(tmp_path / "double.onnx"), providers=[provider])


def test_a_device_names_a_provider(tmp_path: Path) -> None:
    """As a server's ``devices`` have it; one that is not there is told of like a provider."""
    OnnxEngine(doubling_model(tmp_path / "double.onnx"), device="cpu")
    with pytest.raises(UsageError, match=r"'abacus:1'.*cpu"):
        OnnxEngine(doubling_model(tmp_path / "double.onnx"), device="abacus:1")


def test_unknown_provider_lists_those_there_are(tmp_path: Path) -> None:
    """A provider that this build lacks is refused with the choice there is."""
    with pytest.raises(UsageError, match=r"'abacus'.*cpu"):
        OnnxEngine(doubling_model(tmp_path / "double.onnx"), providers=["abacus"])


def grey_frame(width: int, height: int) -> Frame:
    return Frame(
        index=0, time_s=0.0, width=width, height=height, render=lambda w, h: np.full((h, w, 3), 114, np.uint8)
    )


def test_file_with_names_becomes_a_detector(tmp_path: Path) -> None:
    """A tiny YOLOv8-style file with its class names inside detects, labels and scales without any flag."""
    table = np.zeros((1, 4 + 2, 84), np.float32)
    table[0, :, 5] = [32, 16, 16, 8, 0.1, 0.8]
    names = {"names": "{0: 'cat', 1: 'dog'}", "task": "detect", "imgsz": "[64, 64]"}
    path = save_model(tmp_path / "m.onnx", {"output0": table}, (1, 3, 64, 64), names)
    (found,) = detector_for(str(path)).detect([grey_frame(128, 128)])
    assert found.xyxy.tolist() == [[48, 24, 80, 40]]
    assert found.label(0) == "dog"
    assert found.confidence[0] == pytest.approx(0.8)


def convolution_model(path: Path, reshape_to: tuple[int, ...]) -> Path:
    """YOLOX's form: every fourth pixel's mean colours, turned into one row per cell of 4x4 and repeated to six."""
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 32])
    rows = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 64, 6])
    nodes = [
        helper.make_node("AveragePool", ["images"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Concat", ["pooled", "pooled"], ["six"], axis=1),
        helper.make_node("Reshape", ["six", "shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["output"], perm=[0, 2, 1]),
    ]
    shape = numpy_helper.from_array(np.array(reshape_to, np.int64), "shape")
    graph = helper.make_graph(nodes, "rows", [picture], [rows], [shape])
    graph.value_info.append(helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [1, 3, 8, 8]))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def test_opened_model_takes_other_sizes_with_the_same_answers(tmp_path: Path) -> None:
    """Height and width come free, the rest of the file stays valid, and the old size still gives the old answer."""
    content = convolution_model(tmp_path / "m.onnx", (1, 6, -1)).read_bytes()
    fixed, opened = OnnxEngine(content), OnnxEngine(with_open_size(content))
    onnx.checker.check_model(onnx.load_from_string(with_open_size(content)))
    assert opened.inputs["images"].shape == (1, 3, None, None)
    picture = np.random.default_rng(0).random((1, 3, 32, 32), np.float32)
    assert (opened.run({"images": picture})[0] == fixed.run({"images": picture})[0]).all()
    assert opened.run({"images": picture[:, :, :16]})[0].shape == (1, 32, 6)
    with pytest.raises(ModelError):
        fixed.run({"images": picture[:, :, :16]})


def test_opening_leaves_other_inputs_alone(tmp_path: Path) -> None:
    """An input that is no picture keeps its shape."""
    content = doubling_model(tmp_path / "m.onnx").read_bytes()
    assert OnnxEngine(with_open_size(content)).inputs["x"].shape == (None, 3)


@pytest.mark.parametrize("content", [b"this is no model", b"\x3a\xff", b"\x3a\x05ab", b"\xff" * 20, b"\x3b"])
def test_opening_what_is_no_model_fails_plainly(content: bytes) -> None:
    """Bytes that break off or make no sense raise instead of giving a mangled file."""
    with pytest.raises(ValueError, match=r"ends in the middle|wire type"):
        with_open_size(content)


@pytest.mark.parametrize("name", ["yolox_nano_416x416", "light_person_detector"])
def test_yolox_files_leave_out_padding(data: Path, name: str) -> None:
    """Fixed YOLOX files run wide pictures at a smaller input and find what the full input finds."""
    path = data / "weights" / f"{name}.onnx"
    trimmed = detector_for(str(path), confidence=0.3)
    assert isinstance(trimmed, ModelDetector)
    assert trimmed.spec.multiple == 32
    full = ModelDetector(
        OnnxEngine(path),
        replace(trimmed.spec, multiple=None),
        vocabulary(trimmed.spec.labels, confidence=0.3),
    )
    source = source_for(str(data / "videos" / "people-walking.mp4"))
    source.open()
    frames = [frame for frame in (source.read() for _ in range(40)) if frame][::8]
    source.close()
    ours, theirs = trimmed.detect(frames), full.detect(frames)
    assert place(trimmed.spec, 1280, 720).input_height < trimmed.spec.height * 0.75
    again = [best_overlap(a, b) for a, b in zip(theirs, ours, strict=True)]
    assert np.mean(np.concatenate(again) > 0.7) > 0.9
    assert sum(map(len, ours)) == pytest.approx(sum(map(len, theirs)), rel=0.1)


def best_overlap(sought: Detections, among: Detections) -> NDArray[Any]:
    """For each box sought, the best intersection over union among the others."""
    if not len(among):
        return np.zeros(len(sought))
    return np.asarray(iou_matrix(sought.xyxy, among.xyxy).max(axis=1))


@pytest.mark.parametrize("name", ["picodet_s_320_coco", "nanodet_m_320", "FastestDet"])
def test_models_that_cannot_be_opened_stay_as_they_are(data: Path, name: str) -> None:
    """Families with their size baked in run at that size."""
    detector = detector_for(str(data / "weights" / f"{name}.onnx"))
    assert isinstance(detector, ModelDetector)
    assert detector.spec.multiple is None


def test_yolox_with_its_size_baked_in_stays_at_it(tmp_path: Path) -> None:
    """A file that fits YOLOX but fails at another size is used at its own."""
    cells = cell_count(96, 96, (8, 16, 32))
    path = save_model(tmp_path / "m.onnx", {"output": np.zeros((1, cells, 85), np.float32)}, (1, 3, 96, 96))
    detector = detector_for(str(path))
    assert isinstance(detector, ModelDetector)
    assert (detector.spec.decoder, detector.spec.multiple) == ("yolox", None)
    assert len(detector.detect([grey_frame(96, 20)])[0]) == 0


def test_motion_model_finds_what_moves(data: Path) -> None:
    """The built-in model needs no file, one thread at a time, and calls everything an object."""
    detector = detector_for(labels=["object"])
    assert (detector.labels, detector.concurrency) == (("object",), 1)
    source = source_for(str(data / "videos" / "cars.mp4"))
    source.open()
    frames = [frame for frame in (source.read() for _ in range(40)) if frame]
    found = detector.detect(frames)
    source.close()
    assert sum(map(len, found)) > 20
    assert max(each.xyxy.max() for each in found if len(each)) > MotionSettings().width
    detector.close()


def test_reidentification_model_is_no_detector(data: Path) -> None:
    """An ONNX that gives one embedding is refused with what it gives and the flag that would overrule."""
    path = data / "weights" / "person-reidentification-retail-0288.onnx"
    with pytest.raises(ModelLoadFailed, match=r"no detector.*\[1,256\].*--decoder"):
        detector_for(str(path))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"model": "nothing.onnx"}, "neither a file nor built in"),
        ({"model": "motion", "decoder": "yolox"}, "takes no decoder"),
    ],
)
def test_model_that_there_is_not(arguments: dict[str, Any], word: str) -> None:
    """A name that is neither file nor built in, and flags that do not go with a built-in model, are usage errors."""
    with pytest.raises(CamcountError, match=word) as caught:
        detector_for(**arguments)
    assert caught.value.usage


def test_other_frameworks_files_are_named(tmp_path: Path) -> None:
    """A PyTorch file is refused with the advice to export it."""
    (tmp_path / "m.pt").write_bytes(b"PK")
    with pytest.raises(ModelLoadFailed, match="export the model"):
        detector_for(str(tmp_path / "m.pt"))
