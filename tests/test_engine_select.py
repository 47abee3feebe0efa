"""Choosing an engine by name, a user's own classes, and what only OpenVINO has."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from camcount.engines import python, select
from camcount.engines.pool import Pool
from camcount.engines.select import ENGINES, engine_for
from camcount.errors import CamcountError, ModelError, ModelLoadFailed, ModelNotFound, UsageError

OWN_ENGINES = """
class Echo:
    def __init__(self, path, gives=1):
        self.inputs = self.outputs = {"a": [2]}
        self._gives = gives

    def run(self, feeds):
        return [feeds["a"]] * self._gives

class Nothing:
    def __init__(self, path):
        pass

class Fails(Echo):
    def run(self, feeds):
        raise KeyError("the lamp\\nis out")
"""


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with engines of a user's own."""
    path = tmp_path_factory.mktemp("own") / "engines.py"
    path.write_text(OWN_ENGINES)
    return path


@pytest.mark.parametrize("name", ["onnx", "openvino", "torch", "tensorflow", "litert", "python"])
def test_a_file_that_is_not_there_is_not_found(name: str, tmp_path: Path) -> None:
    """MODEL_001 and the path."""
    with pytest.raises(ModelNotFound, match="none"):
        engine_for(name, f"{tmp_path}/none.py:Own" if name == "python" else tmp_path / "none.onnx")


def test_a_users_own_file_leaves_nothing_compiled_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package in which one lies has a file that nobody listed, and would not load a second time."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "engines.py").write_text(OWN_ENGINES)
    engine_for("python", f"{tmp_path}/engines.py:Echo")
    assert [path.name for path in tmp_path.iterdir()] == ["engines.py"]


def test_openvino_runs_its_own_format(data: Path, tmp_path: Path) -> None:
    """An IR with half-precision weights loads, is described and finds somebody; without its weights it is refused."""
    xml = data / "weights" / "person-detection-retail-0013-FP16" / "person-detection-retail-0013.xml"
    engine = engine_for("openvino", xml)
    (name, info), (_, rows) = next(iter(engine.inputs.items())), next(iter(engine.outputs.items()))
    assert (info.shape, rows.shape) == ((1, 3, 320, 544), (1, 1, 200, 7))
    photo = cv2.imread(str(data / "images" / "photos" / "people1.jpeg"))
    assert photo is not None
    picture = cv2.resize(photo, (544, 320)).transpose(2, 0, 1)[None].astype(np.float32)
    found = engine.run({name: picture})[0]
    assert found[0, 0, :, 2].max() > 0.5
    with pytest.raises(ModelLoadFailed, match="holds its weights"):
        engine_for("openvino", shutil.copy(xml, tmp_path))


def test_openvino_takes_another_shape_than_the_file_has(data: Path) -> None:
    """A size that the file does not fix is fixed on loading; an input that there is not is named."""
    model = data / "weights" / "person-detection-retail-0013-FP16" / "person-detection-retail-0013.xml"
    smaller = engine_for("openvino", model, options={"shapes": {"data": [1, 3, 160, 272]}})
    assert next(iter(smaller.inputs.values())).shape == (1, 3, 160, 272)
    with pytest.raises(UsageError, match="no input 'pixels'"):
        engine_for("openvino", model, options={"shapes": {"pixels": [1]}})


def test_a_precision_that_the_processor_lacks_is_refused(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    """OpenVINO would compute in another one and say nothing."""
    import openvino

    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32", "INT8"])
    model = data / "weights" / "light_person_detector.onnx"
    assert engine_for("openvino", model).inputs
    with pytest.raises(UsageError, match="does not compute in bf16"):
        engine_for("openvino", model, options={"precision": "bf16"})


@pytest.mark.parametrize(
    ("target", "options", "says"),
    [
        ("Nobody", {}, "no class 'Nobody'"),
        ("Nothing", {}, "has no inputs"),
        ("Echo", {"colour": "red"}, "unexpected keyword argument 'colour'"),
    ],
)
def test_a_class_that_is_no_engine_is_refused(
    target: str, options: dict[str, Any], says: str, own_engine: Path
) -> None:
    """What the class lacks is said in one line."""
    with pytest.raises(ModelError, match=says):
        engine_for("python", f"{own_engine}:{target}", options=options)


def test_a_users_class_is_held_to_the_contract(own_engine: Path) -> None:
    """An answer that is its input is copied, one too many is refused, and what it raises becomes one line."""
    given = np.array([1, 2], np.float32)
    (found,) = engine_for("python", f"{own_engine}:Echo").run({"a": given})
    assert found.tolist() == [1, 2]
    assert not np.may_share_memory(found, given)
    with pytest.raises(ModelError, match="gave 2 outputs and announced 1"):
        engine_for("python", f"{own_engine}:Echo", options={"gives": 2}).run({"a": given})
    with pytest.raises(ModelError, match="the lamp"):
        engine_for("python", f"{own_engine}:Fails").run({"a": given})


def test_a_package_may_offer_engines(own_engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point is an engine by its name, given the artifact and the options; one that breaks is one line."""
    monkeypatch.syspath_prepend(str(own_engine.parent))
    offered = [
        EntryPoint(name="echo", value="engines:Echo", group=python.GROUP),
        EntryPoint(name="broken", value="engines:Gone", group=python.GROUP),
    ]

    def entry_points(group: str, name: str | None = None) -> list[EntryPoint]:
        return [entry for entry in offered if entry.group == group and name in (None, entry.name)]

    monkeypatch.setattr(python, "entry_points", entry_points)
    monkeypatch.setattr(select, "entry_points", entry_points)
    assert engine_for("echo", "weights.bin", options={"gives": 1}).outputs["a"].shape == (2,)
    with pytest.raises(ModelLoadFailed, match="Gone"):
        engine_for("broken")
    with pytest.raises(UsageError, match=r"choose from onnx, .*, echo, broken"):
        engine_for("nonsense", "weights.bin")


def test_an_engine_that_is_not_installed_says_what_brings_it() -> None:
    """Every extra is named with the command that installs it."""
    code = """
import sys
from camcount.engines.select import ENGINES, engine_for
from camcount.errors import UsageError
for name, kind in ENGINES.items():
    sys.modules.update(dict.fromkeys(kind.frameworks))  # None there means: not installed
    try:
        if kind.extra:
            engine_for(name, "grpc://127.0.0.1:1/x")
    except UsageError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    extras = [kind.extra for kind in ENGINES.values() if kind.extra]
    said = done.stdout.splitlines()
    assert len(said) == len(extras) == 5
    assert all(f'pip install "camcount[{extra}]" brings it' in line for extra, line in zip(extras, said, strict=True))


@pytest.mark.parametrize(
    ("name", "artifact", "options", "says"),
    [
        ("onnx", None, {}, "name one"),
        ("onnx", "x.onnx", {"options": {"precision": "bf16"}}, "no option 'precision': it has"),
        ("openvino", "x.onnx", {"providers": ["cuda"]}, "no option 'providers'"),
        ("motion", None, {"options": {"speed": 1}}, "it takes"),
    ],
)
def test_options_that_an_engine_does_not_have_are_named(
    name: str, artifact: str | None, options: dict[str, Any], says: str
) -> None:
    """A misspelt option is not passed over in silence."""
    with pytest.raises(CamcountError, match=says) as caught:
        engine_for(name, artifact, **options)
    assert caught.value.usage


def test_choosing_an_engine_imports_no_other() -> None:
    """The table of engines costs none of their imports."""
    code = (
        "import sys, camcount.engines.select;"
        "heavy = ('onnxruntime', 'openvino', 'torch', 'tensorflow', 'urllib3', 'grpc', 'cv2');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_pool_makes_no_more_than_it_may() -> None:
    """Six threads share two items; each has its own while it has one, and the third waits."""
    made: list[object] = []
    in_use: set[object] = set()
    most = 0
    lock = threading.Lock()
    both = threading.Barrier(2)

    def make() -> object:
        made.append(object())
        return made[-1]

    pool = Pool(make, 2)

    def work(_: int) -> None:
        nonlocal most
        with pool.borrow() as item:
            with lock:
                assert item not in in_use
                in_use.add(item)
                most = max(most, len(in_use))
            both.wait(10)
            with lock:
                in_use.remove(item)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    assert (len(made), most) == (2, 2)


def test_a_pool_survives_an_item_that_cannot_be_made() -> None:
    """The next caller tries again and does not wait for ever."""
    faults = [RuntimeError("no memory")]

    def make() -> str:
        if faults:
            raise faults.pop()
        return "item"

    pool = Pool(make, 1)
    with pytest.raises(RuntimeError, match="no memory"), pool.borrow():
        pass
    with pool.borrow() as item:
        assert item == "item"
