"""From any reference to a detector that finds the same things, and what keeps one from being loaded."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from camcount.detection.load import detector_for
from camcount.errors import ModelLoadFailed, ModelNotFound, UsageError
from camcount.frame import Frame, Image
from camcount.models.catalogue import packaged
from camcount.models.loader import Loader, resolve_detector
from camcount.models.loading import LoadingSettings
from camcount.models.opening import Trust, find_model
from camcount.models.package import Package, pack
from camcount.models.registry import Registry
from tests.registries import new_home
from tests.test_catalogue import entry_for


@pytest.fixture(scope="module")
def street(data: Path) -> Frame:
    """A real picture with cars in it."""
    image: Any = cv2.imread(str(data / "images" / "photos" / "road1.jpg"))

    def render(width: int, height: int) -> Image:
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    return Frame(index=0, time_s=0, width=image.shape[1], height=image.shape[0], render=render)


@pytest.fixture(scope="module")
def package(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """YOLOX-nano as a package."""
    weights = data / "weights" / "yolox_nano_416x416.onnx"
    return packaged(entry_for(weights), weights, tmp_path_factory.mktemp("package"))


def boxes(reference: str, street: Frame, **options: Any) -> list[list[float]]:
    """What the model finds in the picture, rounded to whole pixels."""
    detector = resolve_detector(reference, **options)
    (found,) = detector.detect([street])
    detector.close()
    return np.round(found.xyxy).tolist()  # type: ignore[no-any-return]


def test_one_model_by_every_name(
    data: Path, package: Package, street: Frame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package, an archive of it, its version and its alias give the same boxes, and the bare file much the same."""
    new_home(tmp_path / "home", monkeypatch)
    archive = pack(package.root, tmp_path / "nano.tar.gz")
    registry = Registry()
    registry.register(package)
    registry.promote("yolox-nano:1.0.0", "champion")
    expected = boxes(str(package.root), street, confidence=0.5)
    assert len(expected) > 3
    for reference in (str(archive), "yolox-nano", "yolox-nano:1.0.0", "yolox-nano@champion"):
        assert boxes(reference, street, confidence=0.5) == expected, reference
    # a bare YOLOX file may be run on less padding, which moves edges by a few pixels
    bare = boxes(str(data / "weights" / "yolox_nano_416x416.onnx"), street, confidence=0.4)
    for box in expected:
        assert any(np.abs(np.subtract(box, other)).max() <= 8 for other in bare)


def test_wishes_reach_the_detector(package: Package, street: Frame) -> None:
    """Labels, confidence, renaming and NMS overlap hold for packages as they do for files."""
    detector = resolve_detector(str(package.root), labels=["auto"], label_map={"car": "auto"}, confidence=0.5)
    (found,) = detector.detect([street])
    detector.close()
    assert detector.labels == ("auto",)
    assert len(found) > 0
    assert found.confidence.min() >= 0.5
    assert len(boxes(str(package.root), street, nms_iou=0.95)) > len(boxes(str(package.root), street))
    with pytest.raises(UsageError, match="says its decoder"):
        resolve_detector(str(package.root), decoder="ssd")


def test_what_is_built_in_needs_nothing(street: Frame) -> None:
    """The motion detector comes through the same door."""
    assert resolve_detector("motion").labels == detector_for("motion").labels


def test_an_archive_leaves_nothing_behind(package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was unpacked goes when the detector is closed."""
    import tempfile

    archive = pack(package.root, tmp_path / "nano.zip")
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(unpacked))
    detector = resolve_detector(str(archive))
    assert list(unpacked.iterdir())
    detector.close()
    assert list(unpacked.iterdir()) == []


def test_unsigned_models_are_refused_where_a_signature_is_required(
    package: Package, data: Path, tmp_path: Path
) -> None:
    """With require_signed_models neither an unsigned package nor a bare file is loaded: MODEL_002 with the reason."""
    pytest.importorskip("model_signing", reason='pip install "camcount[signing]"')
    from camcount.models.signing import new_key_pair, sign

    new_key_pair(tmp_path / "private.pem", tmp_path / "public.pem")
    trust = Trust(require_signed_models=True, public_key=tmp_path / "public.pem")
    for reference, why in [
        (str(package.root), "is not signed"),
        (str(data / "weights" / "yolox_nano_416x416.onnx"), "bare file without a signature"),
    ]:
        with pytest.raises(ModelLoadFailed, match=why) as caught:
            resolve_detector(reference, trust=trust)
        assert caught.value.code == "MODEL_002"
    shutil.copytree(package.root, tmp_path / "signed")
    from camcount.models.package import open_package

    sign(open_package(tmp_path / "signed"), tmp_path / "private.pem")
    resolve_detector(str(tmp_path / "signed"), trust=trust).close()
    with pytest.raises(UsageError, match="no public key"):
        resolve_detector(str(tmp_path / "signed"), trust=Trust(require_signed_models=True))
    with (tmp_path / "signed" / "model.yaml").open("a") as manifest:
        manifest.write("# altered\n")
    with pytest.raises(ModelLoadFailed, match="signature does not hold"):
        resolve_detector(str(tmp_path / "signed"), trust=trust)


def test_the_loader_loads_real_models(package: Package, data: Path, street: Frame) -> None:
    """Four real models in a loader with room for two, asked for by eight threads: each answers as it does alone."""
    weights = data / "weights"
    names = [
        str(package.root),
        *(str(weights / f"{n}.onnx") for n in ("light_person_detector", "nanodet_m_320", "FastestDet")),
    ]
    alone = {name: boxes(name, street) for name in names}
    loader = Loader(find_model, LoadingSettings(max_models_in_memory=2))

    def ask(number: int) -> None:
        for turn in range(4):
            name = names[(number + turn * (1 + number % 3)) % 4]
            with loader.lease(name) as detector:
                (found,) = detector.detect([street])
                assert len(loader.taken()) <= 2
            assert np.round(found.xyxy).tolist() == alone[name]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    loader.close()
    assert loader.taken() == []


def test_memory_comes_back(data: Path) -> None:
    """Forty loads and unloads leave a process as large as twelve did, within a megabyte.

    In a process of its own: other libraries in this one keep memory as they please. The allocator has two levels,
    4 MB apart, and goes from one to the other by chance: the least afterwards is held against the most before.
    """
    program = """
import sys
from pathlib import Path
from camcount.models.loader import Loader
from camcount.models.memory import resident_bytes
from camcount.models.opening import find_model
from camcount.video.pictures import PictureFolder

source = PictureFolder(Path(sys.argv[2]))
source.open()
street = source.read()
loader = Loader(find_model)
for _ in range(40):
    with loader.lease(sys.argv[1]) as detector:
        detector.detect([street])
    del detector
    loader.unload(sys.argv[1])
    print(resident_bytes())
"""
    arguments = [str(data / "weights/light_person_detector.onnx"), str(data / "images/photos/road1.jpg")]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    sizes = [int(line) for line in done.stdout.split()]
    assert min(sizes[30:]) - max(sizes[4:12]) < 1_000_000


def test_what_cannot_be_found_or_fits_no_engine(tmp_path: Path) -> None:
    """The loader's side knows a missing model before it loads anything."""
    with pytest.raises(ModelNotFound):
        find_model(str(tmp_path / "no.onnx"))
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    loader = Loader(find_model)
    with (
        pytest.raises(ModelLoadFailed, match=r"bad\.onnx cannot be loaded"),
        loader.lease(str(tmp_path / "bad.onnx")),
    ):
        pass
