"""Models by name and version, kept in MLflow and readable with MLflow's own client and page.

A version is an MLflow model version; the package's files are the artifacts of its run. Promotions are runs of an
experiment of their own: one more run each, never changed afterwards, so that the history outlives what it tells of
and two clients that promote in the same moment both leave their trace.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import stamina

from camcount.errors import ModelNotFound, ModelVersionMismatch, ServiceError, UsageError
from camcount.models.cache import PackageCache
from camcount.models.history import History, in_order
from camcount.models.home import artifacts_for, database_file, home, registry_url, user
from camcount.models.package import Package
from camcount.models.reaching import reached
from camcount.models.records import OURS, ensure_model, experiment_named, is_ready, pages, registered
from camcount.models.references import Reference, check_alias, did_you_mean, registry_reference
from camcount.models.registered import Promotion, RegisteredVersion, choose, newest_first
from camcount.models.registering import Registering, discard

if TYPE_CHECKING:
    from mlflow import MlflowClient

_MODELS = "camcount models"
_HISTORY = "camcount history"


@dataclass(frozen=True, slots=True)
class Registration:
    """What became of a registration: the version, and whether it is ``new`` or was there with the same content."""

    version: RegisteredVersion
    new: bool


class Registry:
    """One registry.

    Args:
        url: an MLflow tracking server (``http://…``) or a database (``sqlite:///…``); ``CAMCOUNT_REGISTRY_URL``, or a
            SQLite file with a folder beside it in `home`, unless given. Nothing is opened until it is needed.

    Every method raises `ServiceError`, saying what cannot be done, where the registry does not answer.
    """

    def __init__(self, url: str | None = None) -> None:
        self.url = url or registry_url()
        self.cache = PackageCache(home() / "cache" / "packages")
        self._opened: MlflowClient | None = None

    def register(
        self,
        package: Package,
        *,
        notes: str = "",
        git_tag: str = "",
        tags: Mapping[str, str] | None = None,
        extras: Sequence[Path] = (),
    ) -> Registration:
        """Adds a package as the version that its manifest names.

        Args:
            notes: release notes; the manifest's unless given.
            git_tag: the tag of the code it was made with; the manifest's unless given.
            tags: words of the user's own, which may change later.
            extras: files and folders to keep beside the package, such as checkpoints and scripts.

        Raises:
            ModelVersionMismatch: this version is or was there with other content.
            ModelLoadFailed: the package is not whole.
            ModelNotFound: one of ``extras`` is not there.
        """
        package.verify()
        if missing := [path for path in extras if not path.exists()]:
            raise ModelNotFound(f"no file {missing[0]} to keep beside the model: check the path")
        reference = package.manifest.reference
        with self._reached(f"{reference} is not registered"):
            self._refuse_reuse(package)
            if known := self._known(package):
                return Registration(known, new=False)
            ensure_model(self._client, package.manifest.name)
            writing = Registering(self._client, self._experiment(_MODELS), package, user(), self._delete)
            new = writing.write(notes, git_tag, tags or {}, extras)
            known = self._known(package)
            if known is None:
                raise ServiceError(f"{reference} vanished while it was registered: somebody removed it, try again")
            return Registration(known, new)

    def models(self) -> dict[str, list[RegisteredVersion]]:
        """All models by name, each with its versions, the highest first."""
        with self._reached("models cannot be listed"):
            aliases = {model.name: dict(model.aliases) for model in pages(self._client.search_registered_models)}
            found: dict[str, list[RegisteredVersion]] = {name: [] for name in sorted(aliases)}
            for version in pages(self._client.search_model_versions):
                if is_ready(version) and version.name in found:
                    found[version.name].append(registered(version, aliases[version.name]))
            return {name: newest_first(versions) for name, versions in found.items() if versions}

    def versions(self, name: str) -> list[RegisteredVersion]:
        """The versions of a model, the highest first.

        Raises:
            ModelNotFound: there is no such model; the message names those that are like it.
        """
        with self._reached(f"{name} cannot be looked up"):
            found = [v for v in pages(self._client.search_model_versions, f"name='{name}'") if is_ready(v)]
            if not found:
                raise ModelNotFound(f"the registry has no model {name!r}: {did_you_mean(name, self.models())}")
            aliases = self._client.get_registered_model(name).aliases
            return newest_first(registered(version, aliases) for version in found)

    def measured(self, version: RegisteredVersion) -> dict[str, float]:
        """The figures of a version's card that were measured, such as ``latency_ms``."""
        with self._reached(f"the figures of {version.reference} cannot be had"):
            return dict(self._client.get_run(version.run_id).data.metrics)

    def find(self, reference: str | Reference) -> RegisteredVersion:
        """The version that ``name``, ``name:1.2.0`` or ``name@alias`` means at the moment.

        Raises:
            ModelNotFound: there is none.
            UsageError: it is no reference to a registered model.
        """
        wanted = _registry_reference(reference)
        return choose(self.versions(wanted.name), wanted)

    def resolve(self, reference: str | Reference) -> Package:
        """The package, fetched to this machine where it is not here yet.

        A version that was fetched before is had without the registry when that does not answer; an alias is not,
        because it may have moved.

        Raises:
            ModelNotFound, UsageError: as `find`.
            ModelLoadFailed: the registry's files are not those that were registered.
        """
        wanted = _registry_reference(reference)
        try:
            found = self.find(wanted)
        except ServiceError:
            known = self.cache.recall(self.url, str(wanted)) if wanted.version else None
            if known is None:
                raise
            return known
        package = self.cache.package(found.digest, lambda folder: self._download(found, "package", folder))
        self.cache.remember(self.url, found.reference, found.digest)
        return package

    def fetch_extras(self, reference: str, folder: Path) -> list[str]:
        """Writes the files that were registered beside the package into ``extras`` in a folder; gives their names."""
        found = self.find(reference)
        with self._reached(f"the files beside {found.reference} cannot be had"):
            names = [Path(info.path).name for info in self._client.list_artifacts(found.run_id, "extras")]
        if names:
            self._download(found, "extras", folder)
        return names

    def promote(self, reference: str, alias: str, why: str = "") -> Promotion | None:
        """Points an alias at a version and writes that down; ``None`` where it points there already.

        Raises:
            ModelNotFound: there is no such version.
            UsageError: it cannot be an alias.
        """
        check_alias(alias)
        found = self.find(reference)
        with self._reached(f"{alias} of {found.name} stays where it is"):
            before = self._alias(found.name, alias)
            if before == found.version:
                return None
            history = self._history()
            move = history.begin(found, "promote", alias=alias, before=before, after=found.version, why=why)
            _together(self._client.set_registered_model_alias, found.name, alias, str(found.number))
            # what is read back after this moment is this move's own, unless another one came in between
            now = datetime.now(UTC)
            lasted = self._alias(found.name, alias) == found.version
            return history.finish(move, now, "done" if lasted else "overtaken")

    def unset(self, name: str, alias: str, why: str = "") -> Promotion:
        """Takes an alias away and writes that down.

        Raises:
            ModelNotFound: the model has no such alias.
        """
        before = self.find(Reference("registry", f"{name}@{alias}", name, alias=alias))
        with self._reached(f"{alias} of {name} stays where it is"):
            history = self._history()
            move = history.begin(before, "unset", alias=alias, before=before.version, after="", why=why)
            self._client.delete_registered_model_alias(name, alias)
            return history.finish(move, datetime.now(UTC))

    def remove(self, reference: str, why: str = "") -> RegisteredVersion:
        """Deletes a version and its files. What was promoted stays in the history, and the number stays taken.

        Raises:
            UsageError: an alias points at it, or the reference names no version.
        """
        wanted = _registry_reference(reference)
        if wanted.version is None:
            raise UsageError(f"{reference!r} names no version: write {wanted.name}:VERSION")
        found = self.find(wanted)
        if found.aliases:
            raise UsageError(f"{found.reference} is {' and '.join(found.aliases)}: move the alias first")
        with self._reached(f"{found.reference} is not removed"):
            history = self._history()
            move = history.begin(found, "remove", alias="", before=found.version, after="", why=why)
            self._client.delete_model_version(found.name, str(found.number))
            discard(self._client, self._delete, found.run_id)
            history.finish(move, datetime.now(UTC))
        return found

    def tag(self, reference: str, key: str, value: str | None) -> RegisteredVersion:
        """Sets one of a version's tags, or takes it away.

        Raises:
            UsageError: the key is one that the registry itself needs.
        """
        if key.startswith(OURS) or not key:
            raise UsageError(f"{key!r} cannot be a tag: tags that begin with {OURS} say what was registered")
        found = self.find(reference)
        with self._reached(f"{found.reference} is not tagged"):
            if value is not None:
                self._client.set_model_version_tag(found.name, str(found.number), key, value)
            elif key in found.tags:
                self._client.delete_model_version_tag(found.name, str(found.number), key)
        return self.find(found.reference)

    def history(self, name: str | None = None) -> list[Promotion]:
        """Every move of every alias and every removal, the oldest first, those of removed versions too."""
        with self._reached("the history cannot be read"):
            where = f"tags.`{OURS}model` = '{name}'" if name else ""
            runs = pages(self._client.search_runs, where, experiment_ids=[self._experiment(_HISTORY)])
            return in_order(runs)

    @property
    def _client(self) -> MlflowClient:
        if self._opened is None:
            self._opened = _open_client(self.url)
        return self._opened

    def _reached(self, consequence: str) -> AbstractContextManager[None]:
        return reached(self.url, consequence)

    def _refuse_reuse(self, package: Package) -> None:
        """A version that was removed may come back as it was, and not as something else."""
        manifest = package.manifest
        for entry in self.history(manifest.name):
            if entry.action == "remove" and entry.before == manifest.version and entry.digest != package.digest:
                raise ModelVersionMismatch(
                    f"{manifest.reference} was another model until it was removed on {entry.when:%Y-%m-%d}: "
                    f"give the new one a version of its own"
                )

    def _known(self, package: Package) -> RegisteredVersion | None:
        try:
            known = self.find(package.manifest.reference)
        except ModelNotFound:
            return None
        if known.digest == package.digest:
            return known
        raise ModelVersionMismatch(
            f"{known.reference} is registered with other content: versions never change, raise the version number"
        )

    def _delete(self, address: str) -> None:
        _delete_artifacts(self.url, address)

    def _alias(self, name: str, alias: str) -> str:
        """The version that an alias points at now; empty where there is no such alias."""
        return next((v.version for v in self.versions(name) if alias in v.aliases), "")

    def _history(self) -> History:
        return History(self._client, self._experiment(_HISTORY))

    def _experiment(self, name: str) -> str:
        return experiment_named(self._client, name, artifacts_for(self.url, name))

    def _download(self, version: RegisteredVersion, name: str, folder: Path) -> None:
        with self._reached(f"{version.reference} is not fetched"):
            folder.mkdir(parents=True, exist_ok=True)
            self._client.download_artifacts(version.run_id, name, str(folder))


def _registry_reference(reference: str | Reference) -> Reference:
    wanted = registry_reference(reference) if isinstance(reference, str) else reference
    if wanted.kind != "registry":
        raise UsageError(f"{wanted} is no model of the registry: write NAME, NAME:1.2.0 or NAME@champion")
    return wanted


def _open_client(url: str) -> MlflowClient:
    # MLflow would otherwise report its use to its makers, and try for minutes to reach a server that is down
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    if (path := database_file(url)) is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=url, registry_uri=url)


def _together(change: Callable[..., Any], *args: Any) -> None:
    """Makes a change that may be made twice; MLflow's own database code fails where two clients write one row."""
    retrying = stamina.RetryingCaller(attempts=6, timeout=None, wait_initial=0.05)
    retrying.on(lambda error: "IntegrityError" in str(error) or "locked" in str(error))(change, *args)


def _delete_artifacts(url: str, address: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository: Any = get_artifact_repository(address, tracking_uri=url)
    repository.delete_artifacts()
