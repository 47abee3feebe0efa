"""`model.yaml` as a file: read with suspicion, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from camcount.errors import ModelLoadFailed, ModelNotFound, words_of
from camcount.models.files import MANIFEST
from camcount.models.manifest import Manifest, lists, manifest_of

_LIMIT = 2_000_000

_ALWAYS = ("name", "version", "task", "engine", "artifact", "safe")
"""Fields that a written manifest shows even where they have their default."""


def load_manifest(path: str | Path) -> Manifest:
    """The manifest in a file, or in a folder's `model.yaml`.

    Raises:
        ModelNotFound: there is no such file.
        ModelVersionMismatch, ModelLoadFailed: as `manifest_of`.
    """
    file = Path(path)
    if file.is_dir():
        file /= MANIFEST
    try:
        if file.stat().st_size > _LIMIT:
            raise ModelLoadFailed(f"{file} is larger than {_LIMIT} bytes: this is no manifest")
        return manifest_of(_read(file), str(file))
    except FileNotFoundError:
        raise ModelNotFound(f"no manifest {file}: write one with 'camcount models init'") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ModelLoadFailed(f"{file} is not a readable YAML file: {words_of(error)}") from None


def _read(file: Path) -> Any:
    text = file.read_text(encoding="utf-8")
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
        # a few lines of aliases to aliases unfold to gigabytes
        raise ModelLoadFailed(f"{file} uses YAML aliases (*name): write the values out")
    return yaml.safe_load(text)


def save_manifest(manifest: Manifest, folder: str | Path) -> Path:
    """Writes `model.yaml` into a folder, whole or not at all; gives the file's path."""
    file = Path(folder) / MANIFEST
    values = lists(manifest.model_dump(include=set(_ALWAYS)) | manifest.model_dump(exclude_defaults=True))
    part = file.with_suffix(".part")
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    part.write_text(text, encoding="utf-8")
    part.replace(file)
    return file
