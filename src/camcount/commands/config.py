"""``camcount config``: is a configuration right, before a server is started with it?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from camcount.commands import console, options

app = typer.Typer(no_args_is_help=True, help="Check a server's camcount.yaml, or print its JSON Schema.")


@app.command("check")
def check(
    config: Annotated[Path, typer.Argument(help="The camcount.yaml of a server.")] = Path("camcount.yaml"),
    json: options.Json = False,
) -> None:
    """Read a configuration as `camcount serve` would: every setting, model, line and time zone; nothing is started.

    camcount config check camcount.yaml
    """
    from camcount.models.references import parse_reference
    from camcount.server_settings import load_server_settings, secrets_of

    settings = load_server_settings(config, {})
    for served in settings.models.values():
        parse_reference(served.model)
    secrets = secrets_of(settings.secrets)
    default = next(iter(settings.models), "motion")
    names = set(settings.models)
    cameras = {name: _checked(name, entry, default, names, secrets) for name, entry in settings.cameras.items()}
    sinks = [f"webhook {webhook.label}" for webhook in settings.sinks.webhooks]
    sinks += [name for name in ("mqtt", "redis_stream") if getattr(settings.sinks, name) is not None]
    if json:
        models = {name: served.model for name, served in settings.models.items()}
        console.print_json({"models": models, "cameras": cameras, "sinks": sinks})
        return
    typer.echo(f"{config} is right: {len(names)} models, {len(cameras)} cameras, {len(sinks)} sinks")
    for name, camera in cameras.items():
        lines = ", ".join(camera["lines"]) or "none"
        typer.echo(f"  {name}: {camera['source']}, model {camera['model']}, lines {lines}")


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema, for editors that complete and check YAML by it.

    camcount config schema > camcount.schema.json
    """
    from camcount.server_settings import json_schema

    console.print_json(json_schema())


def _checked(name: str, entry: Any, default: str, models: set[str], secrets: dict[str, str]) -> dict[str, Any]:
    from camcount.cameras.settings import with_secrets
    from camcount.errors import UsageError

    camera = entry.settings(default)
    with_secrets(camera.source, secrets)
    asked = camera.model.partition(":")[0].partition("@")[0]
    if models and asked not in models | {"motion"}:
        raise UsageError(f"camera {name} asks for model {camera.model!r}: served are {', '.join(sorted(models))}")
    return {
        "source": camera.shown,
        "model": camera.model,
        "lines": [line.name for line in camera.lines],
        "zones": [zone.name for zone in camera.zones],
    }
