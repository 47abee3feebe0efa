"""Prepared models give the boxes of the plain ones, faster, and can be taken back."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from camcount.detection.buckets import BucketDetector
from camcount.engines.onnx import OnnxEngine
from camcount.errors import ModelLoadFailed, SourceNotFound, UsageError
from camcount.frame import Frame
from camcount.models import prepare_nodes
from camcount.models.agreement import answers, overlaps
from camcount.models.describe import Description, describe
from camcount.models.manifest import Step
from camcount.models.package import Package, encrypted, open_package
from camcount.models.packaged import detector_of
from camcount.models.prepare import NARROWER, TRIMMED, Wishes, check, plain_detector, prepare, undo
from camcount.models.prepare_graph import Graph, groups
from camcount.models.prepare_nodes import CannotChange, Nodes
from camcount.models.prepare_steps import FORMS, rectangle
from camcount.models.samples import samples

WANTED = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
NUMBERS = [0, 1, 2, 3, 5, 7]


@pytest.fixture(scope="module")
def frames(data: Path) -> list[Frame]:
    """Pictures of both usual shapes: a street in 16:9 and a synthetic one in 4:3."""
    wide = samples([str(data / "videos" / "people-walking.mp4")], 4)
    return wide + samples(["demo:street?seed=5&seconds=6&fps=1&width=640&height=480"], 4)


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Package:
    """YOLOX-nano as a plain package."""
    folder = tmp_path_factory.mktemp("plain") / "yolox"
    return describe(data / "weights" / "yolox_nano_416x416.onnx", folder, Description(name="yolox-nano"))


@pytest.fixture(scope="module")
def prepared(made: Package, frames: Sequence[Frame], tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The same, prepared for six labels and both shapes."""
    return prepare(
        _copy(made, tmp_path_factory.mktemp("prepared") / "yolox"), frames, Wishes(labels=WANTED, rounds=1)
    )


def _copy(package: Package, folder: Path) -> Package:
    shutil.copytree(package.root, folder)
    return open_package(folder)


def test_every_step_is_kept_and_reported(prepared: Package) -> None:
    """Each with its agreement on the pictures that it is about, and its speed; eight are too few to fit to."""
    steps = {step.name: step for step in prepared.manifest.preparation}
    sizes = ["input 416x320", "input 416x256"]
    fitted = [TRIMMED, *NARROWER.values()]
    assert list(steps) == ["free batch axis", "fewer classes", *sizes, "constants folded", *FORMS, *fitted]
    for name in fitted:
        assert not steps[name].kept
        assert "sure boxes in the sample pictures" in steps.pop(name).detail
    assert all(step.kept and step.recall == step.precision == 1 and step.speed for step in steps.values())
    assert prepared.manifest.sizes.keys() == {(416, 416), (416, 320), (416, 256)}
    assert tuple(prepared.manifest.labels.values()) == WANTED


def test_a_prepared_model_finds_what_the_plain_one_finds(prepared: Package, frames: Sequence[Frame]) -> None:
    """Box for box; where the padding ended, what lies at its edge moves a little."""
    plain, other = plain_detector(prepared), detector_of(prepared)
    assert isinstance(other, BucketDetector)
    iou, difference = [], []
    for before, after in zip(answers(plain, frames), answers(other, frames), strict=True):
        sure = np.flatnonzero(before.confidence > 0.3)
        shared = overlaps(before.xyxy[sure], after.xyxy)
        nearest = shared.argmax(axis=1)
        iou += shared.max(axis=1).tolist()
        difference += np.abs(after.confidence[nearest] - before.confidence[sure]).tolist()
        assert [after.label(row) for row in nearest] == [before.label(int(row)) for row in sure]
    assert len(iou) > 50
    assert (min(iou) > 0.6, np.median(iou) > 0.98) == (True, True)
    assert (max(difference) < 0.2, np.median(difference) < 0.02) == (True, True)


def test_a_batch_gives_what_single_pictures_give(prepared: Package, frames: Sequence[Frame]) -> None:
    """With the batch axis free, frames of one size go through the model together."""
    detector = detector_of(prepared)
    together = detector.detect(frames)
    for one, alone in zip(together, answers(detector, frames), strict=True):
        assert len(one) == len(alone)
        np.testing.assert_allclose(one.xyxy, alone.xyxy, atol=0.5)


def test_the_check_can_be_run_again(prepared: Package, frames: Sequence[Frame]) -> None:
    """On any pictures, and it tells the speed: rectangles alone leave a third of the pixels out."""
    found, speed = check(prepared, frames[:4], rounds=3)
    assert (found.frames, found.recall, found.precision) == (4, 1, 1)
    assert speed > 1.2


def test_the_check_notices_another_model(prepared: Package, frames: Sequence[Frame], tmp_path: Path) -> None:
    """Weights that were touched after the preparation, here three sides of a class layer, do not agree."""
    copy = _copy(prepared, tmp_path / "copy")
    for name in set(copy.manifest.sizes.values()):
        model = onnx.load(copy.root / name)
        for entry in model.graph.initializer:
            if list(entry.dims)[:1] == [6]:
                entry.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(entry)[::-1].copy(), entry.name))
        onnx.save(model, copy.root / name)
    assert check(copy, frames[:4], rounds=1)[0].recall < 0.5


def test_undoing_gives_the_plain_package_back(made: Package, prepared: Package, tmp_path: Path) -> None:
    """Byte for byte, the manifest too."""
    before = made.digest
    again = undo(_copy(prepared, tmp_path / "copy"))
    assert again.digest == before
    assert undo(again) is again


def test_preparing_twice_begins_with_the_plain_model(
    prepared: Package, frames: Sequence[Frame], tmp_path: Path
) -> None:
    """Labels that were cut out the first time are there again."""
    copy = _copy(prepared, tmp_path / "copy")
    again = prepare(copy, frames, Wishes(labels=("person", "dog"), sizes=(), rounds=1))
    assert tuple(again.manifest.labels.values()) == ("person", "dog")
    assert again.manifest.sizes.keys() == {(416, 416)}


def test_a_step_that_changes_the_boxes_is_undone(made: Package, frames: Sequence[Frame], tmp_path: Path) -> None:
    """People a third as tall are not the same boxes; nor is a size kept that no picture has, or that cannot be."""
    copy = _copy(made, tmp_path / "copy")
    reported: list[Step] = []
    wishes = Wishes(sizes=((160, 96), (96, 416), (417, 256)), least=0.99, rounds=1)
    detector = prepare(copy, frames, wishes, reported.append)
    kept = {step.name: step for step in reported}
    assert detector.manifest.sizes.keys() == {(416, 416)}
    assert "no sample picture has this shape" in kept["input 96x416"].detail
    assert not kept["input 417x256"].kept


def test_too_few_boxes_prove_nothing(made: Package, tmp_path: Path) -> None:
    """On pictures with nothing in them every model agrees with every other."""
    from camcount.video.pictures import frame_of

    grey = [frame_of(np.full((90, 160, 3), 114, np.uint8))] * 3
    after = prepare(_copy(made, tmp_path / "copy"), grey, Wishes(rounds=1))
    assert not any(step.kept for step in after.manifest.preparation)
    *judged, trimmed = after.manifest.preparation
    assert len(judged) > 4
    assert all("only 0 sure boxes" in step.detail for step in judged)
    assert trimmed.detail == "not possible: what sees its pictures first is no convolution"  # it was not joined
    assert after.manifest.plain is None


def test_what_is_fitted_to_a_picture_is_not_judged_by_it(
    made: Package, frames: Sequence[Frame], tmp_path: Path
) -> None:
    """With one picture nothing is left to judge fitted layers by, so they stay as they are."""
    reported: list[Step] = []
    prepare(_copy(made, tmp_path / "copy"), frames[:1], Wishes(labels=WANTED, sizes=(), rounds=1), reported.append)
    fitted = [step for step in reported if step.name in (TRIMMED, *NARROWER.values())]
    assert [(step.kept, "is left to judge it by" in step.detail) for step in fitted] == [(False, True)] * 3


def test_what_cannot_be_prepared_is_refused(made: Package, frames: Sequence[Frame], tmp_path: Path) -> None:
    """Unknown labels and encrypted models; what was never prepared cannot be checked."""
    with pytest.raises(UsageError, match="has no label 'persom'"):
        prepare(_copy(made, tmp_path / "a"), frames, Wishes(labels=("persom",)))
    with pytest.raises(UsageError, match="prepare it first, encrypt it then"):
        prepare(encrypted(_copy(made, tmp_path / "b"), bytes(32)), frames, Wishes())
    with pytest.raises(UsageError, match="prepare it first"):
        check(made, frames)


def test_an_encrypted_package_detects(
    prepared: Package, frames: Sequence[Frame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All sizes are decrypted in memory; without the key nothing loads."""
    import base64

    from camcount.models.encryption import KEY_VARIABLE

    sealed = encrypted(_copy(prepared, tmp_path / "copy"), bytes(32))
    monkeypatch.setenv(KEY_VARIABLE, base64.b64encode(bytes(32)).decode())
    expected = answers(detector_of(prepared), frames)
    found = answers(detector_of(sealed), frames)
    assert [len(one) for one in found] == [len(one) for one in expected]
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(ModelLoadFailed, match="put its key into"):
        detector_of(sealed)


WEIGHTS = {"yolox_nano_416x416": True, "nanodet_m_320": True, "picodet_s_320_coco": True, "FastestDet": False}


def _run(content: bytes, picture: np.ndarray) -> list[np.ndarray]:
    engine = OnnxEngine(content)
    return engine.run({next(iter(engine.inputs)): picture})


@pytest.mark.parametrize("name", WEIGHTS)
def test_graphs_change_exactly_or_not_at_all(data: Path, name: str) -> None:
    """Fewer classes and a free batch give the very numbers of the file as it was; what cannot be says why."""
    content = (data / "weights" / f"{name}.onnx").read_bytes()
    shape = next(iter(OnnxEngine(content).inputs.values())).shape
    pair = np.random.default_rng(0).random((2, *(side or 1 for side in shape[1:]))).astype(np.float32)
    graph = Graph(content)
    if not WEIGHTS[name]:
        with pytest.raises(CannotChange, match="Softmax"):
            graph.keep_classes(NUMBERS, 80)
        with pytest.raises(CannotChange, match="mixes the batch"):
            graph.free_batch()
        return
    assert graph.keep_classes(NUMBERS, 80) in (3, 4)
    graph.free_batch()
    assert graph.batch_is_free
    single = [_run(content, pair[row : row + 1]) for row in range(2)]
    for number, output in enumerate(_run(graph.content, pair)):
        before = np.concatenate([one[number] for one in single])
        if before.shape[-1] in (80, 85):
            first = before.shape[-1] - 80
            before = before[..., [*range(first), *(first + n for n in NUMBERS)]]
        np.testing.assert_allclose(output, before, atol=1e-3, rtol=1e-3)


JOINED = {"first layer joined": 1, "pools chained": 2, "convolved before stacking": 17}
"""How many operations of YOLOX change."""


@pytest.mark.parametrize("name", ["yolox_nano_416x416", "light_person_detector"])
def test_cheaper_forms_give_the_same_numbers(data: Path, frames: Sequence[Frame], name: str) -> None:
    """Of a real picture, within 1e-3, each alone and all together, from fewer copies."""
    content = (data / "weights" / f"{name}.onnx").read_bytes()
    height, width = next(iter(OnnxEngine(content).inputs.values())).shape[2:]
    picture = frames[0].image(width, height).transpose(2, 0, 1)[None].astype(np.float32)
    before = _run(content, picture)
    together = Nodes(content)
    for step, form in FORMS.items():
        alone = Nodes(content)
        assert form(alone) == form(together) == JOINED[step]
        for nodes in (alone, together):
            np.testing.assert_allclose(_run(nodes.content, picture)[0], before[0], atol=1e-3, rtol=1e-3)
    kinds = Counter(node.op_type for node in together.graph.node)
    assert (kinds["Slice"], kinds["Resize"]) == (0, 4)


def test_cheaper_forms_take_any_number_of_pictures(data: Path) -> None:
    """Enlarged parts say how large they are, so that ONNX Runtime adds inside the convolution."""
    graph = Graph((data / "weights" / "yolox_nano_416x416.onnx").read_bytes())
    graph.free_batch()
    nodes = Nodes(graph.content)
    for form in FORMS.values():
        form(nodes)
    pair = np.random.default_rng(0).random((2, 3, 416, 416)).astype(np.float32)
    single = [_run(graph.content, pair[row : row + 1])[0] for row in range(2)]
    np.testing.assert_allclose(_run(nodes.content, pair)[0], np.concatenate(single), atol=1e-3, rtol=1e-3)
    stated = {
        entry.name: [side.dim_param or side.dim_value for side in entry.type.tensor_type.shape.dim]
        for entry in nodes.graph.value_info
    }
    assert sorted(stated.values()) == [["batch", 32, 52, 52]] * 2 + [["batch", 64, 26, 26]] * 2


@pytest.mark.parametrize(
    ("step", "name", "reason"),
    [
        ("first layer joined", "nanodet_m_320", "no slices to be joined with"),
        ("pools chained", "picodet_s_320_coco", "no two of its pools"),
        ("convolved before stacking", "nanodet_m_320", "nothing stacked goes into 1x1"),
    ],
)
def test_what_has_no_cheaper_form_says_why(data: Path, step: str, name: str, reason: str) -> None:
    """The step is then reported as not possible."""
    nodes = Nodes((data / "weights" / f"{name}.onnx").read_bytes())
    with pytest.raises(CannotChange, match=reason):
        FORMS[step](nodes)


def test_a_form_that_changes_a_number_is_undone(
    made: Package, frames: Sequence[Frame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here a bias of the last layer that was made larger on the way: the file stays as it was before the step."""

    def wrong(nodes: Nodes) -> int:
        bias = next(node for node in reversed(nodes.graph.node) if node.op_type == "Conv").input[2]
        entry = next(entry for entry in nodes.graph.initializer if entry.name == bias)
        entry.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(entry) + np.float32(0.5), bias))
        return 1

    monkeypatch.setitem(FORMS, "pools chained", wrong)
    reported: list[Step] = []
    prepare(_copy(made, tmp_path / "copy"), frames[:4], Wishes(sizes=(), rounds=1), reported.append)
    steps = {step.name: step for step in reported}
    assert "the same picture comes out changed" in steps["pools chained"].detail
    assert [steps[name].kept for name in FORMS] == [True, False, True]


@pytest.mark.parametrize(
    ("name", "size", "rows"), [("yolox_nano_416x416", (416, 256), 2184), ("nanodet_m_320", (320, 192), 960)]
)
def test_another_size_gives_one_row_per_cell(data: Path, name: str, size: tuple[int, int], rows: int) -> None:
    """Every Reshape follows, the channel shuffles with both sides written into them too."""
    graph = Graph((data / "weights" / f"{name}.onnx").read_bytes())
    graph.resize(*size)
    output = _run(graph.content, np.zeros((1, 3, size[1], size[0]), np.float32))[0]
    assert output.shape[1] == rows


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ((2, 3), (3, 3), "is not understood"),
        ((4,), (2, 3), "is not understood"),
        ((2, 6), (2, 5), "is not understood"),
    ],
)
def test_a_reshape_that_does_not_add_up_is_refused(
    before: tuple[int, ...], after: tuple[int, ...], message: str
) -> None:
    """Sides that make no equal products."""
    with pytest.raises(CannotChange, match=message):
        groups(before, after)


def test_what_is_no_graph_is_refused() -> None:
    """Bytes of anything else."""
    with pytest.raises(CannotChange, match="not an ONNX file"):
        Graph(b"\xff" * 100)


def test_without_the_onnx_package_it_is_said_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra's name is in the message."""
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UsageError, match=r"camcount\[prepare\]"):
        prepare_nodes.require_onnx()


@pytest.mark.parametrize(
    ("shape", "size"),
    [((1920, 1080), (416, 256)), ((640, 480), (416, 320)), ((352, 288), (416, 352)), ((720, 1280), (256, 416))],
)
def test_a_rectangle_holds_the_whole_picture(shape: tuple[int, int], size: tuple[int, int]) -> None:
    """The shapes that cameras have."""
    assert rectangle((416, 416), 32, *shape) == size


def test_samples_are_spread_over_a_video(data: Path) -> None:
    """As many as asked for, in order, the last from near the end, each at the size it has."""
    chosen = samples([str(data / "videos" / "people-walking.mp4")], 5)
    assert len(chosen) == 5
    times = [frame.time_s for frame in chosen]
    assert times == sorted(times)
    assert times[-1] > 0.6 * 314 / 25
    assert chosen[0].image().shape == (720, 1280, 3)
    with pytest.raises(SourceNotFound):
        samples(["nowhere.mp4"])
