"""What may be written where a model is asked for."""

from __future__ import annotations

import string
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.errors import CamcountError, ModelNotFound, ModelVersionMismatch, UsageError
from camcount.models.files import MANIFEST
from camcount.models.references import Reference, check_alias, did_you_mean, parse_reference


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a model file, a package, an archive, and a folder that is neither."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / MANIFEST).write_text("")
    (tmp_path / "pack.tar.gz").write_bytes(b"")
    (tmp_path / "saved").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("motion", "built-in"),
        ("model.onnx", "file"),
        ("./model.onnx", "file"),
        ("./saved", "file"),
        ("saved", "registry"),
        ("pack", "package"),
        ("pack/", "package"),
        ("pack/model.yaml", "package"),
        ("pack.tar.gz", "package"),
        ("yolox-nano", "registry"),
        ("http://host:8000/v2/models/m", "remote"),
        ("grpc://host:8001/m", "remote"),
    ],
)
def test_kinds_of_reference(here: Path, text: str, kind: str) -> None:
    """Files, packages, names and addresses are told apart."""
    assert parse_reference(text).kind == kind


def test_names_with_version_or_alias() -> None:
    """The parts of a registered model's reference come out, and the text is kept."""
    assert parse_reference("a.b_c-1") == Reference("registry", "a.b_c-1", "a.b_c-1")
    assert parse_reference("m:1.2.0-rc.1") == Reference("registry", "m:1.2.0-rc.1", "m", version="1.2.0-rc.1")
    assert parse_reference("m@champion") == Reference("registry", "m@champion", "m", alias="champion")
    assert str(parse_reference("m@champion")) == "m@champion"


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("nothing.onnx", ModelNotFound, "no such file"),
        ("some/where", ModelNotFound, "no such file"),
        ("", ModelNotFound, "names no model"),
        ("-x", ModelNotFound, "names no model"),
        ("two words", ModelNotFound, "names no model"),
        ("m:", ModelVersionMismatch, "is not a SemVer version"),
        ("m:1.0", ModelVersionMismatch, "is not a SemVer version"),
        ("m:latest", ModelVersionMismatch, "is not a SemVer version"),
        ("m:01.0.0", ModelVersionMismatch, "is not a SemVer version"),
        ("m@", UsageError, "cannot be an alias"),
        ("m@1", UsageError, "cannot be an alias"),
        ("m:1.0.0@champion", UsageError, "a version and an alias"),
        ("m@champion:1.0.0", UsageError, "a version and an alias"),
    ],
)
def test_what_cannot_be_meant_is_told_on_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, error: type[CamcountError], says: str
) -> None:
    """Each wrong way to write a model has its own message."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=says) as caught:
        parse_reference(text)
    assert "\n" not in str(caught.value)


@given(st.one_of(st.text(string.printable, max_size=20), st.text(max_size=400)))
def test_any_text_is_a_reference_or_an_error_of_ours(text: str) -> None:
    """Nothing that can be typed brings down more than the command."""
    with suppress(CamcountError):
        assert parse_reference(text).text == text


@pytest.mark.parametrize("alias", ["champion", "challenger", "site_7", "blue-green"])
def test_aliases_that_may_be_set(alias: str) -> None:
    """Plain words may be aliases."""
    assert check_alias(alias) == alias


@pytest.mark.parametrize("alias", ["latest", "v1", "V12", "", "1st", "a b", "a@b"])
def test_aliases_that_mlflow_keeps_for_itself_or_cannot_be(alias: str) -> None:
    """What MLflow would read as something else is refused before it is asked."""
    with pytest.raises(UsageError, match="cannot be an alias"):
        check_alias(alias)


def test_suggestions() -> None:
    """The nearest names come first; with nothing near, what there is."""
    assert did_you_mean("yolo-nano", ["yolox-nano", "picodet"]) == "did you mean yolox-nano?"
    assert did_you_mean("zzz", ["yolox-nano"]) == "there is yolox-nano"
    assert did_you_mean("zzz", ["b", "a"]) == "there are a, b"
    assert did_you_mean("zzz", []) == "there are none yet"
    assert did_you_mean("zzz", [f"model-{n}" for n in range(20)]).endswith(" …")
