"""Writing one version into MLflow so that it is there whole or not at all, and once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from camcount.models.package import Package
from camcount.models.records import OURS, PENDING, READY, STATE, is_ready, measures, version_tags

PATIENCE_S = 5.0
"""How long a registration that has uploaded its files may take to finish before it counts as broken off."""


class Registering:
    """The registration of one package.

    The order is: the files, the version marked ``pending``, the mark ``ready``. MLflow numbers versions in one
    sequence, and of several clients that register one SemVer version at the same moment the one with the lowest
    number wins: the others wait until it is ready or gone.

    Args:
        client: an `MlflowClient`.
        experiment: the id of the experiment that holds the files.
        delete_artifacts: deletes everything below an artifact address.
    """

    def __init__(self, client: Any, experiment: str, package: Package, who: str, delete_artifacts: Any) -> None:
        self._client = client
        self._experiment = experiment
        self._package = package
        self._who = who
        self._delete_artifacts = delete_artifacts
        self._name = package.manifest.name
        self._version = package.manifest.version
        self._may_be_ready = False

    def write(self, notes: str, git_tag: str, tags: Mapping[str, str], extras: Sequence[Path]) -> bool:
        """Whether the version is new; ``False`` where another client has just registered one of this number."""
        run_id = self._upload(extras)
        try:
            won = self._claim(run_id, notes, version_tags(self._package, self._who, git_tag, tags))
        except BaseException:
            if not self._may_be_ready:
                with suppress(Exception):  # the registry may be what failed; the next registration clears up
                    self.discard(run_id)
            raise
        if won:
            with suppress(Exception):  # the version is there; what is left over is seen by nobody
                self._clear(run_id)
        else:
            self.discard(run_id)
        return won

    def discard(self, run_id: str) -> None:
        """Deletes a run and its files."""
        discard(self._client, self._delete_artifacts, run_id)

    def _upload(self, extras: Sequence[Path]) -> str:
        manifest = self._package.manifest
        names = {"mlflow.runName": manifest.reference, "mlflow.user": self._who}
        mine = {f"{OURS}model": self._name, f"{OURS}version": self._version}
        run_id: str = self._client.create_run(self._experiment, tags={**names, **mine}).info.run_id
        self._client.log_artifacts(run_id, str(self._package.root), "package")
        for path in extras:
            if path.is_dir():
                self._client.log_artifacts(run_id, str(path), f"extras/{path.name}")
            else:
                self._client.log_artifact(run_id, str(path), "extras")
        for name, value in measures(manifest).items():
            self._client.log_metric(run_id, name, value)
        self._client.set_terminated(run_id)
        return run_id

    def _claim(self, run_id: str, notes: str, tags: dict[str, str]) -> bool:
        source = f"{self._client.get_run(run_id).info.artifact_uri}/package"
        text = notes or self._package.manifest.notes or None
        mine = self._client.create_model_version(self._name, source, run_id, tags=tags, description=text)
        try:
            if self._is_first(mine):
                # from here on the version may be there although no answer says so: its files have to stay
                self._may_be_ready = True
                self._client.set_model_version_tag(self._name, mine.version, STATE, READY)
                return True
        except BaseException:
            with suppress(Exception):
                self._client.delete_model_version(self._name, mine.version)
                self._may_be_ready = False
            raise
        self._client.delete_model_version(self._name, mine.version)
        return False

    def _is_first(self, mine: Any) -> bool:
        started = time.monotonic()
        while earlier := self._earlier(mine):
            if any(is_ready(version) for version in earlier):
                return False
            waited = time.monotonic() - started
            for version in earlier:
                # both times are the server's own, so that no clock has to be right
                if (mine.creation_timestamp - version.creation_timestamp) / 1000 + waited > PATIENCE_S:
                    self._client.delete_model_version(self._name, version.version)
                    with suppress(Exception):  # its files may never have come
                        self.discard(version.run_id)
            time.sleep(0.05)
        return True

    def _earlier(self, mine: Any) -> list[Any]:
        return [
            version
            for version in self._client.search_model_versions(f"name='{self._name}'", max_results=10_000)
            if version.tags.get(f"{OURS}version") == self._version
            and version.tags.get(STATE) in (PENDING, READY)
            and int(version.version) < int(mine.version)
        ]

    def _clear(self, kept: str) -> None:
        """Files of registrations of this version that broke off: none of them can become this version any more."""
        where = f"tags.`{OURS}model` = '{self._name}' and tags.`{OURS}version` = '{self._version}'"
        for run in self._client.search_runs([self._experiment], where, max_results=1000):
            if run.info.run_id != kept:
                with suppress(Exception):
                    self.discard(run.info.run_id)


def discard(client: Any, delete_artifacts: Any, run_id: str) -> None:
    """Deletes a run and its files; the files first, because a deleted run cannot be found again."""
    address = client.get_run(run_id).info.artifact_uri
    with suppress(Exception):  # not every artifact store can delete
        delete_artifacts(address)
    client.delete_run(run_id)
