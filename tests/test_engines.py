"""One contract for every engine, with real models on real pictures; and one detector in four formats."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from camcount.detection.detector import ModelDetector
from camcount.detection.preprocess import Preprocessor
from camcount.detection.recognise import recognise
from camcount.detection.spec import ModelSpec
from camcount.detections import Detections
from camcount.engines.onnx import OnnxEngine
from camcount.engines.select import engine_for
from camcount.errors import ModelError, ModelLoadFailed, UsageError
from camcount.frame import Frame, Image
from camcount.protocols import Engine
from tests.remote_servers import mlserver

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),  # TorchScript is what is tested
    pytest.mark.filterwarnings("ignore:.*weights_only Unpickler:UserWarning"),  # of pickles that are refused
]

Array = NDArray[Any]
Make = Callable[[], Engine]

FORMATS = ("openvino", "torchscript", "torch-exported", "tensorflow", "litert")
HALF = ("openvino-bf16",) if "bf16" in Path("/proc/cpuinfo").read_text() else ()
"""There is such a case where the processor can compute so."""

CASES = ("onnx", *FORMATS, *HALF, "python", "remote", "motion")
SHAPE = {"images": [1, 3, 192, 192]}

OWN_ENGINE = """
from camcount.engines.onnx import OnnxEngine

class Own:
    concurrency = 0

    def __init__(self, path, model):
        self._inner = OnnxEngine(model)
        self.inputs = {"images": [1, 3, 192, 192]}
        self.outputs = {"output": {"shape": [1, None, 6], "dtype": "float32"}}

    def run(self, feeds):
        return self._inner.run(feeds)
"""


@pytest.fixture(scope="session")
def model(data: Path) -> Path:
    """A person detector of the YOLOX family: ``[1, 3, 192, 192]`` to ``[1, 756, 6]``."""
    return data / "weights" / "light_person_detector.onnx"


@pytest.fixture(scope="session")
def exports(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The detector as TorchScript, exported program, SavedModel and LiteRT file."""
    folder = tmp_path_factory.mktemp("exports")
    script = Path(__file__).with_name("model_exports.py")
    runs = [
        subprocess.Popen([sys.executable, script, target, model, folder], stderr=subprocess.PIPE)
        for target in ("torch", "tensorflow")
    ]
    for run in runs:
        _, said = run.communicate(timeout=200)
        assert run.returncode == 0, said.decode()[-2000:]
    return folder


@pytest.fixture(scope="session")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with an engine of a user's own."""
    path = tmp_path_factory.mktemp("own") / "engines.py"
    path.write_text(OWN_ENGINE)
    return path


@pytest.fixture(scope="session")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gRPC address of the detector in a real MLServer."""
    with mlserver(tmp_path_factory.mktemp("mlserver"), model) as (_, grpc):
        yield grpc


@pytest.fixture(scope="session")
def spec(model: Path) -> ModelSpec:
    """How the detector wants its pictures and what its output means."""
    return recognise(OnnxEngine(model), model.name)


@pytest.fixture(scope="session")
def frames(data: Path) -> list[Frame]:
    """Five photos of streets and people."""
    return [_frame(path) for path in sorted((data / "images" / "photos").iterdir())]


@pytest.fixture(scope="session")
def pictures(frames: list[Frame], spec: ModelSpec) -> list[dict[str, Array]]:
    """The photos as the detector's input."""
    preprocess = Preprocessor(spec, np.dtype(np.float32))
    return [{"images": preprocess.tensor([frame])[0].copy()} for frame in frames]


@pytest.fixture(scope="session")
def opened(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Engine]]:
    """Each case's engine, loaded when it is first asked for and kept for the tests that follow."""
    engines: dict[str, Engine] = {}

    def get(case: str) -> Engine:
        if case not in engines:
            engines[case] = make(case, request.getfixturevalue)
        return engines[case]

    yield get
    for engine in engines.values():
        engine.close()


def make(case: str, fixture: Callable[[str], Any]) -> Engine:
    """The engine of a case, freshly loaded."""
    match case:
        case "onnx" | "openvino":
            return engine_for(case, fixture("model"))
        case "openvino-bf16":
            return engine_for("openvino", fixture("model"), options={"precision": "bf16"})
        case "torchscript":
            return engine_for("torch", fixture("exports") / "detector.pt", options={"inputs": SHAPE})
        case "torch-exported":
            return engine_for("torch", fixture("exports") / "detector.pt2")
        case "tensorflow":
            return engine_for(case, fixture("exports") / "detector")
        case "litert":
            return engine_for("tensorflow", fixture("exports") / "detector.tflite")
        case "python":
            return engine_for(case, f"{fixture('own_engine')}:Own", options={"model": fixture("model")})
        case "remote":
            return engine_for(case, fixture("server"))
        case _:
            return engine_for(case)


def _frame(path: Path) -> Frame:
    picture = cv2.imread(str(path))
    assert picture is not None

    def render(width: int, height: int) -> Image:
        return np.asarray(cv2.resize(picture, (width, height)), np.uint8)

    return Frame(index=0, time_s=0.0, width=picture.shape[1], height=picture.shape[0], render=render)


@pytest.fixture
def feeds(pictures: list[dict[str, Array]], frames: list[Frame]) -> Callable[[Engine], list[dict[str, Array]]]:
    """The photos as an engine wants them."""
    plain = [{"image": frame.image(320, 240)[None]} for frame in frames]
    return lambda engine: pictures if "images" in engine.inputs else plain


Feeds = Callable[[Engine], list[dict[str, Array]]]
Opened = Callable[[str], Engine]


@pytest.mark.parametrize("case", CASES)
def test_answers_are_what_was_announced(case: str, opened: Opened, feeds: Feeds) -> None:
    """Outputs come in the order, shapes and dtypes that the engine announces."""
    engine = opened(case)
    assert engine.inputs
    found = engine.run(feeds(engine)[0])
    assert len(found) == len(engine.outputs)
    for array, info in zip(found, engine.outputs.values(), strict=True):
        assert array.dtype == info.dtype
        assert len(array.shape) == len(info.shape)
        assert all(wanted in (None, size) for size, wanted in zip(array.shape, info.shape, strict=True))


@pytest.mark.parametrize("case", [case for case in CASES if case not in ("motion", "openvino-bf16")])
def test_every_engine_computes_the_same(case: str, opened: Opened, feeds: Feeds) -> None:
    """The same model gives the numbers that ONNX Runtime gives, whichever engine runs it."""
    engine, reference = opened(case), opened("onnx")
    for picture in feeds(engine):
        np.testing.assert_allclose(engine.run(picture)[0], reference.run(picture)[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_inputs_stay_as_they_were_and_outputs_are_the_callers(case: str, opened: Opened, feeds: Feeds) -> None:
    """A run changes neither what it was given nor what an earlier run gave, and its answer may be written on."""
    engine = opened(case)
    one, other = feeds(engine)[:2]
    before = {name: array.copy() for name, array in one.items()}
    first = engine.run(one)
    for name, array in one.items():
        np.testing.assert_array_equal(array, before[name])
    kept = [array.copy() for array in first]
    engine.run(other)
    for array, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, copy)
        array[...] = 7
    if engine.concurrency != 1:  # one with memory answers otherwise the second time
        for array, copy in zip(engine.run(one), kept, strict=True):
            np.testing.assert_allclose(array, copy, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_read_only_and_strided_inputs_are_inputs_too(case: str, opened: Opened, feeds: Feeds) -> None:
    """Arrays that may not be written on, or do not lie in one piece, give the same answer."""
    engine = opened(case)
    name, array = next(iter(feeds(engine)[0].items()))
    frozen = array.copy()
    frozen.flags.writeable = False
    strided = np.repeat(array, 2, axis=-1)[..., ::2]
    assert not strided.flags.c_contiguous
    plain = engine.run({name: array})
    for other in (frozen, strided):
        found = engine.run({name: other})
        if engine.concurrency != 1:
            np.testing.assert_allclose(found[0], plain[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [case for case in CASES if case != "motion"])
def test_threads_do_not_get_each_others_answers(case: str, opened: Opened, feeds: Feeds) -> None:
    """Four threads at once, each with its own picture, each get what one thread alone gets."""
    engine = opened(case)
    assert engine.concurrency in (0, 4)
    given = feeds(engine)[:4]
    alone = [engine.run(picture)[0] for picture in given]
    together = threading.Barrier(4)

    def ask(number: int) -> list[Array]:
        together.wait(30)
        return [engine.run(given[number])[0] for _ in range(4)]

    with ThreadPoolExecutor(4) as threads:
        for expected, answers in zip(alone, threads.map(ask, range(4)), strict=True):
            for answer in answers:
                np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)


def _wrong(feeds: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    name, array = next(iter(feeds.items()))
    return {
        "no input": {},
        "another name": {"nonsense": array},
        "another shape": {name: array[..., :1]},
        "another rank": {name: array[0]},
        "another dtype": {name: array.astype(np.float64)},
    }


@pytest.mark.parametrize("case", CASES)
def test_wrong_inputs_are_one_line_each(case: str, opened: Opened, feeds: Feeds) -> None:
    """A wrong name, shape or dtype is MODEL_003 with one line, and the engine still runs afterwards."""
    engine = opened(case)
    right = feeds(engine)[0]
    for what, wrong in _wrong(right).items():
        with pytest.raises(ModelError) as caught:
            engine.run(wrong)
        assert caught.value.code == "MODEL_003", what
        assert "\n" not in str(caught.value), what
    engine.run(right)


@pytest.mark.parametrize("case", CASES)
def test_memory_does_not_grow(case: str, opened: Opened, feeds: Feeds) -> None:
    """200 runs leave the process as large as it was: an input kept in each would be 88 MB."""
    engine = opened(case)
    picture = feeds(engine)[0]
    for _ in range(20):
        engine.run(picture)
    before = _resident_mb()
    for _ in range(200):
        engine.run(picture)
    assert _resident_mb() - before < 15


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.parametrize("case", CASES)
def test_close_may_be_called_twice(case: str, feeds: Feeds, request: pytest.FixtureRequest) -> None:
    """The second close does nothing; a run after it is refused in one line, if it is refused."""
    engine = make(case, request.getfixturevalue)
    engine.close()
    engine.close()
    if case not in ("onnx", "motion"):
        with pytest.raises(ModelError, match="was closed"):
            engine.run(feeds(engine)[0])


def _truncated(path: Path, folder: Path) -> Path:
    cut = folder / f"cut{path.suffix}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return cut


def _nonsense(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"this is no model\n" * 50)
    return path


BAD = ("onnx", "openvino", "torchscript", "torch-exported", "tensorflow", "litert", "python")
SUFFIX = {"torchscript": ".pt", "torch-exported": ".pt2", "litert": ".tflite", "python": ".py"}


@pytest.mark.parametrize("kind", ["cut off", "nonsense"])
@pytest.mark.parametrize("case", BAD)
def test_a_corrupt_file_is_refused_in_one_line(
    case: str, kind: str, model: Path, exports: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Half a file and no model at all are MODEL_002 with one line, and nothing is printed beside it."""
    suffix = SUFFIX.get(case, ".onnx")
    if case == "tensorflow":
        bad = tmp_path / "model"
        shutil.copytree(exports / "detector", bad)
        _nonsense(bad, "saved_model.pb") if kind == "nonsense" else shutil.rmtree(bad / "variables")
    elif kind == "nonsense" or case == "python":
        bad = _nonsense(tmp_path, f"bad{suffix}")
    else:
        bad = _truncated(model if suffix == ".onnx" else exports / f"detector{suffix}", tmp_path)
    name = {"litert": "tensorflow", "torchscript": "torch", "torch-exported": "torch"}.get(case, case)
    with pytest.raises(ModelLoadFailed) as caught:
        engine_for(name, f"{bad}:Own" if case == "python" else bad)
    assert caught.value.code == "MODEL_002"
    assert str(bad.name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err


def _boxes(engine: Engine, spec: ModelSpec, frames: list[Frame]) -> list[Detections]:
    detector = ModelDetector(engine, spec)
    return [detector.detect([frame])[0] for frame in frames]


def _overlap(box: Array, others: Array) -> Array:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    area = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1)
    found: Array = shared / (area - shared)
    return found


@pytest.mark.parametrize("case", FORMATS)
def test_four_formats_give_the_same_boxes(case: str, opened: Opened, spec: ModelSpec, frames: list[Frame]) -> None:
    """Each box of the ONNX file is found by the others too: IoU at least 0.9, score within 0.02, and no box more."""
    expected = _boxes(opened("onnx"), spec, frames)
    assert sum(len(found) for found in expected) >= 20
    for want, have in zip(expected, _boxes(opened(case), spec, frames), strict=True):
        assert len(have) == len(want)
        for box, score in zip(want.xyxy, want.confidence, strict=True):
            overlap = _overlap(box, have.xyxy)
            assert overlap.max() >= 0.9
            assert abs(have.confidence[overlap.argmax()] - score) <= 0.02


def test_half_precision_finds_the_sure_boxes(opened: Opened, spec: ModelSpec, frames: list[Frame]) -> None:
    """Rounding to bfloat16 loses none of the boxes that this small model is sure of; where the processor cannot
    compute so, the full precision is looked at in its place."""
    case = HALF[0] if HALF else "openvino"
    sure = 0
    for want, have in zip(_boxes(opened("onnx"), spec, frames), _boxes(opened(case), spec, frames), strict=True):
        for box in want.xyxy[want.confidence >= 0.5]:
            assert _overlap(box, have.xyxy).max() >= 0.75
            sure += 1
    assert sure >= 5


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("openvino", {"device": "QPU"}),
        ("openvino", {"options": {"precision": "int4"}}),
        ("torch", {"device": "cuda:77"}),
        ("tensorflow", {"device": "GPU:77"}),
    ],
)
def test_a_device_that_is_not_there_is_named(name: str, options: dict[str, Any], model: Path, exports: Path) -> None:
    """CFG_001 with what would be right."""
    artifact = {"openvino": model, "torch": exports / "detector.pt2", "tensorflow": exports / "detector"}[name]
    with pytest.raises(UsageError, match=r"choose|leave"):
        engine_for(name, artifact, **options)


class _Runs:
    """Pickles to something that would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_pickles_in_torch_files_are_refused_unopened(exports: Path, tmp_path: Path) -> None:
    """Neither a checkpoint nor an object hidden in an exported program is unpickled."""
    import torch

    torch.save({"weights": torch.zeros(3)}, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelLoadFailed, match="no program"):
        engine_for("torch", tmp_path / "checkpoint.pt")
    hidden = io.BytesIO()
    torch.save((_Runs(tmp_path / "it ran"),), hidden)
    crafted = tmp_path / "crafted.pt2"
    with zipfile.ZipFile(exports / "detector.pt2") as whole, zipfile.ZipFile(crafted, "w") as copy:
        for name in whole.namelist():
            copy.writestr(name, hidden.getvalue() if "sample_inputs" in name else whole.read(name))
    with pytest.raises(ModelLoadFailed, match="could run anything"):
        engine_for("torch", crafted)
    assert not (tmp_path / "it ran").exists()


def test_torchscript_says_what_it_takes_or_is_told(exports: Path, tmp_path: Path) -> None:
    """Ultralytics' note in the file does; without it the caller has to; and a wrong size is found on loading."""
    import torch

    plain = exports / "detector.pt"
    with pytest.raises(UsageError, match="describe it under inputs"):
        engine_for("torch", plain)
    with pytest.raises(ModelLoadFailed, match="check the sizes"):
        engine_for("torch", plain, options={"inputs": {"images": [1, 3, 191, 192]}})
    noted = tmp_path / "noted.torchscript"
    module = torch.jit.load(plain)  # type: ignore[no-untyped-call]
    note = '{"imgsz": [192, 192], "batch": 1, "names": {"0": "person"}}'
    torch.jit.save(module, noted, _extra_files={"config.txt": note})
    engine: Any = engine_for("torch", noted)
    assert engine.inputs["images"].shape == (1, 3, 192, 192)
    assert engine.metadata["names"] == "{'0': 'person'}"
