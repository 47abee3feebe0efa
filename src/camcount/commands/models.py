"""``camcount models``: what can find objects."""

from __future__ import annotations

import typer

from camcount.commands import console
from camcount.commands.console import JsonOption

app = typer.Typer(invoke_without_command=True, help="The models and decoders that camcount knows.")


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
