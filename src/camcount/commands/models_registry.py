"""``camcount models register|list|show|versions|…``: models by name and version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camcount.commands import console, options
from camcount.commands.models_package import prepared_in_place, print_steps
from camcount.errors import UsageError

if TYPE_CHECKING:
    from camcount.models.catalogue import Entry
    from camcount.models.manifest import Manifest
    from camcount.models.registered import Promotion, RegisteredVersion
    from camcount.models.registry import Registry

ReferenceArgument = Annotated[str, typer.Argument(metavar="MODEL", help="NAME, NAME:1.2.0 or NAME@champion.")]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, kept in the history.")]


def register(
    package: Annotated[str, typer.Argument(help="A package: its folder, or an archive of it.")],
    notes: Annotated[str, typer.Option(help="Release notes. [those of model.yaml]")] = "",
    git_tag: Annotated[str, typer.Option(help="Tag of the code it was made with. [that of model.yaml]")] = "",
    tag: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A tag. Repeatable.")] = None,
    extra: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint, script or folder to keep beside it. Repeatable.")
    ] = None,
    prepare: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VIDEO",
            help="First make the package faster for cameras like this video, where its boxes agree. Repeatable.",
        ),
    ] = None,
    labels: Annotated[str | None, typer.Option(help="With --prepare: keep only these labels.")] = None,
    json: options.Json = False,
) -> None:
    """Add a package to the registry as the version that its model.yaml names."""
    from camcount.models.opening import open_reference
    from camcount.models.references import parse_reference

    tags = console.pairs(tag, "--tag") or {}
    if prepare:
        steps = prepared_in_place(package, labels, videos=prepare).manifest.preparation
        if not json:
            print_steps(steps)
    elif labels:
        raise UsageError("--labels goes with --prepare VIDEO: it cuts the other labels out of the model")
    with open_reference(parse_reference(package)) as opened:
        made = _registry().register(opened, notes=notes, git_tag=git_tag, tags=tags, extras=extra or ())
    if json:
        console.print_json({"new": made.new, **made.version.as_json()})
    elif made.new:
        typer.echo(f"registered {made.version.reference}")
    else:
        typer.echo(f"{made.version.reference} is registered already, with the same content")


def list_models(json: options.Json = False) -> None:
    """List the models of the registry."""
    models = _registry().models()
    if json:
        console.print_json({"models": {name: [v.as_json() for v in found] for name, found in models.items()}})
        return
    rows = [(name, found[0].version, str(len(found)), _aliases(found)) for name, found in models.items()]
    _print_rows("Models", ("name", "highest", "versions", "aliases"), rows)
    if not rows:
        typer.echo("none yet: 'camcount models pull yolox-nano' fetches one, 'camcount models register' adds one")


def show(model: ReferenceArgument, json: options.Json = False) -> None:
    """Show one version: where it comes from, what was measured, what was made from it."""
    from camcount.models.registered import lineage

    registry = _registry()
    found = registry.find(model)
    everything = [version for versions in registry.models().values() for version in versions]
    manifest = _manifest(registry, found.reference)
    told = {
        **found.as_json(),
        "lineage": {**manifest["lineage"], **lineage(everything, found.reference)},
        "card": manifest["card"],
        "input": manifest["input"],
        "labels": list(manifest["labels"].values()),
    }
    if json:
        console.print_json(told)
        return
    _print_rows(found.reference, ("field", "value"), [(name, value) for name, value in _lines(told) if value])


def versions(name: Annotated[str, typer.Argument(help="The model.")], json: options.Json = False) -> None:
    """List the versions of a model, the highest first."""
    found = _registry().versions(name)
    if json:
        console.print_json({"name": name, "versions": [version.as_json() for version in found]})
        return
    rows = [(v.version, ", ".join(v.aliases), f"{v.created:%Y-%m-%d %H:%M}", v.created_by, v.notes) for v in found]
    _print_rows(name, ("version", "aliases", "registered (UTC)", "by", "notes"), rows)


def alias(
    model: ReferenceArgument,
    alias: Annotated[str, typer.Argument(help="champion, challenger or another word.")],
    why: WhyOption = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the alias away.")] = False,
    json: options.Json = False,
) -> None:
    """Point an alias at a version; the next run that names the alias uses it."""
    registry = _registry()
    if remove:
        moved: Promotion | None = registry.unset(registry.find(model).name, alias, why)
    else:
        moved = registry.promote(model, alias, why)
    if json:
        console.print_json({"moved": moved is not None, "promotion": moved.as_json() if moved else None})
    elif moved is None:
        typer.echo(f"{alias} is {registry.find(model).reference} already")
    else:
        typer.echo(f"{moved.model} {alias}: {moved.before or 'nothing'} → {moved.after or 'nothing'}")
        if moved.outcome == "overtaken":
            console.warn(
                [f"somebody else moved {alias} in the same moment: see 'camcount models history {moved.model}'"]
            )


def history(
    name: Annotated[str | None, typer.Argument(help="Only this model.")] = None, json: options.Json = False
) -> None:
    """Show who made what champion, when and why, the oldest first. Nothing is ever taken out."""
    found = _registry().history(name)
    if json:
        console.print_json({"history": [promotion.as_json() for promotion in found]})
        return
    rows = [
        (
            f"{p.when:%Y-%m-%d %H:%M:%S}",
            p.model,
            p.alias or p.action,
            p.before or "–",
            p.after or "–",
            p.who,
            p.why if p.outcome == "done" else f"{p.why} ({p.outcome})".strip(),
        )
        for p in found
    ]
    _print_rows("Promotions", ("when (UTC)", "model", "alias", "from", "to", "who", "why"), rows)


def pull(
    model: Annotated[
        str | None,
        typer.Argument(help="A model of the registry or the catalogue; without it the catalogue is listed."),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Put the package's folder here too.")] = None,
    json: options.Json = False,
) -> None:
    """Fetch a model: a registered one to this machine, one of the catalogue into the registry."""
    from camcount.errors import ModelNotFound
    from camcount.models.catalogue import catalogue, entry_named

    if model is None:
        _print_catalogue(catalogue(), json)
        return
    registry = _registry()
    try:
        reference = registry.find(model).reference
    except ModelNotFound:
        if ":" in model or "@" in model:
            raise
        reference = _pull_from_catalogue(entry_named(model), registry, json)
    package = registry.resolve(reference)
    folder = _copied(package.root, to) if to is not None else package.root
    if json:
        console.print_json({"reference": reference, "folder": str(folder), "digest": package.digest})
    else:
        typer.echo(f"{reference} is here: use --model {reference} ({folder})")


def export(
    model: ReferenceArgument,
    to: Annotated[Path, typer.Argument(help="A folder that is not there yet, or a .tar.gz or .zip file.")],
    extras: Annotated[
        Path | None, typer.Option(help="Write checkpoints and scripts into 'extras' in this folder.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Write a registered package as a folder or an archive, to take it elsewhere."""
    from camcount.models.package import pack
    from camcount.models.references import ARCHIVES

    registry = _registry()
    package = registry.resolve(model)
    written = pack(package.root, to) if to.name.endswith(ARCHIVES) else _copied(package.root, to)
    names = registry.fetch_extras(model, extras) if extras is not None else []
    if json:
        console.print_json({"reference": package.manifest.reference, "written": str(written), "extras": names})
    else:
        typer.echo(f"wrote {package.manifest.reference} to {written}")


def remove(model: ReferenceArgument, why: WhyOption = "", json: options.Json = False) -> None:
    """Delete a version and its files; the history keeps what it was used for, and its number stays taken."""
    gone = _registry().remove(model, why)
    if json:
        console.print_json({"removed": gone.reference})
    else:
        typer.echo(f"removed {gone.reference}")


def tag(
    model: ReferenceArgument,
    changes: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", help="Tags to set; KEY= takes one away.")],
    json: options.Json = False,
) -> None:
    """Set or take away tags of a version."""
    registry = _registry()
    if wrong := [change for change in changes if not change.partition("=")[1]]:
        raise UsageError(f"{wrong[0]!r} is not KEY=VALUE, for example site=north")
    found = registry.find(model)
    for change in changes:
        key, _, value = change.partition("=")
        found = registry.tag(found.reference, key, value or None)
    if json:
        console.print_json({"reference": found.reference, "tags": dict(found.tags)})
    else:
        told = ", ".join(f"{key}={value}" for key, value in sorted(found.tags.items()))
        typer.echo(f"{found.reference}: {told or 'no tags'}")


def diff(
    old: ReferenceArgument,
    new: Annotated[str, typer.Argument(metavar="OTHER", help="Another one, or a path to a package.")],
    json: options.Json = False,
) -> None:
    """Compare two packages field by field."""
    from camcount.models.opening import open_reference
    from camcount.models.references import parse_reference
    from camcount.models.registered import differences

    with open_reference(parse_reference(old)) as first, open_reference(parse_reference(new)) as second:
        found = differences(first.manifest, second.manifest)
    if json:
        console.print_json({"differences": {name: {"old": a, "new": b} for name, (a, b) in found.items()}})
        return
    rows = [(name, _short(before), _short(after)) for name, (before, after) in found.items()]
    _print_rows("Differences", ("field", old, new), rows)


COMMANDS = {
    "register": register,
    "list": list_models,
    "show": show,
    "versions": versions,
    "alias": alias,
    "history": history,
    "pull": pull,
    "export": export,
    "remove": remove,
    "tag": tag,
    "diff": diff,
}
"""What to register under ``camcount models``, by name."""


def _registry() -> Registry:
    from camcount.models.registry import Registry

    return Registry()


def _manifest(registry: Registry, reference: str) -> dict[str, Any]:
    manifest: Manifest = registry.resolve(reference).manifest
    return manifest.model_dump(mode="json")


def _pull_from_catalogue(entry: Entry, registry: Registry, quiet: bool) -> str:
    import tempfile

    from camcount.models.catalogue import fetch, packaged

    with console.progress(quiet) as bar, tempfile.TemporaryDirectory() as folder:
        task = bar.add_task(f"{entry.name} ({entry.licence})", total=entry.size, state="")

        def came(done: int, size: int) -> None:
            bar.update(task, completed=done, state=f"{done / 1e6:.1f} of {size / 1e6:.1f} MB")

        file = fetch(entry, came)
        tags = {"release": entry.release, "licence_url": entry.licence_url}
        made = registry.register(packaged(entry, file, Path(folder)), tags={k: v for k, v in tags.items() if v})
    return made.version.reference


def _print_catalogue(entries: Mapping[str, Entry], json: bool) -> None:
    if json:
        fields = ("version", "release", "description", "licence", "licence_url", "address", "sha256", "size")
        told = {name: {field: getattr(entry, field) for field in fields} for name, entry in entries.items()}
        console.print_json({"catalogue": told})
        return
    rows = [(e.name, f"{e.size / 1e6:.1f} MB", e.licence, e.description) for e in entries.values()]
    _print_rows("Catalogue", ("name", "size", "licence", "what it is"), rows)


def _copied(root: Path, to: Path) -> Path:
    import shutil

    if to.exists():
        raise UsageError(f"{to} is there already: name a folder that is not")
    shutil.copytree(root, to)
    return to


def _aliases(found: Sequence[RegisteredVersion]) -> str:
    return ", ".join(f"{alias} {version.version}" for version in found for alias in version.aliases)


def _lines(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            rows += _lines(inner, f"{prefix}{name} ")
        else:
            rows.append((f"{prefix}{name}", _short(inner)))
    return rows


def _short(value: object) -> str:
    if isinstance(value, list):
        shown = ", ".join(str(item) for item in value[:10])
        return f"{shown} and {len(value) - 10} more" if len(value) > 10 else shown
    return "" if value is None else str(value)


def _print_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)
