"""What a manifest holds, refuses and means."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.errors import ModelLoadFailed, ModelNotFound, ModelVersionMismatch
from camcount.models.manifest import Manifest, json_schema, manifest_of, picture_fields
from camcount.models.manifest_file import load_manifest, save_manifest
from camcount.models.version import parse_version

ROOT = Path(__file__).parents[1]


def values(**changes: Any) -> dict[str, Any]:
    """A plain manifest with some fields changed."""
    return {
        "name": "person-detector",
        "version": "1.0.0",
        "artifact": "model.onnx",
        "input": {"size": [416, 416]},
        "output": {"decoder": "yolox", "parameters": {"strides": [8, 16, 32]}},
        "labels": {0: "person", 1: "car"},
        **changes,
    }


def test_the_published_schema_is_the_manifest() -> None:
    """docs/model.schema.json is what the code says."""
    assert (ROOT / "docs" / "model.schema.json").read_text() == json_schema()


def test_the_schema_can_be_read_by_others() -> None:
    """It names its draft, forbids unknown fields and gives the pattern of a version."""
    schema = json.loads(json_schema())
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["additionalProperties"] is False
    assert schema["properties"]["version"]["pattern"].startswith("^(0|")


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30)
names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z")
versions = st.builds(
    "{}.{}.{}{}".format,
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(0, 99),
    st.sampled_from(["", "-rc.1", "-alpha", "+build.7", "-rc.2+5"]),
)
sizes = st.tuples(st.integers(1, 4096), st.integers(1, 4096))
files = st.sampled_from(["model.onnx", "weights/part-1.bin", "Modell ä.onnx", "a b.tflite"])
numbers = st.floats(-1e6, 1e6)
labels = st.lists(words.filter(str.strip), min_size=1, max_size=90)
manifests = st.fixed_dictionaries(
    {
        "name": names,
        "version": versions,
        "artifact": files,
        "input": st.fixed_dictionaries(
            {"size": sizes},
            optional={
                "fit": st.sampled_from(["letterbox", "letterbox-centred", "stretch"]),
                "mean": st.tuples(numbers, numbers, numbers),
                "std": st.tuples(*[st.floats(0.001, 1e6)] * 3),
                "pad": st.integers(0, 255),
                "colour": st.sampled_from(["bgr", "rgb"]),
            },
        ),
        "output": st.fixed_dictionaries(
            {"decoder": st.sampled_from(["yolox", "ssd", "picodet"])},
            optional={
                "parameters": st.dictionaries(names, st.one_of(numbers, words, st.none(), st.lists(st.integers()))),
                "nms_iou": st.none() | st.floats(0.01, 1),
            },
        ),
        "labels": labels.map(lambda found: dict(enumerate(found))),
    },
    optional={
        "notes": words,
        "licence": words,
        "dependencies": st.dictionaries(words, words, max_size=3),
        "card": st.fixed_dictionaries({}, optional={"map": st.floats(0, 1), "machine": words}),
        "lineage": st.fixed_dictionaries({}, optional={"git_tag": words, "parent": words}),
        "files": st.dictionaries(files, st.from_regex(r"\A[0-9a-f]{64}\Z"), max_size=3),
    },
)


@given(manifests)
def test_what_is_written_reads_back_the_same(given_values: dict[str, Any]) -> None:
    """Any manifest survives the way through its file, whatever letters, numbers and gaps it holds."""
    manifest = manifest_of(given_values, "given")
    with tempfile.TemporaryDirectory() as folder:
        assert load_manifest(save_manifest(manifest, folder)) == manifest
        assert load_manifest(folder) == manifest


def test_a_manifest_becomes_the_spec_of_a_detector() -> None:
    """Every field that a detector needs arrives, lists as tuples, for each of the package's sizes."""
    manifest = manifest_of(
        values(
            input={
                "size": [416, 320],
                "fit": "stretch",
                "colour": "rgb",
                "mean": [1, 2, 3],
                "buckets": [{"size": [416, 256], "artifact": "wide.onnx"}, {"size": [256, 416]}],
            },
            thresholds={"default": 0.2, "labels": {"car": 0.15}},
        ),
        "given",
    )
    spec = manifest.spec()
    assert (spec.width, spec.height, spec.fit, spec.colour, spec.mean) == (416, 320, "stretch", "rgb", (1, 2, 3))
    assert spec.labels == ("person", "car")
    assert spec.parameters == {"strides": (8, 16, 32)}
    assert spec.confidence == 0.15
    assert manifest.spec((416, 256)).height == 256
    assert manifest.sizes == {(416, 320): "model.onnx", (416, 256): "wide.onnx", (256, 416): "model.onnx"}
    with pytest.raises(ModelLoadFailed, match=r"no input size 1x1: it has 416x320, 416x256"):
        manifest.spec((1, 1))


def test_a_spec_goes_into_a_manifest_and_comes_back() -> None:
    """`picture_fields` is the way from a recognised model to its manifest."""
    spec = manifest_of(values(), "given").spec()
    assert manifest_of(values(input=picture_fields(spec)), "given").spec() == spec


@pytest.mark.parametrize("version", ["1.0", 1.0, "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0-", "latest", "", None])
def test_a_version_that_is_no_semver_is_a_version_mismatch(version: Any) -> None:
    """MODEL_004, on one line, with an example of what would be right."""
    with pytest.raises(
        ModelVersionMismatch, match=r"version: .* is not a SemVer version: write .* 1\.0\.0"
    ) as caught:
        manifest_of(values(version=version), "model.yaml")
    assert caught.value.code == "MODEL_004"
    assert "\n" not in str(caught.value)


def test_versions_sort_as_semver_says() -> None:
    """The precedence example of semver.org, paragraph 11."""
    order = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.10.0",
        "2.0.0",
    ]
    assert sorted(set(order), key=parse_version) == order


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {0: "person", 2: "car"}}, "labels: class numbers run from 0 without gaps: 1 is missing"),
        ({"labels": {0: " "}}, "class 0 has an empty label"),
        ({"labels": {}}, "labels: "),
        ({"artifact": "../model.onnx"}, "'../model.onnx' does not stay inside the package"),
        ({"artifact": "/etc/passwd"}, "does not stay inside"),
        ({"artifact": "a\\b.onnx"}, "does not stay inside"),
        ({"artifact": "C:model.onnx"}, "does not stay inside"),
        ({"files": {"a/../../b": "0" * 64}}, "does not stay inside"),
        ({"artifact": "model.py"}, "code that loading would run"),
        ({"output": {"decoder": "yolo99"}}, "output.decoder: unknown decoder 'yolo99': choose from yolox"),
        ({"input": {"size": [0, 416]}}, "input.size.0"),
        ({"input": {"size": [4, 4], "std": [1, 0, 1]}}, "std must not hold a 0"),
        ({"input": {"size": [4, 4], "buckets": [{"size": [4, 4]}]}}, "two buckets have one size"),
        ({"input": {"size": [4, 4], "mean": [float("nan"), 0, 0]}}, "input.mean.0"),
        ({"thresholds": {"labels": {"dog": 0.5}}}, "a threshold is given for 'dog'"),
        ({"name": "a/b"}, "name: "),
        ({"name": "a@b"}, "name: "),
        ({"files": {"model.onnx": "abc"}}, "files.model.onnx: "),
        ({"colour": "rgb"}, "colour: Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_is_refused_on_one_line(changes: dict[str, Any], message: str) -> None:
    """The line says which file, which field and what is wrong with it."""
    with pytest.raises(ModelLoadFailed) as caught:
        manifest_of(values(**changes), "pkg/model.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("pkg/model.yaml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("just words", "holds no manifest"),
        ("", "holds no manifest"),
        ("name: [", "not a readable YAML file"),
        ("a: &x [1]\nb: *x", "uses YAML aliases"),
        ("!!python/object/apply:os.system ['true']", "not a readable YAML file"),
        ("[" * 1200, "not a readable YAML file"),
        ("# " + "x" * 2_000_000, "larger than"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Broken, hostile and oversized YAML end in one line, not in a traceback."""
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(ModelLoadFailed, match=message) as caught:
        load_manifest(tmp_path)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """Somebody names the weights in place of the manifest."""
    (tmp_path / "model.yaml").write_bytes(b"\x08\x07\xff\xfe" * 100)
    with pytest.raises(ModelLoadFailed, match="not a readable YAML file"):
        load_manifest(tmp_path)


def test_a_missing_manifest_is_not_found(tmp_path: Path) -> None:
    """MODEL_001, with the command that writes one."""
    with pytest.raises(ModelNotFound, match="camcount models init"):
        load_manifest(tmp_path)


def test_a_manifest_is_written_for_people(tmp_path: Path) -> None:
    """What matters stands at the top, defaults are left out, class numbers are numbers."""
    text = save_manifest(manifest_of(values(), "given"), tmp_path).read_text()
    assert text.startswith("name: person-detector\nversion: 1.0.0\ntask: detection\nengine: onnx\n")
    assert "labels: {0: person, 1: car}" in text
    assert "nms_iou" not in text


def test_a_change_is_checked_like_a_new_manifest() -> None:
    """`changed` gives a copy and leaves the manifest as it was."""
    manifest: Manifest = manifest_of(values(), "given")
    assert manifest.changed(version="1.1.0").reference == "person-detector:1.1.0"
    assert manifest.reference == "person-detector:1.0.0"
    with pytest.raises(ModelVersionMismatch):
        manifest.changed(version="2")


def test_a_remote_model_is_named_by_its_address() -> None:
    """Only there: any other engine loads a file of the package."""
    address = "http://127.0.0.1:8000/v2/models/person"
    assert manifest_of(values(engine="remote", artifact=address), "given").artifact == address
    with pytest.raises(ModelLoadFailed, match="does not stay inside"):
        manifest_of(values(artifact=address), "given")


def test_a_model_that_does_not_detect_gives_no_spec() -> None:
    """An embedding can be packaged and registered, and is no detector."""
    with pytest.raises(ModelLoadFailed, match="is for embedding, not for detection"):
        manifest_of(values(task="embedding"), "given").spec()
