"""Re-identification models as an appearance: crops in, unit vectors out; and the flag that names one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from camcount.app import CountingRun
from camcount.detection.appearance import appearance_for
from camcount.detection.load import detector_for
from camcount.errors import CamcountError, InvalidInput, ModelLoadFailed, ModelNotFound, UsageError
from camcount.frame import Frame, Image
from camcount.geometry import iou_matrix
from camcount.settings import load
from camcount.video.open import source_for
from tests.test_commands import GIVEN, Terminal, camcount, walk, yolox

__all__ = ["camcount", "walk", "yolox"]  # fixtures


@pytest.fixture(scope="session")
def reid(data: Path) -> Path:
    """A re-identification model."""
    return data / "weights" / "person-reidentification-retail-0288.onnx"


def pixels_model(
    path: Path,
    shape: tuple[int | str, ...] = (1, 3, 4, 4),
    metadata: Mapping[str, str] | None = None,
    last: str = "Flatten",
) -> Path:
    """A model whose vector is its input, or what ``last`` makes of it."""
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, list(shape))
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)
    nodes = [helper.make_node("Flatten", ["images"], ["flat"], axis=1)]
    nodes.append(helper.make_node(last, ["images" if last == "Flatten" else "flat"], ["answer"]))
    graph = helper.make_graph(nodes, "pixels", [picture], [answer])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.save(model, str(path))
    return path


def plain(colour: tuple[int, int, int], width: int = 40, height: int = 30) -> Frame:
    """A frame all of one colour, blue-green-red."""

    def render(w: int, h: int) -> Image:
        return np.full((h, w, 3), colour, np.uint8)

    return Frame(index=0, time_s=0.0, width=width, height=height, render=render)


BOXES = np.array([[4, 4, 20, 28], [10, 2, 30, 26]], np.float32)


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (1, 4, 4, 3), ("n", 3, 4, 4), ("n", "c", "h", "w")])
def test_a_model_of_any_layout_and_batch_gives_one_unit_vector_a_box(
    tmp_path: Path, shape: tuple[int | str, ...]
) -> None:
    """Colours or planes last, one picture at a time or many: pixels come in blue, green, red, 0 to 255."""
    found = appearance_for(pixels_model(tmp_path / "a.onnx", shape)).embed(plain((30, 20, 10)), BOXES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    pixel = found[1].reshape(-1, 3) if shape[-1] == 3 else found[1].reshape(3, -1).T
    np.testing.assert_allclose(pixel, np.broadcast_to(pixel[0, :1] * [1, 2 / 3, 1 / 3], pixel.shape), rtol=1e-5)


def test_a_file_says_how_it_wants_its_colours(tmp_path: Path) -> None:
    """``colour``, ``scale``, ``mean`` and ``std`` in the metadata mean what they do for detectors."""
    written = {"colour": "RGB", "scale": "0.1", "mean": "(0, 1, 0)", "std": "[1, 1, 2]"}
    path = pixels_model(tmp_path / "a.onnx", metadata=written)
    pixel = appearance_for(path).embed(plain((30, 20, 10)), BOXES)[0].reshape(3, -1)[:, 0]
    np.testing.assert_allclose(pixel / pixel[0], [1, 1, 1.5], rtol=1e-5)


@pytest.mark.parametrize("written", [{"mean": "grey"}, {"std": "(1, 2)"}, {"colour": "hsv"}])
def test_metadata_that_cannot_be_used_is_named(tmp_path: Path, written: dict[str, str]) -> None:
    """One line says that the file is at fault."""
    with pytest.raises(ModelLoadFailed, match=r"a\.onnx: its metadata cannot be used"):
        appearance_for(pixels_model(tmp_path / "a.onnx", metadata=written))


def test_a_frame_is_asked_once_and_for_no_more_pixels_than_the_crops_need(tmp_path: Path) -> None:
    """A large box of a large picture goes into a small input: the picture is made small to begin with."""
    asked: list[tuple[int, int]] = []

    def render(width: int, height: int) -> Image:
        asked.append((width, height))
        return np.zeros((height, width, 3), np.uint8)

    frame = Frame(index=0, time_s=0.0, width=4000, height=2000, render=render)
    appearance = appearance_for(pixels_model(tmp_path / "a.onnx", (1, 3, 256, 128)))
    appearance.embed(frame, np.array([[0, 0, 512, 1024], [900, 0, 1412, 1024]], np.float32))
    appearance.embed(frame, np.array([[0, 0, 600, 1200]], np.float32))
    assert asked == [(1000, 500)]
    appearance.embed(frame, np.array([[0, 0, 20, 50]], np.float32))
    assert asked == [(1000, 500), (4000, 2000)]


def test_boxes_beyond_the_edge_and_without_area_are_borne(tmp_path: Path) -> None:
    """A detector may say anything; no box at all is an empty answer."""
    appearance = appearance_for(pixels_model(tmp_path / "a.onnx"))
    odd = np.array([[-9, -9, 5, 5], [38, 28, 60, 60], [50, 50, 60, 60], [7, 7, 7, 7], [9, 9, 3, 3]], np.float32)
    assert np.isfinite(appearance.embed(plain((9, 9, 9)), odd)).all()
    assert appearance.embed(plain((9, 9, 9)), odd[:0]).shape == (0, 48)


def test_a_frame_without_a_picture_is_refused(tmp_path: Path) -> None:
    """Given detections show nothing."""
    with pytest.raises(InvalidInput, match="has no picture"):
        appearance_for(pixels_model(tmp_path / "a.onnx")).embed(Frame(index=3, time_s=0.0, width=9, height=9), BOXES)


def test_what_is_no_embedding_model_is_refused_in_one_line(tmp_path: Path, data: Path) -> None:
    """A detector, a classifier, a model of no pictures, a file of something else, no file."""
    weights = data / "weights"
    faults: list[tuple[Path, type[CamcountError], str]] = [
        (weights / "yolox_nano_416x416.onnx", ModelLoadFailed, "not one vector"),
        (weights / "nanodet_m_320.onnx", ModelLoadFailed, "not one vector"),
        (pixels_model(tmp_path / "classes.onnx", last="Softmax"), ModelLoadFailed, "names classes"),
        (pixels_model(tmp_path / "rank.onnx", (1, 48)), ModelLoadFailed, "not one picture"),
        (data / "README.md", ModelLoadFailed, "cannot be loaded as an ONNX model"),
        (tmp_path / "none.onnx", ModelNotFound, "no model file"),
    ]
    for path, kind, words in faults:
        with pytest.raises(kind, match=words) as said:
            appearance_for(path)
        assert "\n" not in str(said.value)


def test_a_person_looks_more_like_himself_later_than_like_others(data: Path, reid: Path, yolox: Path) -> None:
    """On a real street, half a second apart: nearly always; this is what the whole is built on."""
    source = source_for(str(data / "videos" / "people-walking.mp4"))
    source.open()
    frames = [frame for frame in (source.read() for _ in range(40)) if frame is not None][::13]
    source.close()
    detector, appearance = detector_for(str(yolox), labels=["person"], confidence=0.5), appearance_for(reid)
    boxes = [found.xyxy for found in detector.detect(frames)]
    looks = [appearance.embed(frame, xyxy) for frame, xyxy in zip(frames, boxes, strict=True)]
    right = asked = 0
    for k in range(len(frames) - 1):
        likeness = iou_matrix(boxes[k], boxes[k + 1])
        for row in np.flatnonzero((likeness.max(axis=1) > 0.5) & ((likeness > 0.1).sum(axis=1) == 1)).tolist():
            asked += 1
            right += int((looks[k][row] @ looks[k + 1].T).argmax() == likeness[row].argmax())
    assert asked >= 10
    assert right >= 0.8 * asked


def test_counting_with_looks_says_how_many_it_took(camcount: Terminal, data: Path, reid: Path, yolox: Path) -> None:
    """The cost is part of the result, for programs and for people; without the flag nothing is said of it."""
    video = data / "videos" / "people.mp4"
    usual = (
        "count",
        video,
        "--model",
        yolox,
        "--labels",
        "person",
        "--duration",
        "1s",
        "--line",
        "a=0.1,0.7,0.9,0.7",
    )
    said = camcount(*usual, "--appearance", reid, "--json").json["appearance"]
    assert said["embeddings"] > 0
    assert said["per_frame"] == pytest.approx(said["embeddings"] / 31, abs=0.1)
    assert "to tell who is who" in camcount(*usual, "--appearance", reid).out
    assert "appearance" not in camcount(*usual, "--json").json


def test_track_and_evaluate_take_the_flag(
    camcount: Terminal, data: Path, reid: Path, yolox: Path, tmp_path: Path
) -> None:
    """``track`` says what it took; ``evaluate counting`` counts with it."""
    usual = ("--model", yolox, "--labels", "person", "--appearance", reid, "--fps", 5, "--json")
    video = data / "videos" / "people.mp4"
    assert camcount("track", video, *usual, "--out", tmp_path / "t.txt").json["appearance"]["embeddings"] > 0
    score = camcount("evaluate", "counting", "--truth", data / "truth" / "people.yaml", "--source", video, *usual)
    assert score.json["overall"]["f1"] > 0.5


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--tracker", "sort"), "--appearance goes with the tracker camcount only"),
        ((), "--detections come without pictures"),
    ],
)
def test_what_cannot_go_with_looks_is_refused(
    camcount: Terminal, walk: Path, tmp_path: Path, flags: tuple[str, ...], words: str
) -> None:
    """Another tracker never looks, and given boxes show nothing: status 2, before any model is loaded."""
    said = camcount("count", "--detections", walk, *GIVEN, "--appearance", tmp_path / "none.onnx", *flags)
    assert said.status == 2
    assert words in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(("name", "words"), [("none.onnx", "no such file"), ("motion", "is no model file")])
def test_a_name_that_is_no_file_is_refused(name: str, words: str) -> None:
    """An appearance is a file of its own."""
    with pytest.raises(CamcountError, match=words):
        CountingRun(load(None, {"source": "demo:street?seconds=1", "appearance": name}))


def test_where_signatures_are_required_a_bare_file_is_refused(tmp_path: Path) -> None:
    """The rule for detectors holds for this model too."""
    from camcount.models.opening import Trust, resolve_appearance

    path = pixels_model(tmp_path / "a.onnx")
    with pytest.raises(ModelLoadFailed, match="without a signature"):
        resolve_appearance(str(path), trust=Trust(require_signed_models=True, public_key=tmp_path / "key.pem"))
    with pytest.raises(UsageError, match="choose from"):
        resolve_appearance(str(path), providers=["abacus"])
