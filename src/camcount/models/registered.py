"""What a registry knows: versions of models, who made which of them champion, and what came from what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from camcount.errors import ModelNotFound
from camcount.models.manifest import Manifest
from camcount.models.references import Reference, did_you_mean
from camcount.models.version import parse_version

Action = Literal["promote", "unset", "remove"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """One version of one model; what it holds never changes.

    ``number`` is MLflow's own; ``digest`` is the package's `Package.digest`; ``run_id`` is the MLflow run that holds
    the package under ``package`` and the further files under ``extras``.
    """

    name: str
    version: str
    number: int
    digest: str
    created: datetime
    created_by: str
    run_id: str
    notes: str = ""
    parent: str = ""
    aliases: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """``name:version``."""
        return f"{self.name}:{self.version}"

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "name": self.name,
            "version": self.version,
            "mlflow_version": self.number,
            "aliases": list(self.aliases),
            "digest": self.digest,
            "created": self.created.isoformat(),
            "created_by": self.created_by,
            "notes": self.notes,
            "parent": self.parent,
            **self.facts,
            "tags": dict(self.tags),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """An alias that moved, or a version that was removed. Kept for ever.

    ``outcome`` is ``done``; ``overtaken`` where another client moved the alias in the same moment, so that this move
    did not last; ``failed``; or ``unknown`` where whoever did it was cut off.
    """

    model: str
    action: Action
    alias: str
    before: str
    after: str
    who: str
    when: datetime
    why: str
    outcome: str
    digest: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "model": self.model,
            "action": self.action,
            "alias": self.alias,
            "from": self.before or None,
            "to": self.after or None,
            "who": self.who,
            "when": self.when.isoformat(),
            "why": self.why,
            "outcome": self.outcome,
        }


def newest_first(versions: Iterable[RegisteredVersion]) -> list[RegisteredVersion]:
    """In SemVer order, the highest first."""
    return sorted(versions, key=lambda v: parse_version(v.version), reverse=True)


def choose(versions: list[RegisteredVersion], reference: Reference) -> RegisteredVersion:
    """The version that a reference means, among those of its model.

    Without version or alias that is ``champion`` where there is one, otherwise the highest release, or the highest
    pre-release where there are only those.

    Raises:
        ModelNotFound: there is no such version or alias; the message names what there is.
    """
    name = reference.name
    ordered = newest_first(versions)
    if reference.version is not None:
        for one in ordered:
            if one.version == reference.version:
                return one
        hint = did_you_mean(reference.version, [one.version for one in ordered])
        raise ModelNotFound(f"the registry has no {name} of version {reference.version}: {hint}")
    for one in ordered:
        if (reference.alias or "champion") in one.aliases:
            return one
    if reference.alias is not None:
        hint = did_you_mean(reference.alias, [alias for one in ordered for alias in one.aliases])
        raise ModelNotFound(f"{name} has no alias {reference.alias!r}: {hint}")
    return next((one for one in ordered if not parse_version(one.version).prerelease), ordered[0])


def lineage(versions: Iterable[RegisteredVersion], reference: str) -> dict[str, list[str]]:
    """What a version was made from and what was made from it, both nearest first.

    A parent that the registry does not have is named and not followed.
    """
    parent = {one.reference: one.parent for one in versions}
    ancestors: list[str] = []
    at = parent.get(reference, "")
    while at and at not in ancestors and at != reference:
        ancestors.append(at)
        at = parent.get(at, "")
    descendants: list[str] = []
    generation = [reference]
    while generation:
        generation = [child for child, its in parent.items() if its in generation and child not in descendants]
        descendants += generation
    return {"ancestors": ancestors, "descendants": descendants}


def differences(old: Manifest, new: Manifest) -> dict[str, tuple[Any, Any]]:
    """What two packages say differently: dotted field to its old and its new value, ``None`` where it is absent."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    fields = sorted(before.keys() | after.keys())
    return {name: (before.get(name), after.get(name)) for name in fields if before.get(name) != after.get(name)}


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            flat |= _flat(inner, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = inner
    return flat
