"""Versions and promotions as MLflow keeps them: which tag holds what, and how its lists are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from camcount.models.manifest import Manifest
from camcount.models.package import Package
from camcount.models.registered import Promotion, RegisteredVersion

OURS = "camcount."
"""What the names of our own tags begin with; all others are the user's."""

STATE = "camcount.state"
READY = "ready"
PENDING = "pending"
_ALIAS_OF = {"promote", "unset"}


def is_ready(version: Any) -> bool:
    """Whether an MLflow model version is one of ours and complete."""
    return bool(version.tags.get(STATE) == READY)


def version_tags(package: Package, who: str, git_tag: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a new version, still pending."""
    manifest = package.manifest
    lineage = manifest.lineage
    facts = {
        "version": manifest.version,
        "digest": package.digest,
        "created_by": who,
        "engine": manifest.engine,
        "task": manifest.task,
        "licence": manifest.licence,
        "parent": lineage.parent,
        "dataset": " ".join(filter(None, (lineage.dataset, lineage.dataset_version))),
        "training_run": lineage.training_run,
        "git_commit": lineage.git_commit,
        "git_tag": git_tag or lineage.git_tag,
    }
    return {**tags, STATE: PENDING, **{f"{OURS}{name}": value for name, value in facts.items() if value}}


def measures(manifest: Manifest) -> dict[str, float]:
    """The card's figures, which MLflow shows as metrics of the run."""
    card = manifest.card.model_dump(include={"map", "counting_f1", "latency_ms", "memory_mb"})
    return {name: float(value) for name, value in card.items() if value is not None}


def registered(version: Any, aliases: Mapping[str, Any]) -> RegisteredVersion:
    """One of our versions from MLflow's model version and the aliases of its model."""
    facts = {name.removeprefix(OURS): value for name, value in version.tags.items() if name.startswith(OURS)}
    facts.pop("state", None)
    return RegisteredVersion(
        name=version.name,
        version=facts.pop("version"),
        number=int(version.version),
        digest=facts.pop("digest"),
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        created_by=facts.pop("created_by", ""),
        run_id=version.run_id,
        notes=version.description or "",
        parent=facts.pop("parent", ""),
        aliases=tuple(sorted(name for name, number in aliases.items() if str(number) == str(version.version))),
        facts=facts,
        tags={name: value for name, value in version.tags.items() if not name.startswith(OURS)},
    )


def promotion_tags(promotion: Promotion) -> dict[str, str]:
    """The tags of the run that keeps a promotion."""
    fields = {
        "model": promotion.model,
        "action": promotion.action,
        "alias": promotion.alias,
        "from": promotion.before,
        "to": promotion.after,
        "who": promotion.who,
        "at": promotion.when.isoformat(),
        "why": promotion.why,
        "digest": promotion.digest,
    }
    move = f"{promotion.alias} {promotion.before or '–'} → {promotion.after or '–'}"
    title = move if promotion.action in _ALIAS_OF else f"{promotion.action} {promotion.before}"
    return {"mlflow.runName": f"{promotion.model} {title}", **{f"{OURS}{name}": fields[name] for name in fields}}


def promotion(run: Any) -> Promotion:
    """The promotion that a run keeps."""
    tags = {name.removeprefix(OURS): value for name, value in run.data.tags.items() if name.startswith(OURS)}
    return Promotion(
        model=tags["model"],
        action=tags["action"],
        alias=tags.get("alias", ""),
        before=tags.get("from", ""),
        after=tags.get("to", ""),
        who=tags.get("who", ""),
        when=datetime.fromisoformat(tags["at"]),
        why=tags.get("why", ""),
        outcome=tags.get("outcome", "unknown"),
        digest=tags.get("digest", ""),
    )


def pages(search: Callable[..., Any], where: str = "", **options: Any) -> Iterator[Any]:
    """Everything that one of MLflow's searches finds, page after page."""
    token = None
    while True:
        page = search(filter_string=where, max_results=1000, page_token=token, **options)
        yield from page
        token = page.token
        if not token:
            return


def experiment_named(client: Any, name: str, location: str | None) -> str:
    """The id of an experiment, made with its files at ``location`` where it is not there yet."""
    if (known := client.get_experiment_by_name(name)) is None:
        _unless_there(client.create_experiment, name, artifact_location=location)
        known = client.get_experiment_by_name(name)
    return str(known.experiment_id)


def ensure_model(client: Any, name: str) -> None:
    """Makes a registered model where it is not there yet."""
    _unless_there(client.create_registered_model, name, tags={f"{OURS}model": "true"})


def _unless_there(create: Callable[..., Any], name: str, **options: Any) -> None:
    try:
        create(name, **options)
    except Exception as error:
        if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
            raise
