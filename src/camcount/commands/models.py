"""``camcount models``: what can find objects, and the commands that keep models."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import typer

from camcount.commands import console, models_handover, models_load, models_package, models_registry, options

app = typer.Typer(invoke_without_command=True, help="Models: packages, the registry, and what camcount knows itself.")


@app.callback()
def models(context: typer.Context, json: options.Json = False) -> None:
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


_commands = cast(
    "list[dict[str, Callable[..., None]]]",
    [models_package.COMMANDS, models_handover.COMMANDS, models_registry.COMMANDS, {"load": models_load.load}],
)
for _name, _command in [pair for commands in _commands for pair in commands.items()]:
    app.command(_name)(_command)
