"""Makes the package that `bench.gpu` measures with: an ONNX detector as TorchScript, for any number of pictures.

python -m bench.gpu_package MODEL.onnx FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tests.model_exports import Graph, torch_module, torch_operators

from camcount.models.describe import Description, describe
from camcount.models.package import open_package, seal


def reshape(given: Sequence[Any], _: Mapping[str, Any]) -> Any:
    """The batch stays as it comes."""
    return given[0].reshape([given[0].shape[0], *given[1].tolist()[1:]])


def main() -> None:
    """Writes the package."""
    model, folder = Path(sys.argv[1]), Path(sys.argv[2])
    graph = Graph(model)
    module = torch_module(graph, {**torch_operators(), "Reshape": reshape})
    traced = torch.jit.trace(module, (torch.zeros(graph.shape),))  # type: ignore[no-untyped-call]
    with TemporaryDirectory() as place:
        package = describe(model, Path(place) / "described", Description(name="gpu"))
        manifest = package.manifest.model_copy(
            update={
                "engine": "torch",
                "artifact": "model.pt",
                "safe": False,
                "engine_options": {"inputs": {graph.input: [None, *graph.shape[1:]]}},
            }
        )
    folder.mkdir(parents=True, exist_ok=True)
    torch.jit.save(traced, folder / "model.pt")
    seal(folder, manifest)
    print(open_package(folder).manifest.reference)


if __name__ == "__main__":
    main()
