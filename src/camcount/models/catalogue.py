"""Detectors that may be used freely, and where their makers publish them."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from camcount.detection.recognise import recognise
from camcount.engines.onnx import OnnxEngine
from camcount.errors import ModelNotFound, UsageError, words_of
from camcount.models.download import download
from camcount.models.home import home
from camcount.models.manifest import Manifest, manifest_of, picture_fields
from camcount.models.package import Package, seal
from camcount.models.references import did_you_mean

MIRROR_VARIABLE = "CAMCOUNT_MODEL_MIRROR"
CATALOGUE_VARIABLE = "CAMCOUNT_MODEL_CATALOGUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One detector of the catalogue; ``release`` is what its makers call it, ``version`` the package's own."""

    name: str
    description: str
    version: str
    release: str
    url: str
    sha256: str
    size: int
    licence: str
    licence_url: str = ""

    @property
    def file(self) -> str:
        """The name of the file."""
        return urlsplit(self.url).path.rpartition("/")[2]

    @property
    def address(self) -> str:
        """Where it is fetched from: the official address, or its file under ``CAMCOUNT_MODEL_MIRROR``."""
        mirror = os.environ.get(MIRROR_VARIABLE)
        return f"{mirror.rstrip('/')}/{self.file}" if mirror else self.url


def catalogue() -> dict[str, Entry]:
    """All entries by name: camcount's own, or those of the file that ``CAMCOUNT_MODEL_CATALOGUE`` names.

    Raises:
        UsageError: that file cannot be read or has a fault.
    """
    path = Path(os.environ.get(CATALOGUE_VARIABLE) or Path(__file__).with_name("catalogue.toml"))
    try:
        with path.open("rb") as file:
            return {name: Entry(name=name, **entry) for name, entry in tomllib.load(file).items()}
    except (OSError, tomllib.TOMLDecodeError, TypeError) as error:
        raise UsageError(f"the catalogue {path} cannot be used: {words_of(error)}") from error


def entry_named(name: str) -> Entry:
    """One entry.

    Raises:
        ModelNotFound: there is none of that name.
    """
    entries = catalogue()
    if name not in entries:
        raise ModelNotFound(f"no model {name!r} in the registry or the catalogue: {did_you_mean(name, entries)}")
    return entries[name]


def fetch(entry: Entry, progress: Callable[[int, int], None] = lambda done, size: None) -> Path:
    """The model's file on this machine, downloaded where it is not here yet.

    Raises:
        ModelNotFound, ModelLoadFailed, ServiceError, DiskFull: as `camcount.models.download.download`.
    """
    target = home() / "cache" / "downloads" / entry.sha256[:16] / entry.file
    return download(entry.address, target, sha256=entry.sha256, size=entry.size, progress=progress)


def packaged(entry: Entry, file: Path, folder: Path) -> Package:
    """A package of a downloaded file, in a folder of its own.

    Raises:
        ModelLoadFailed: the file is no detector that is recognised.
    """
    root = folder / entry.name
    root.mkdir(parents=True)
    shutil.copy(file, root / entry.file)
    return seal(root, _manifest(entry, root / entry.file))


def _manifest(entry: Entry, file: Path) -> Manifest:
    engine = OnnxEngine(file)
    spec = recognise(engine, file.name, metadata=engine.metadata)
    engine.close()
    return manifest_of(
        {
            "name": entry.name,
            "version": entry.version,
            "description": entry.description,
            "artifact": file.name,
            "input": picture_fields(spec),
            "output": {
                "decoder": spec.decoder,
                "parameters": dict(spec.parameters),
                "nms_iou": spec.nms_iou,
                "max_detections": spec.max_detections,
            },
            "labels": dict(enumerate(spec.labels)),
            "licence": entry.licence,
            "lineage": {"source": entry.url},
            "notes": f"as published in release {entry.release}",
        },
        entry.name,
    )
