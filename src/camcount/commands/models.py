"""``camcount models``: what can find objects, and the commands that keep models."""

from __future__ import annotations

import typer

from camcount.commands import console, models_registry
from camcount.commands.console import JsonOption

app = typer.Typer(invoke_without_command=True, help="Models: packages, the registry, and what camcount knows itself.")


@app.callback()
def models(context: typer.Context, json: JsonOption = False) -> None:
    """List the built-in models and the decoders for model files."""
    if context.invoked_subcommand is not None:
        return
    from camcount.detection.decoders import DECODERS
    from camcount.detection.load import BUILT_IN

    decoders = {name: decoder.summary for name, decoder in DECODERS.items()}
    if json:
        console.print_json({"models": BUILT_IN, "decoders": decoders})
        return
    from camcount.commands.tables import print_figures

    print_figures("Built-in models (--model)", BUILT_IN)
    print_figures("Decoders for ONNX files (--decoder)", decoders)


app.command("register")(models_registry.register)
app.command("list")(models_registry.list_models)
app.command("show")(models_registry.show)
app.command("versions")(models_registry.versions)
app.command("alias")(models_registry.alias)
app.command("history")(models_registry.history)
app.command("pull")(models_registry.pull)
app.command("export")(models_registry.export)
app.command("remove")(models_registry.remove)
app.command("tag")(models_registry.tag)
app.command("diff")(models_registry.diff)
