"""What there is of models: which are served, which are registered, and who moved which alias."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

from camcount.dashboard.dashboard import Dashboard
from camcount.errors import CamcountError, coded
from camcount.models.home import database_file, registry_url
from camcount.models.references import Reference
from camcount.models.registered import Promotion, RegisteredVersion, choose
from camcount.models.registry import Registry
from camcount.models.version import parse_version
from camcount.serving.dataplane import DataPlane
from camcount.serving.requests import ModelInfo


@cache
def registry() -> Registry:
    """The registry of this process; opening it takes a moment, so it stays open."""
    return Registry()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One version of a model.

    Attributes:
        served: what the server says of it; ``None`` where it does not serve it.
        kept: what the registry says of it; ``None`` where it is not registered.
    """

    name: str
    version: str
    served: ModelInfo | None = None
    kept: RegisteredVersion | None = None

    @property
    def reference(self) -> str:
        """``name:version``."""
        return f"{self.name}:{self.version}"

    @property
    def aliases(self) -> tuple[str, ...]:
        """What points at it."""
        return self.kept.aliases if self.kept else self.served.aliases if self.served else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """All models at one moment.

    Attributes:
        models: by name, each with its versions, the highest first.
        history: every move of an alias and every removal, the newest first.
        trouble: why the registry could not be read; empty where it was.
    """

    models: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    history: tuple[Promotion, ...] = ()
    trouble: str = ""

    @property
    def entries(self) -> list[Entry]:
        """All versions of all models."""
        return [entry for entries in self.models.values() for entry in entries]

    def moves(self, name: str) -> tuple[Promotion, ...]:
        """The history of one model."""
        return tuple(move for move in self.history if move.model == name)


def read_shelf(dashboard: Dashboard) -> Shelf:
    """Asks the server and the registry, which may take as long as the registry does; never in the event loop."""
    trouble: list[str] = []
    served = _served(dashboard, trouble)
    kept: list[RegisteredVersion] = []
    history: list[Promotion] = []
    if _has_registry() and not trouble:
        try:
            kept = [version for versions in registry().models().values() for version in versions]
            history = registry().history() if kept else []
        except CamcountError as error:
            trouble.append(coded(error))
    return Shelf(models=_by_name(served, kept), history=tuple(reversed(history)), trouble=" ".join(trouble))


def _served(dashboard: Dashboard, trouble: list[str]) -> list[ModelInfo]:
    plane = dashboard.plane
    if _has_registry() or not dashboard.settings.asks_registry:
        try:
            return plane.models()
        except CamcountError as error:
            trouble.append(coded(error))
    return [info for info, _ in standing(plane, in_memory(plane)).values()]


def _has_registry() -> bool:
    """Looking must not make one: nobody may ever want it."""
    path = database_file(registry_url())
    return path is None or path.exists()


def _by_name(served: Iterable[ModelInfo], kept: Iterable[RegisteredVersion]) -> dict[str, tuple[Entry, ...]]:
    infos = {info.reference: info for info in served}
    versions = {version.reference: version for version in kept}
    entries = [
        Entry(name=info.name, version=info.version, served=info, kept=versions.get(key))
        for key, info in infos.items()
    ]
    entries += [Entry(name=v.name, version=v.version, kept=v) for key, v in versions.items() if key not in infos]
    entries.sort(key=lambda entry: parse_version(entry.version), reverse=True)
    names = sorted({entry.name for entry in entries})
    return {name: tuple(entry for entry in entries if entry.name == name) for name in names}


def in_memory(plane: DataPlane) -> list[str]:
    """The references of what is loaded."""
    return [f"{gauge.model}:{gauge.version}" for gauge in plane.gauges()]


def standing(plane: DataPlane, references: Iterable[str]) -> dict[str, tuple[ModelInfo, int]]:
    """How models stand now, and how many bytes each takes; what is not served is left out."""
    taken = {f"{gauge.model}:{gauge.version}": gauge.memory_bytes for gauge in plane.gauges()}
    found = {}
    for reference in references:
        with suppress(CamcountError):
            found[reference] = plane.model(reference), taken.get(reference, 0)
    return found


def in_use(entries: Iterable[Entry]) -> Entry | None:
    """What the bare name means: the champion, or the highest release; of those that are not registered the first."""
    entries = list(entries)
    kept = {entry.reference: entry for entry in entries if entry.kept}
    if not kept:
        return next(iter(entries), None)
    versions = [entry.kept for entry in kept.values() if entry.kept]
    name = versions[0].name
    return kept[choose(versions, Reference("registry", name, name)).reference]
