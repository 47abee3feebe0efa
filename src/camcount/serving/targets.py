"""Which version of which model a request means, looked up without making it wait."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

from camcount.errors import ModelNotFound, ModelVersionMismatch, ServiceError
from camcount.models.opening import open_reference
from camcount.models.references import Reference, did_you_mean, parse_reference, registry_reference
from camcount.models.registered import RegisteredVersion
from camcount.protocols import ResultCache
from camcount.serving.cache_keys import model_prefix
from camcount.serving.options import ServedModel
from camcount.serving.requests import Decision

UNVERSIONED = "0.0.0"
"""The version of a bare file, which has none."""

_MOST_NAMES = 1000
"""References that are remembered; clients could invent any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One version of one model that a request goes to.

    Attributes:
        source: what is loaded: a path, an address, or ``name:version`` of the registry.
        served: what the configuration says of it.
    """

    name: str
    version: str
    source: str
    reason: str
    served: ServedModel = field(default_factory=ServedModel)
    aliases: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """``name:version``."""
        return f"{self.name}:{self.version}"

    @property
    def decision(self) -> Decision:
        """The choice as it is told to the client."""
        return Decision(self.key, self.reason)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The part of a `RegisteredVersion` that is needed here."""

    name: str
    version: str
    aliases: tuple[str, ...]

    @property
    def reference(self) -> str:
        """``name:version``."""
        return f"{self.name}:{self.version}"


class Versions(Protocol):
    """The part of a registry that is needed here: `camcount.models.registry.Registry` has it."""

    def find(self, reference: str | Reference) -> RegisteredVersion: ...
    def models(self) -> dict[str, list[RegisteredVersion]]: ...


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a reference meant when it was last looked up, and whether it may come to mean something else."""

    target: Target
    when: float
    moves: bool


class Targets:
    """From references to targets.

    What was looked up once is remembered: ``known`` never waits. After ``refresh_s`` it is looked up again in the
    background; where the registry does not answer, the last answer stands.

    Args:
        configured: models under names of the server's own.
        registry: makes the registry, when a name is first looked up in it.
        ask_registry: whether all that is registered can be asked for, and not only what is configured.
        slow: where look-ups in the background run.
        remembered: keeps what the registry said, so that a server that is started while the registry is away still
            knows, if the cache outlives it.
        moved: told when a reference has come to mean something else; the new target is used when it returns.

    """

    def __init__(
        self,
        configured: Mapping[str, ServedModel],
        registry: Callable[[], Versions],
        slow: Executor,
        *,
        ask_registry: bool = False,
        refresh_s: float = 5.0,
        remembered: ResultCache | None = None,
        moved: Callable[[Target], None] = lambda target: None,
    ) -> None:
        self.configured = dict(configured)
        self._make_registry = registry
        self._registry: Versions | None = None
        self._ask_registry = ask_registry
        self._slow = slow
        self._refresh_s = refresh_s
        self._remembered = remembered
        self._moved = moved
        self._lock = threading.Lock()
        self._known: dict[str, _Entry] = {}
        self._refreshing: set[str] = set()

    def known(self, reference: str) -> Target | None:
        """What the reference means, if that has been looked up."""
        entry = self._known.get(reference)
        if entry is None:
            return None
        if entry.moves and time.monotonic() - entry.when > self._refresh_s:
            with self._lock:
                begin = reference not in self._refreshing
                self._refreshing.add(reference)
            if begin:
                self._slow.submit(self._refresh, reference, entry.target)
        return entry.target

    def find(self, reference: str) -> Target:
        """What the reference means; may take as long as the registry does.

        Raises:
            ModelNotFound, ModelVersionMismatch: there is none.
            ServiceError: the registry does not answer.
        """
        target = self._look_up(reference)
        with self._lock:
            if len(self._known) >= _MOST_NAMES:
                self._known.clear()
            self._known[reference] = _Entry(target, time.monotonic(), _may_move(reference, target))
        return target

    def all(self) -> list[Target]:
        """Everything that can be asked for: the configured models, and all versions in the registry.

        Raises:
            ServiceError: the registry does not answer.
        """
        targets = [self._configured(registry_reference(name)) for name in self.configured]
        if self._ask_registry:
            for name, versions in self._versions().models().items():
                targets += [_registered(one, "in the registry") for one in versions if name not in self.configured]
        return targets

    def forget(self) -> None:
        """Has everything looked up anew."""
        with self._lock:
            self._known.clear()

    def _refresh(self, reference: str, before: Target) -> None:
        try:
            after = self._look_up(reference)
            if after.key != before.key:
                self._moved(after)
        except Exception:  # whatever keeps the registry from answering, what was known goes on being served
            after = before
        with self._lock:
            self._known[reference] = _Entry(after, time.monotonic(), True)
            self._refreshing.discard(reference)

    def _look_up(self, reference: str) -> Target:
        wanted = registry_reference(reference)
        if wanted.name in self.configured:
            return self._configured(wanted)
        if not self._ask_registry:
            raise ModelNotFound(f"no model {wanted.name!r} is served: {did_you_mean(wanted.name, self.configured)}")
        return _registered(self._registered_as(reference), _why(wanted))

    def _registered_as(self, reference: str) -> RegisteredVersion | Remembered:
        """What the registry says, or said when it was last asked."""
        key = f"{model_prefix(re.split('[:@]', reference)[0])}target:{reference}"
        try:
            found = self._versions().find(reference)
        except ServiceError:
            value = self._remembered.get("metadata", key) if self._remembered is not None else None
            if value is None:
                raise
            name, version, *aliases = json.loads(value)
            return Remembered(name, version, tuple(aliases))
        if self._remembered is not None:
            self._remembered.put("metadata", key, json.dumps([found.name, found.version, *found.aliases]).encode())
        return found

    def _versions(self) -> Versions:
        if self._registry is None:
            self._registry = self._make_registry()
        return self._registry

    def _configured(self, wanted: Reference) -> Target:
        served = self.configured[wanted.name]
        source = parse_reference(served.model)
        if source.kind == "registry":
            return self._configured_name(wanted, source, served)
        version = UNVERSIONED
        if source.kind == "package":
            with open_reference(source) as package:
                version = package.manifest.version
        if wanted.alias is not None:
            raise ModelNotFound(
                f"{wanted.name} is a file here and has no alias {wanted.alias!r}: ask for {wanted.name}"
            )
        if wanted.version not in (None, version):
            raise ModelVersionMismatch(f"{wanted.name} is served in version {version}, not {wanted.version}")
        return Target(
            name=wanted.name, version=version, source=served.model, reason="the only version", served=served
        )

    def _configured_name(self, wanted: Reference, source: Reference, served: ServedModel) -> Target:
        asked = f"{source.name}:{wanted.version}" if wanted.version else served.model
        if wanted.alias is not None:
            asked = f"{source.name}@{wanted.alias}"
        found = self._registered_as(asked)
        return Target(
            name=wanted.name,
            version=found.version,
            source=found.reference,
            reason=_why(registry_reference(asked)),
            served=served,
            aliases=found.aliases,
        )


def open_registry() -> Versions:
    """The registry of CAMCOUNT_REGISTRY_URL."""
    from camcount.models.registry import Registry  # MLflow takes a second to import, and is not always needed

    return Registry()


def _registered(found: RegisteredVersion | Remembered, reason: str) -> Target:
    return Target(
        name=found.name, version=found.version, source=found.reference, reason=reason, aliases=found.aliases
    )


def _why(wanted: Reference) -> str:
    if wanted.version:
        return "the version that was asked for"
    return f"alias {wanted.alias}" if wanted.alias else "champion, or the highest release"


def _may_move(reference: str, target: Target) -> bool:
    """A version stays what it is; an alias, a champion and a highest release may move."""
    return ":" not in reference and (
        not target.served.model or parse_reference(target.served.model).kind == "registry"
    )
