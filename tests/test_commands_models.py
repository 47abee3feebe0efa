"""`camcount models …` as the documentation types it."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from camcount.cli import app
from camcount.errors import CamcountError, ModelNotFound, ModelVersionMismatch, ServiceError, UsageError
from tests.registries import a_package, new_home

DOCS = Path(__file__).parents[1] / "docs" / "models.md"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in a fresh folder with a fresh registry; gives its result."""
    new_home(tmp_path / "home", monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def typed(line: str) -> Result:
        result = CliRunner().invoke(app, shlex.split(line))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return typed


def told(run: Run, line: str) -> Any:
    """What a command says as JSON, and that it says nothing else."""
    result = run(f"{line} --json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def documented() -> list[str]:
    """All commands about models in the documentation, in order."""
    blocks = re.findall(r"```console\n(.*?)```", DOCS.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert all(line.startswith("camcount ") for line in lines)
    return [line.removeprefix("camcount ") for line in lines if line.startswith("camcount models")]


def test_every_documented_command_works_as_typed(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From three model files to packages, signed, registered, promoted, compared, exported and removed."""
    pytest.importorskip("model_signing", reason='pip install "camcount[signing]"')
    for name in ("yolox_nano_416x416", "picodet_s_416_coco", "light_person_detector"):
        shutil.copy(data / "weights" / f"{name}.onnx", tmp_path)
    for line in documented():
        result = run(line)
        assert result.exit_code == 0, f"{line}: {result.output}"
    history = [(p["model"], p["alias"], p["from"], p["to"]) for p in told(run, "models history")["history"]]
    assert history == [
        ("person-detector", "champion", None, "1.0.0"),
        ("yolox-nano", "challenger", None, "1.0.0"),
        ("yolox-nano", "champion", None, "1.0.0"),
        ("yolox-nano", "challenger", "1.0.0", None),
        ("picodet", "challenger", None, "1.0.0"),
        ("picodet", "challenger", "1.0.0", None),
        ("picodet", "", "1.0.0", None),
    ]
    assert set(told(run, "models list")["models"]) == {"person-detector", "yolox-nano"}
    assert (tmp_path / "yolox-nano-1.0.0.tar.gz").stat().st_size > 1_000_000


def test_a_catalogue_model_is_fetched_and_registered(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a mirror on the disk into the registry in one command; the second time it is there already."""
    weights = data / "weights" / "yolox_nano_416x416.onnx"
    own = tmp_path / "own.toml"
    own.write_text(
        f'[small]\ndescription = "d"\nversion = "1.0.0"\nrelease = "r"\nurl = "https://models.example/{weights.name}"\n'
        f'sha256 = "{hashlib.sha256(weights.read_bytes()).hexdigest()}"\nsize = {weights.stat().st_size}\n'
        f'licence = "Apache-2.0"\n'
    )
    monkeypatch.setenv("CAMCOUNT_MODEL_CATALOGUE", str(own))
    monkeypatch.setenv("CAMCOUNT_MODEL_MIRROR", weights.parent.as_uri())
    assert told(run, "models pull")["catalogue"]["small"]["licence"] == "Apache-2.0"
    first = told(run, "models pull small")
    again = told(run, "models pull small --to here")
    assert first["reference"] == again["reference"] == "small:1.0.0"
    assert (tmp_path / "here" / "model.yaml").exists()
    with pytest.raises(ModelNotFound, match="did you mean small"):
        run("models pull smal")
    with pytest.raises(ModelNotFound):
        run("models pull small:9.0.0")
    with pytest.raises(UsageError, match="there already"):
        run("models pull small --to here")


def test_json_says_what_tables_say(run: Run, tmp_path: Path) -> None:
    """Every command has one JSON object to give."""
    (tmp_path / "shelf").mkdir()
    root = a_package(tmp_path / "shelf", lineage={"parent": "big:2.0.0"}).root
    child = a_package(tmp_path / "shelf", "1.1.0", b"other", lineage={"parent": "tiny:1.0.0"}).root
    (tmp_path / "train.py").write_text("train()")
    assert told(run, f"models register {root} --extra train.py --git-tag v1 --tag a=b")["new"]
    assert not told(run, f"models register {root}")["new"]
    told(run, f"models register {child}")
    assert [v["version"] for v in told(run, "models versions tiny")["versions"]] == ["1.1.0", "1.0.0"]
    shown = told(run, "models show tiny:1.0.0")
    assert (shown["git_tag"], shown["tags"]) == ("v1", {"a": "b"})
    assert shown["lineage"]["ancestors"] == ["big:2.0.0"]
    assert shown["lineage"]["descendants"] == ["tiny:1.1.0"]
    assert told(run, "models alias tiny:1.0.0 champion --why good")["promotion"]["to"] == "1.0.0"
    assert not told(run, "models alias tiny:1.0.0 champion")["moved"]
    assert told(run, "models tag tiny a= c=d")["tags"] == {"c": "d"}
    found = told(run, "models diff tiny:1.0.0 tiny:1.1.0")["differences"]
    assert found["version"] == {"old": "1.0.0", "new": "1.1.0"}
    assert told(run, "models export tiny out --extras beside")["extras"] == ["train.py"]
    assert (tmp_path / "beside" / "extras" / "train.py").exists()
    assert (tmp_path / "out" / "model.onnx").read_bytes() == b"weights"
    assert told(run, "models remove tiny:1.1.0 --why old")["removed"] == "tiny:1.1.0"


def test_tables_are_for_people(run: Run, tmp_path: Path) -> None:
    """The tables hold what was registered, and an empty registry says how to fill it."""
    assert "camcount models pull yolox-nano" in run("models list").output
    (tmp_path / "shelf").mkdir()
    assert "registered tiny:1.0.0" in run(f"models register {a_package(tmp_path / 'shelf').root}").output
    assert "already" in run(f"models register {tmp_path / 'shelf' / 'tiny-1.0.0-0'}").output
    assert "nothing → 1.0.0" in run("models alias tiny champion").output
    assert "champion is tiny:1.0.0 already" in run("models alias tiny champion").output
    for line in ("list", "versions tiny", "history", "show tiny"):
        assert "champion" in run(f"models {line}").output


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        ("models show nothing", ModelNotFound, "there are none yet"),
        ("models register nowhere/at/all", ModelNotFound, "no such file"),
        ("models register file.onnx", UsageError, "camcount models init"),
        ("models versions tiny", ModelNotFound, "no model 'tiny'"),
        ("models alias tiny:1 champion", ModelVersionMismatch, "SemVer"),
        ("models alias tiny latest", UsageError, "cannot be an alias"),
        ("models tag tiny site", UsageError, "is not KEY=VALUE"),
        ("models remove tiny", UsageError, "names no version"),
        ("models diff a/b c", ModelNotFound, "no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run: Run, tmp_path: Path, line: str, error: type[CamcountError], says: str
) -> None:
    """Each wrong command names the fault and what would be right."""
    (tmp_path / "file.onnx").write_bytes(b"")
    with pytest.raises(error, match=says) as caught:
        run(line)
    assert "\n" not in str(caught.value)


def test_a_registry_that_is_down_says_what_is_not_done(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command ends with SYS_001 and names the consequence."""
    monkeypatch.setenv("CAMCOUNT_REGISTRY_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "shelf").mkdir()
    with pytest.raises(ServiceError, match=r"tiny:1\.0\.0 is not registered"):
        run(f"models register {a_package(tmp_path / 'shelf').root}")


def test_models_are_loaded_under_a_limit_and_every_state_is_told(run: Run, tmp_path: Path, data: Path) -> None:
    """Room for one: the first makes way for the second, and both were ready; the limit stands in the file."""
    (tmp_path / "camcount.yaml").write_text("model_loading: {max_models_in_memory: 1}\n")
    weights = [str(data / "weights" / name) for name in ("light_person_detector.onnx", "FastestDet.onnx")]
    said = told(run, f"models load {' '.join(weights)} --config camcount.yaml")
    assert [row["in_memory"] for row in said["models"]] == [1, 1]
    first, second = [said["states"].index(f"{name}: ready") for name in weights]
    assert first < said["states"].index(f"{weights[0]}: registered") < second


def test_a_package_is_prepared_on_its_way_into_the_registry(run: Run, data: Path) -> None:
    """Steps are told, what is registered is the prepared package; labels without preparing are a mistake."""
    weights, video = data / "weights/yolox_nano_416x416.onnx", data / "videos/people.mp4"
    run(f"models init {weights} --name nano --licence Apache-2.0")
    said = run(f"models register nano --prepare {video} --labels person")
    assert said.exit_code == 0, said.output
    assert "registered nano:1.0.0" in said.output
    assert "recall" in said.output
    kept = [step["name"] for step in told(run, "models prepare nano --labels person")["steps"] if step["kept"]]
    assert kept
    with pytest.raises(UsageError, match="goes with --prepare"):
        run("models register nano --labels person")


def test_a_signed_package_is_not_prepared(run: Run, data: Path) -> None:
    """Its signature would no longer hold."""
    run(f"models init {data / 'weights/light_person_detector.onnx'} --name light --licence Apache-2.0")
    run("models keygen private.pem public.pem")
    run("models sign light --key private.pem")
    with pytest.raises(UsageError, match="prepare first, then sign"):
        run(f"models register light --prepare {data / 'videos/people.mp4'}")
