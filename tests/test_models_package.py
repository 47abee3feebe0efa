"""Packages made of real model files, as detectors and from the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from camcount.commands import models_handover, models_package
from camcount.detection.drawing import draw_boxes, write_picture
from camcount.detection.load import detector_for
from camcount.detections import Detections
from camcount.errors import DiskFull, ModelLoadFailed, ModelNotFound, ModelVersionMismatch, UsageError
from camcount.models.agreement import agreement, answers
from camcount.models.describe import Description, describe, look
from camcount.models.package import Package, open_package, seal
from camcount.models.packaged import detector_of
from camcount.models.samples import samples

app = typer.Typer()
for command, function in (models_package.COMMANDS | models_handover.COMMANDS).items():
    app.command(command)(function)  # type: ignore[type-var]


def run(*arguments: str | Path) -> str:
    """What a command prints; its error is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def person(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The light person detector as a package."""
    folder = tmp_path_factory.mktemp("made") / "person"
    return describe(data / "weights" / "light_person_detector.onnx", folder, Description(name="person-detector"))


@pytest.fixture
def copy(person: Package, tmp_path: Path) -> Path:
    """Its folder, to be changed."""
    return shutil.copytree(person.root, tmp_path / "person")


WEIGHTS = {
    "yolox_nano_416x416.onnx": ("yolox", (416, 416), "letterbox", 80),
    "picodet_s_320_coco.onnx": ("picodet", (320, 320), "stretch", 80),
    "nanodet_m_320.onnx": ("nanodet", (320, 320), "letterbox-centred", 80),
    "FastestDet.onnx": ("fastestdet", (352, 352), "stretch", 80),
    "light_person_detector.onnx": ("yolox", (192, 192), "letterbox", 1),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_package_of_a_file_detects_like_the_file(data: Path, tmp_path: Path, name: str) -> None:
    """All that `--model FILE` finds out by looking is in the manifest: the same boxes come out."""
    package = describe(data / "weights" / name, tmp_path / "package", Description())
    spec = package.manifest.spec()
    decoder, size, fit, classes = WEIGHTS[name]
    assert (spec.decoder, (spec.width, spec.height), spec.fit, len(spec.labels)) == (decoder, size, fit, classes)
    frames = samples([str(data / "images" / "photos" / "people1.jpeg")], 1)
    file, packaged = detector_for(str(data / "weights" / name)), detector_of(package)
    result = agreement(answers(file, frames), answers(packaged, frames), file.labels)
    assert result.plain_sure > 3
    assert (result.recall, result.precision) == (1, 1)


def test_an_openvino_model_comes_with_its_weights(data: Path, tmp_path: Path) -> None:
    """The second file of the pair is in the package, and the engine finds it."""
    pytest.importorskip("openvino")
    file = data / "weights" / "person-detection-retail-0013-FP16" / "person-detection-retail-0013.xml"
    package = describe(file, tmp_path / "retail", Description(class_names=("none", "person")))
    assert set(package.manifest.files) == {"model.xml", "model.bin"}
    assert package.manifest.engine == "openvino"
    found = detector_of(package).detect(samples(["demo:street?seed=1&seconds=1&fps=1"], 1))[0]
    assert {found.label(row) for row in range(len(found))} <= {"none", "person"}


def test_looking_measures_and_seals(copy: Path, data: Path) -> None:
    """The card gets the time that one picture takes, the machine and the day."""
    frame = samples([str(data / "images" / "photos" / "people1.jpeg")], 1)[0]
    package, found = look(open_package(copy), frame)
    assert len(found) > 3
    card = open_package(copy).manifest.card
    assert card == package.manifest.card
    assert (card.latency_ms or 0) > 0
    assert card.machine
    assert len(card.measured) == 10


@pytest.mark.parametrize(
    ("file", "given", "kind", "message"),
    [
        ("README.md", {}, ModelLoadFailed, "of no kind that is known here"),
        ("none.onnx", {}, ModelNotFound, "no model file"),
        ("weights/person-reidentification-retail-0288.onnx", {}, ModelLoadFailed, "no detector"),
        (
            "weights/yolox_nano_416x416.onnx",
            {"class_names": ("a", "b")},
            UsageError,
            "has 80 classes, and 2 class names",
        ),
        ("weights/yolox_nano_416x416.onnx", {"decoder": "ssd"}, UsageError, "decoder 'ssd' cannot read"),
        ("weights/yolox_nano_416x416.onnx", {"version": "1.0"}, ModelVersionMismatch, "not a SemVer version"),
        ("weights/yolox_nano_416x416.onnx", {"name": "a/b"}, ModelLoadFailed, "name: "),
        ("README.md", {"engine": "onnx"}, ModelLoadFailed, "cannot be loaded as an ONNX model"),
        ("README.md", {"engine": "abacus"}, UsageError, "unknown engine 'abacus'"),
    ],
)
def test_what_makes_no_package_leaves_nothing_behind(
    data: Path, tmp_path: Path, file: str, given: dict[str, object], kind: type[Exception], message: str
) -> None:
    """One line, and no folder."""
    with pytest.raises(kind, match=message) as caught:
        describe(data / file, tmp_path / "package", Description(**given))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "package").exists()


def test_a_folder_in_use_is_left_alone(data: Path, tmp_path: Path) -> None:
    """Nothing is ever written over."""
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        describe(data / "weights" / "light_person_detector.onnx", tmp_path, Description())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {0: "person", 1: "car"}}, "person-detector:1.0.0"),
        ({"input": {"size": (160, 160)}}, "takes pictures of 192x192 only"),
        ({"output": {"decoder": "ssd"}}, "decoder 'ssd' cannot read"),
        ({"engine": "abacus"}, "unknown engine 'abacus'"),
    ],
)
def test_a_manifest_that_does_not_fit_the_model_is_refused_at_load(
    copy: Path, changes: dict[str, object], message: str
) -> None:
    """Labels, size, decoder and engine are compared with what the file really does."""
    package = seal(copy, open_package(copy).manifest.changed(**changes))
    with pytest.raises((ModelLoadFailed, UsageError), match=message) as caught:
        detector_of(package)
    assert "\n" not in str(caught.value)


def test_wishes_and_thresholds_of_a_packaged_model(copy: Path) -> None:
    """A manifest's thresholds hold until somebody says otherwise; labels can be renamed and chosen."""
    manifest = open_package(copy).manifest.changed(thresholds={"default": 0.2, "labels": {"person": 0.6}})
    package = seal(copy, manifest)
    frames = samples(["demo:street?seed=1&seconds=4&fps=1"], 4)
    strict, loose = detector_of(package), detector_of(package, confidence=0.15, label_map={"person": "walker"})
    assert loose.labels == ("walker",)
    least = [
        min((float(c) for one in answers(d, frames) for c in one.confidence), default=1) for d in (strict, loose)
    ]
    assert least[0] >= 0.6 > least[1] >= 0.15
    with pytest.raises(UsageError, match="knows no label 'dog'"):
        detector_of(package, labels=["dog"])


def test_boxes_are_drawn_on_a_copy(tmp_path: Path) -> None:
    """Only the rows asked for, and the file reads back the same."""
    picture = np.zeros((90, 160, 3), np.uint8)
    boxes = np.array([[10, 30, 40, 80], [100, 30, 140, 80]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.8], np.float32), np.array([0, 1], np.int32), ("person", "car"))
    drawn = draw_boxes(picture, found, [0])
    assert not picture.any()
    assert drawn[:, :90].any()
    assert not drawn[:, 95:].any()
    write_picture(tmp_path / "boxes.png", drawn)
    np.testing.assert_array_equal(np.asarray(cv2.imread(str(tmp_path / "boxes.png"))), drawn)
    with pytest.raises(DiskFull, match="cannot be written"):
        write_picture(tmp_path / "no" / "boxes.png", drawn)


def test_a_package_from_the_command_line(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made, looked at, checked, signed, packed and verified, as the documentation types it."""
    monkeypatch.chdir(tmp_path)
    photo = data / "images" / "photos" / "people1.jpeg"
    weights = data / "weights" / "light_person_detector.onnx"
    shown = run("init", weights, "--picture", photo, "--name", "person-detector", "--licence", "Apache-2.0")
    assert "person-detector:1.0.0" in shown
    assert "person │" in shown
    assert np.asarray(cv2.imread("person-detector-boxes.png")).shape == np.asarray(cv2.imread(str(photo))).shape
    assert open_package("person-detector").manifest.licence == "Apache-2.0"
    run("keygen", "key.pem", "key.pub")
    assert "is signed" in run("sign", "person-detector", "--key", "key.pem")
    run("pack", "person-detector", "person.zip")
    assert "unchanged since" in run("verify", "person.zip", "--key", "key.pub")
    assert json.loads(run("check", "person.zip", "--json"))["signed"] is True
    content = Path("person-detector/model.onnx").read_bytes()
    Path("person-detector/model.onnx").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelLoadFailed, match=r"model\.onnx is not the file"):
        run("verify", "person-detector", "--key", "key.pub")


def test_preparing_from_the_command_line(data: Path, copy: Path) -> None:
    """The steps are told with their figures; the check and the way back work."""
    video = str(data / "videos" / "people.mp4")
    steps = json.loads(run("prepare", copy, "--video", video, "--frames", "12", "--json"))["steps"]
    assert [step["name"] for step in steps][:3] == ["free batch axis", "input 192x128", "constants folded"]
    assert json.loads(run("check", copy, "--video", video, "--frames", "12", "--json"))["recall"] > 0.9
    assert "as it was made" in run("undo", copy)
    assert open_package(copy).manifest.plain is None
    with pytest.raises(UsageError, match="is not WIDTHxHEIGHT"):
        run("prepare", copy, "--size", "large")
    with pytest.raises(UsageError, match="knows no label 'persn'"):
        run("prepare", copy, "--labels", "persn")


def test_encrypting_from_the_command_line(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key made by one command locks, and opens, with the next."""
    monkeypatch.setenv("CAMCOUNT_MODEL_KEY", run("key").strip())
    assert "encrypted model.onnx" in run("encrypt", copy)
    assert "all files are as listed" in run("check", copy)
    monkeypatch.setenv("CAMCOUNT_MODEL_KEY", run("key").strip())
    with pytest.raises(ModelLoadFailed, match="cannot be decrypted"):
        run("check", copy)


def test_a_signature_made_by_the_library_s_own_tool_holds(copy: Path, tmp_path: Path) -> None:
    """Whoever uses OpenSSF's command line can sign for us: the format is theirs."""
    run("keygen", tmp_path / "key.pem", tmp_path / "key.pub")
    tool = [sys.executable, "-m", "model_signing", "sign", "key", "--private_key", str(tmp_path / "key.pem")]
    tool += ["--no-ignore-git-paths", "--signature", str(copy / "model.sig"), str(copy)]
    subprocess.run(tool, check=True, capture_output=True, env=os.environ)
    assert "unchanged since" in run("verify", copy, "--key", tmp_path / "key.pub")
