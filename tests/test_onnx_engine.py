"""ONNX Runtime as an engine, on tiny models built here and on real files."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from camcount.detection.load import detector_for
from camcount.engines.onnx import OnnxEngine
from camcount.errors import CamcountError, ModelError, ModelLoadFailed, ModelNotFound, UsageError
from camcount.frame import Frame


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
