"""``camcount models load``: does it load, how long does that take, how much memory, and does it give it back?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camcount.commands import console, options

if TYPE_CHECKING:
    from camcount.models.loader import Loader


def load(
    references: Annotated[list[str], typer.Argument(metavar="MODEL…", help="Files, packages or registered models.")],
    strategy: Annotated[str | None, typer.Option(help="lazy, eager, or hybrid with --preload. [lazy]")] = None,
    preload: Annotated[str | None, typer.Option(help="What hybrid loads at the start, comma separated.")] = None,
    max_models: Annotated[int | None, typer.Option(help="So many in memory at most.")] = None,
    memory_limit: Annotated[str | None, typer.Option(help="Memory for all together, for example 2GiB.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds for one load. [60]")] = None,
    config: Annotated[Path | None, typer.Option(help="A camcount.yaml with a model_loading section.")] = None,
    json: options.Json = False,
) -> None:
    """Load models under limits, run each once, unload them; tell states, times and memory.

    camcount models load yolox-nano@champion person-detector --max-models 1
    """
    from camcount.models.loader import Loader
    from camcount.models.opening import find_model
    from camcount.settings import load_model_loading

    limits = load_model_loading(
        config,
        {
            "loading_strategy": strategy,
            "preload_models": preload,
            "max_models_in_memory": max_models,
            "memory_limit": memory_limit,
            "loading_timeout": timeout,
        },
    )
    states: list[str] = []
    loader = Loader(
        find_model, limits.settled(), known=references, watch=lambda name, state: states.append(f"{name}: {state}")
    )
    try:
        loader.start()
        rows = [_try(loader, reference) for reference in references]
    finally:
        loader.close()
    if json:
        console.print_json({"models": rows, "states": states})
        return
    from camcount.commands.tables import print_loading

    print_loading(rows, states)


def _try(loader: Loader, reference: str) -> dict[str, Any]:
    from camcount.models.memory import resident_bytes

    before, begun = resident_bytes(), time.perf_counter()
    with loader.lease(reference) as detector:
        took = time.perf_counter() - begun
        held = len(loader.taken())
        return {
            "model": reference,
            "labels": len(detector.labels),
            "loaded_s": round(took, 3),
            "memory_mb": round((resident_bytes() - before) / 1e6, 1),
            "in_memory": held,
        }
