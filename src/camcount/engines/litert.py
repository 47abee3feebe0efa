"""Runs ``.tflite`` files with LiteRT (TensorFlow Lite)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from camcount.engines.pool import Pool
from camcount.engines.tensors import Array, checked, load_failed, run_failed, shape_of
from camcount.errors import ModelError, ModelLoadFailed, ModelNotFound
from camcount.protocols import TensorInfo

Details = Mapping[str, Mapping[str, Any]]
"""What LiteRT knows of each tensor: its place, shape and dtype."""

_MARK = b"TFL3"
"""What stands at byte 4 of every such file: the identifier of its FlatBuffers schema."""


class LiteRtEngine:
    """A few interpreters of one file, for an interpreter serves one thread at a time.

    Args:
        path: the ``.tflite`` file.
        threads: threads inside one `run`.
        copies: how many calls run at the same time; more callers wait for their turn. As many as there are
            processors for ``threads`` each unless told otherwise.

    Raises:
        ModelNotFound: there is no such file.
        ModelLoadFailed: the file is no LiteRT model.
    """

    concurrency = 0

    def __init__(self, path: str | Path, *, threads: int = 1, copies: int | None = None) -> None:
        self.path = Path(path)
        self._threads = threads
        _require_model(self.path)
        self._interpreters: Pool[Interpreter] | None = Pool(
            self._interpreter, copies or max(1, (os.cpu_count() or 1) // threads)
        )
        with self._interpreters.borrow() as first:
            takes, gives = _tensors(first)
        self.inputs: Mapping[str, TensorInfo] = _describe(takes)
        self.outputs: Mapping[str, TensorInfo] = _describe(gives)

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """All outputs, in the order of `outputs`."""
        arrays = checked(feeds, self.inputs, str(self.path))
        if self._interpreters is None:
            raise ModelError(f"{self.path} was closed: load it again")
        try:
            with self._interpreters.borrow() as interpreter:
                return _invoke(interpreter, arrays)
        except (RuntimeError, ValueError) as error:
            raise run_failed(self.path, error) from error

    def close(self) -> None:
        """Lets the interpreters go."""
        self._interpreters = None

    def _interpreter(self) -> Interpreter:
        try:
            interpreter = Interpreter(model_path=str(self.path), num_threads=self._threads)
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise load_failed(self.path, "a LiteRT model", error) from error
        return interpreter


def _require_model(path: Path) -> None:
    if not path.exists():
        raise ModelNotFound(f"no model file {path}: check the path")
    if not path.is_file():
        raise ModelLoadFailed(f"{path} is a folder: name the .tflite file")
    with path.open("rb") as file:
        if file.read(8)[4:] != _MARK:
            raise ModelLoadFailed(f"{path} is no LiteRT model: check that the file is complete and a .tflite export")


def _invoke(interpreter: Any, arrays: Sequence[Array]) -> list[Array]:
    takes, gives = _tensors(interpreter)
    moved = False
    for detail, array in zip(takes.values(), arrays, strict=True):
        if tuple(detail["shape"]) != array.shape:
            interpreter.resize_tensor_input(detail["index"], array.shape)
            moved = True
    if moved:
        interpreter.allocate_tensors()
    for detail, array in zip(takes.values(), arrays, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in gives.values()]


def _tensors(interpreter: Any) -> tuple[Details, Details]:
    """Inputs and outputs by the names in the file's first signature, or by their own where it has none."""
    takes, gives = interpreter.get_input_details(), interpreter.get_output_details()
    for signature in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(signature)
        places = {detail["index"]: detail for detail in (*takes, *gives)}
        named = [
            {name: places[detail["index"]] for name, detail in details.items() if detail["index"] in places}
            for details in (runner.get_input_details(), runner.get_output_details())
        ]
        if [len(details) for details in named] == [len(takes), len(gives)]:
            return named[0], named[1]
    return {str(detail["name"]): detail for detail in takes}, {str(detail["name"]): detail for detail in gives}


def _describe(details: Details) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(name, shape_of(_sizes(detail)), np.dtype(detail["dtype"]))
        for name, detail in details.items()
    }


def _sizes(detail: Mapping[str, Any]) -> Sequence[int]:
    signature: Sequence[int] = detail["shape_signature"]
    return signature if len(signature) else detail["shape"]
