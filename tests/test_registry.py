"""What the registry keeps, what it refuses, and what is left when something breaks."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from camcount.errors import ModelLoadFailed, ModelNotFound, ModelVersionMismatch, ServiceError, UsageError
from camcount.models import registering
from camcount.models.registered import differences, lineage
from camcount.models.registry import Registry
from tests.registries import MlflowServer, a_package, empty_database, mlflow_server, new_home


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder for packages."""
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The default registry of somebody who has just installed camcount."""
    new_home(tmp_path / "home", monkeypatch)
    return Registry()


def runs_of(registry: Registry, experiment: str = "camcount models") -> list[str]:
    """The runs that MLflow shows."""
    client = client_of(registry)
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else [run.info.run_id for run in client.search_runs([found.experiment_id])]


def client_of(registry: Registry) -> MlflowClient:
    """MLflow's own client on the same registry."""
    return MlflowClient(tracking_uri=registry.url, registry_uri=registry.url)


def test_a_registered_version_tells_where_it_comes_from(registry: Registry, shelf: Path) -> None:
    """Notes, the user's tags, git, licence and who did it are kept with the version."""
    origin = {"git_commit": "abc123", "dataset": "street", "dataset_version": "7", "training_run": "r1"}
    package = a_package(shelf, licence="Apache-2.0", lineage=origin, notes="from the manifest")
    made = registry.register(package, git_tag="v3", tags={"site": "north"})
    assert made.new
    one = registry.find("tiny:1.0.0")
    assert (one.version, one.number, one.digest, one.created_by) == ("1.0.0", 1, package.digest, "ann@desk")
    assert (one.notes, one.tags) == ("from the manifest", {"site": "north"})
    assert one.facts == {
        "engine": "onnx",
        "task": "detection",
        "licence": "Apache-2.0",
        "dataset": "street 7",
        "training_run": "r1",
        "git_commit": "abc123",
        "git_tag": "v3",
    }


def test_the_same_content_again_changes_nothing(registry: Registry, shelf: Path) -> None:
    """Registering twice is said to be no news and adds nothing."""
    first = registry.register(a_package(shelf))
    again = registry.register(a_package(shelf), notes="other notes")
    assert (first.new, again.new) == (True, False)
    assert again.version == first.version
    assert len(runs_of(registry)) == 1


def test_a_version_never_changes(registry: Registry, shelf: Path) -> None:
    """Other content under a version that is taken is MODEL_004 and leaves the old content in place."""
    registry.register(a_package(shelf))
    with pytest.raises(ModelVersionMismatch, match=r"tiny:1\.0\.0 is registered with other content") as caught:
        registry.register(a_package(shelf, content=b"other"))
    assert caught.value.code == "MODEL_004"
    assert (registry.resolve("tiny:1.0.0").root / "model.onnx").read_bytes() == b"weights"
    assert len(runs_of(registry)) == 1


def test_a_package_that_is_not_whole_is_not_registered(registry: Registry, shelf: Path) -> None:
    """One altered byte is MODEL_002, before anything is written."""
    package = a_package(shelf)
    package.artifact.write_bytes(b"weightS")
    with pytest.raises(ModelLoadFailed, match="is not the file"):
        registry.register(package)
    assert registry.models() == {}


def test_versions_come_in_semver_order(registry: Registry, shelf: Path) -> None:
    """1.10.0 stands above 1.9.0, a pre-release below its release, and no version given means the highest release."""
    for version in ("1.9.0", "2.0.0-rc.1", "1.10.0", "1.0.0"):
        registry.register(a_package(shelf, version))
    assert [one.version for one in registry.versions("tiny")] == ["2.0.0-rc.1", "1.10.0", "1.9.0", "1.0.0"]
    assert registry.find("tiny").version == "1.10.0"
    registry.promote("tiny:1.9.0", "champion")
    assert registry.find("tiny").version == "1.9.0"


def test_a_moved_alias_changes_what_is_used_next(registry: Registry, shelf: Path) -> None:
    """After a promotion the same reference gives the other package, and MLflow's own client sees the alias."""
    for version in ("1.0.0", "1.1.0"):
        registry.register(a_package(shelf, version, version.encode()))
    registry.promote("tiny:1.0.0", "champion", "the first")
    assert (registry.resolve("tiny@champion").root / "model.onnx").read_bytes() == b"1.0.0"
    registry.promote("tiny:1.1.0", "champion", "F1 rose")
    assert (registry.resolve("tiny@champion").root / "model.onnx").read_bytes() == b"1.1.0"
    assert client_of(registry).get_model_version_by_alias("tiny", "champion").tags["camcount.version"] == "1.1.0"


def test_history_is_kept_for_ever(registry: Registry, shelf: Path) -> None:
    """Every move is told with who, when, from, to and why, also of versions that are gone."""
    for version in ("1.0.0", "1.1.0"):
        registry.register(a_package(shelf, version))
    registry.promote("tiny:1.0.0", "champion", "the first")
    registry.promote("tiny:1.1.0", "champion", "F1 rose")
    assert registry.promote("tiny:1.1.0", "champion", "again") is None
    registry.unset("tiny", "champion", "recalled")
    for version in ("1.0.0", "1.1.0"):
        registry.remove(f"tiny:{version}", "space")
    assert registry.models() == {}
    told = [(p.action, p.alias, p.before, p.after, p.why, p.who, p.outcome) for p in registry.history("tiny")]
    assert told == [
        ("promote", "champion", "", "1.0.0", "the first", "ann@desk", "done"),
        ("promote", "champion", "1.0.0", "1.1.0", "F1 rose", "ann@desk", "done"),
        ("unset", "champion", "1.1.0", "", "recalled", "ann@desk", "done"),
        ("remove", "", "1.0.0", "", "space", "ann@desk", "done"),
        ("remove", "", "1.1.0", "", "space", "ann@desk", "done"),
    ]
    assert registry.history("other") == []


def test_promotions_in_the_same_moment_all_leave_their_trace(registry: Registry, shelf: Path) -> None:
    """Of six clients that move one alias at once none is lost, and the last that lasted is what the alias says."""
    versions = [f"1.{n}.0" for n in range(6)]
    for version in versions:
        registry.register(a_package(shelf, version))
    start = threading.Barrier(6)

    def promote(version: str) -> None:
        client = Registry(registry.url)
        client.find("tiny")
        start.wait()
        client.promote(f"tiny:{version}", "champion")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(promote, versions))
    history = registry.history("tiny")
    assert sorted(p.after for p in history) == versions
    lasting = [p.after for p in history if p.outcome == "done"]
    assert lasting[-1] == registry.find("tiny@champion").version


def test_registrations_in_the_same_moment_make_one_version(registry: Registry, shelf: Path) -> None:
    """Of four clients with different content for one version one wins, the others get MODEL_004 and leave nothing."""
    packages = [a_package(shelf, content=bytes([n])) for n in range(4)]
    start = threading.Barrier(4)

    def register(number: int) -> str:
        client = Registry(registry.url)
        client.models()
        start.wait()
        try:
            return "new" if client.register(packages[number]).new else "known"
        except ModelVersionMismatch as error:
            return error.code

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(register, range(4)))
    assert told == ["MODEL_004"] * 3 + ["new"]
    assert len(registry.versions("tiny")) == 1
    assert len(client_of(registry).search_model_versions("name='tiny'")) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", ["log_artifacts", "create_model_version", "set_model_version_tag"])
@pytest.mark.parametrize("cleanup_works", [True, False])
def test_a_registration_that_breaks_off_is_whole_or_absent(
    registry: Registry, shelf: Path, monkeypatch: pytest.MonkeyPatch, call: str, cleanup_works: bool, after: bool
) -> None:
    """Wherever the registry goes away, a version is complete or not to be seen, and a second try makes it one."""
    monkeypatch.setattr(registering, "PATIENCE_S", 0.1)
    package = a_package(shelf)
    registry.models()
    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, call, _lost_after(getattr(MlflowClient, call)) if after else _connection_lost)
        for name in () if cleanup_works else ("delete_model_version", "delete_run"):
            broken.setattr(MlflowClient, name, _connection_lost)
        with pytest.raises(ServiceError, match=r"tiny:1\.0\.0 is not registered"):
            registry.register(package)
    whole = bool(registry.models())
    assert whole == (call == "set_model_version_tag" and after and not cleanup_works)
    if not whole:
        assert registry.models() == {}
        with pytest.raises(ModelNotFound):
            registry.find("tiny")
    assert registry.register(package).new != whole
    assert len(registry.versions("tiny")) == len(client_of(registry).search_model_versions("name='tiny'")) == 1
    assert registry.resolve("tiny").digest == package.digest
    assert len(runs_of(registry)) == 1 or whole


def _lost_after(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call reaches the registry, and its answer does not come back."""

    def lost(*args: Any, **options: Any) -> None:
        call(*args, **options)
        raise ConnectionError("connection lost")

    return lost


def _connection_lost(*_: object, **__: object) -> None:
    raise ConnectionError("connection lost")


def test_a_removed_version_number_stays_taken(registry: Registry, shelf: Path) -> None:
    """What was removed may come back as it was and never as something else."""
    registry.register(a_package(shelf))
    registry.remove("tiny:1.0.0", "by mistake")
    assert runs_of(registry) == []
    with pytest.raises(ModelVersionMismatch, match="was another model until it was removed"):
        registry.register(a_package(shelf, content=b"other"))
    assert registry.register(a_package(shelf)).new


def test_what_an_alias_points_at_cannot_be_removed(registry: Registry, shelf: Path) -> None:
    """A champion has to be replaced before it goes, and a removal names its version."""
    registry.register(a_package(shelf))
    registry.promote("tiny:1.0.0", "champion")
    with pytest.raises(UsageError, match="is champion: move the alias first"):
        registry.remove("tiny:1.0.0")
    with pytest.raises(UsageError, match="names no version"):
        registry.remove("tiny")


def test_what_is_not_there_is_told_with_what_is(registry: Registry, shelf: Path) -> None:
    """A misspelt name, version or alias gets the nearest one that there is."""
    registry.register(a_package(shelf, name="person-detector"))
    registry.promote("person-detector:1.0.0", "champion")
    for wrong, hint in [
        ("persn-detector", "did you mean person-detector?"),
        ("person-detector:1.0.1", "did you mean 1.0.0?"),
        ("person-detector@champoin", "did you mean champion?"),
    ]:
        with pytest.raises(ModelNotFound, match=re.escape(hint)) as caught:
            registry.find(wrong)
        assert caught.value.code == "MODEL_001"


def test_tags_may_change_and_facts_may_not(registry: Registry, shelf: Path) -> None:
    """The user's own tags come and go; the tags that say what was registered are out of reach."""
    registry.register(a_package(shelf))
    assert registry.tag("tiny:1.0.0", "site", "north").tags == {"site": "north"}
    assert registry.tag("tiny", "site", None).tags == {}
    assert registry.tag("tiny", "site", None).tags == {}
    with pytest.raises(UsageError, match="cannot be a tag"):
        registry.tag("tiny", "camcount.digest", "0")


def test_checkpoints_and_scripts_are_kept_beside_the_package(registry: Registry, shelf: Path, tmp_path: Path) -> None:
    """Further files and folders go in and come out again, and do not count as the package's content."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "last.ckpt").write_bytes(b"checkpoint")
    (tmp_path / "train.py").write_text("train()")
    registry.register(a_package(shelf), extras=[tmp_path / "runs", tmp_path / "train.py"])
    assert sorted(registry.fetch_extras("tiny", tmp_path / "out")) == ["runs", "train.py"]
    assert (tmp_path / "out" / "extras" / "runs" / "last.ckpt").read_bytes() == b"checkpoint"
    assert not registry.register(a_package(shelf)).new
    with pytest.raises(ModelNotFound, match="to keep beside"):
        registry.register(a_package(shelf, "1.1.0"), extras=[tmp_path / "nothing"])


def test_lineage_follows_parents_and_children(registry: Registry, shelf: Path) -> None:
    """A version knows what it was made from and what was made from it, also beyond what is registered."""
    for version, parent in [("1.0.0", "big:9.0.0"), ("1.1.0", "tiny:1.0.0"), ("1.2.0", "tiny:1.1.0")]:
        registry.register(a_package(shelf, version, lineage={"parent": parent}))
    assert lineage(registry.versions("tiny"), "tiny:1.1.0") == {
        "ancestors": ["tiny:1.0.0", "big:9.0.0"],
        "descendants": ["tiny:1.2.0"],
    }


def test_differences_name_the_fields_that_differ(shelf: Path) -> None:
    """Two packages are compared field by field, files included."""
    old = a_package(shelf).manifest
    new = a_package(shelf, "1.1.0", b"other", thresholds={"default": 0.3}).manifest
    found = differences(old, new)
    assert set(found) == {"version", "thresholds.default", "files.model.onnx"}
    assert found["thresholds.default"] == (0.1, 0.3)


def test_mlflow_reads_what_is_registered(registry: Registry, shelf: Path, tmp_path: Path) -> None:
    """MLflow's own client finds the version, its notes, its figures and its files."""
    from mlflow.artifacts import download_artifacts

    registry.register(a_package(shelf, card={"map": 0.337}), notes="first")
    client = client_of(registry)
    version = client.get_model_version("tiny", "1")
    assert (version.description, version.status, version.tags["camcount.version"]) == ("first", "READY", "1.0.0")
    assert client.get_run(version.run_id or "").data.metrics == {"map": 0.337}
    got = download_artifacts(artifact_uri=version.source, dst_path=str(tmp_path / "got"), tracking_uri=registry.url)
    assert (Path(got) / "model.onnx").read_bytes() == b"weights"


def test_a_package_is_fetched_once(registry: Registry, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second use comes from this machine; a damaged copy is fetched again."""
    registry.register(a_package(shelf))
    place = registry.resolve("tiny").root
    with monkeypatch.context() as offline:
        offline.setattr(MlflowClient, "download_artifacts", _connection_lost)
        assert registry.resolve("tiny").root == place
    (place / "model.onnx").write_bytes(b"damaged")
    assert (registry.resolve("tiny").root / "model.onnx").read_bytes() == b"weights"


def test_files_altered_in_the_registry_are_refused(registry: Registry, shelf: Path, tmp_path: Path) -> None:
    """Whoever swaps the files of a version, manifest and all, does not get them loaded."""
    registry.register(a_package(shelf))
    (stored,) = (tmp_path / "home" / "registry" / "artifacts").rglob("model.onnx")
    other = a_package(shelf, content=b"other")
    for name in ("model.onnx", "model.yaml"):
        shutil.copy(other.root / name, stored.parent / name)
    with pytest.raises(ModelLoadFailed, match="it was altered"):
        registry.resolve("tiny")


def test_a_registry_that_is_down_is_told_in_one_line(
    registry: Registry, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fetched as a version is still had; an alias, which may have moved, is SYS_001 with the consequence."""
    registry.register(a_package(shelf))
    registry.promote("tiny:1.0.0", "champion")
    registry.resolve("tiny@champion")
    down = Registry("http://ann:secret@127.0.0.1:9")
    down.cache.remember(down.url, "tiny:1.0.0", registry.find("tiny").digest)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    started = time.monotonic()
    assert down.resolve("tiny:1.0.0").manifest.version == "1.0.0"
    with pytest.raises(ServiceError, match="does not answer, tiny cannot be looked up; check it and") as caught:
        down.resolve("tiny@champion")
    assert caught.value.code == "SYS_001"
    assert "secret" not in str(caught.value).partition("(")[0]
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 30


def test_a_file_that_is_no_database_is_told(tmp_path: Path, registry: Registry) -> None:
    """A registry file with something else in it is one line and not a traceback."""
    (tmp_path / "bad.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ServiceError, match="models cannot be listed"):
        Registry(f"sqlite:///{tmp_path / 'bad.db'}").models()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server with its files on S3."""
    with mlflow_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def remote(registry: Registry, server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A client of that server, which knows nothing of S3."""
    if server.process is None:
        server.start()
    monkeypatch.setenv("CAMCOUNT_REGISTRY_URL", server.url)
    return Registry()


def test_a_server_keeps_models_on_s3(remote: Registry, server: MlflowServer, shelf: Path) -> None:
    """Through a real MLflow server: registered, promoted, fetched, removed, and gone from S3."""
    package = a_package(shelf, name="remote")
    assert remote.register(package).new
    assert not remote.register(package).new
    remote.promote("remote:1.0.0", "challenger", "to be tried")
    assert remote.resolve("remote@challenger").digest == package.digest
    assert "package/model.onnx" in server.stored()
    remote.unset("remote", "challenger")
    remote.remove("remote:1.0.0")
    assert "model.onnx" not in server.stored()
    assert [p.action for p in remote.history("remote")] == ["promote", "unset", "remove"]


def test_the_servers_page_shows_the_model(remote: Registry, server: MlflowServer, shelf: Path) -> None:
    """What MLflow's page asks the server for holds the version with its tags."""
    import json
    import urllib.request

    remote.register(a_package(shelf, name="paged"))
    asked = f"{server.url}/ajax-api/2.0/mlflow/model-versions/search?filter=name%3D%27paged%27"
    with urllib.request.urlopen(asked) as answer:
        (version,) = json.load(answer)["model_versions"]
    assert {tag["key"]: tag["value"] for tag in version["tags"]}["camcount.version"] == "1.0.0"
    remote.remove("paged:1.0.0")


def test_clients_may_reach_s3_themselves(
    remote: Registry,
    server: MlflowServer,
    shelf: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With an address of their own for files, clients write to S3 without the server in between."""
    for name, value in {**server.environment, "CAMCOUNT_REGISTRY_ARTIFACTS": "s3://models/direct"}.items():
        monkeypatch.setenv(name, value)
    shutil.copy(empty_database(), tmp_path / "direct.db")
    direct = Registry(f"sqlite:///{tmp_path / 'direct.db'}")
    direct.register(a_package(shelf))
    assert "direct/camcount-models/" in server.stored()
    assert direct.resolve("tiny").manifest.version == "1.0.0"
    direct.remove("tiny:1.0.0")
    assert "direct/camcount-models/" not in server.stored()


def test_a_server_killed_in_mid_registration(
    remote: Registry, server: MlflowServer, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the files are there and started again, it shows no version, and the next try makes a whole one."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    package = a_package(shelf, name="cut")
    create = MlflowClient.create_model_version

    def killed(self: MlflowClient, *args: Any, **options: Any) -> Any:
        server.kill()
        return create(self, *args, **options)

    with monkeypatch.context() as cut:
        cut.setattr(MlflowClient, "create_model_version", killed)
        with pytest.raises(ServiceError, match=r"cut:1\.0\.0 is not registered"):
            remote.register(package)
    server.start()
    assert "cut" not in remote.models()
    with pytest.raises(ModelNotFound):
        remote.find("cut")
    assert remote.register(package).new
    assert remote.resolve("cut").digest == package.digest
    assert server.stored().count("model.onnx") == 1
