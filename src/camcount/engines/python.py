"""Runs a model through a class of the user's own."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from camcount.engines.tensors import Array, checked, described, load_failed, run_failed
from camcount.errors import ModelError, ModelLoadFailed, ModelNotFound, UsageError
from camcount.protocols import TensorInfo

GROUP = "camcount.engines"
"""The entry point group in which a package offers its engines."""


class PythonEngine:
    """A user's class as an engine, held to the engines' contract.

    The class is called with the path of its artifact and the options as keywords. It has ``inputs`` and ``outputs``
    (by name a `TensorInfo`, a shape, or ``{"shape": ..., "dtype": ...}``) and ``run(feeds)``, which gives the outputs
    in their order; ``close()`` and ``concurrency`` if it likes: how many threads may call ``run`` at once, 1 unless
    it says otherwise, 0 for any number.

    Args:
        target: ``file.py:Class``, or the name of an entry point in the group ``camcount.engines``.
        artifact: what the class is given to load; ``file.py`` itself unless told otherwise.
        options: the class's own.

    Raises:
        ModelNotFound: there is no such file or entry point.
        ModelLoadFailed: the class cannot be imported or made, or does not say what it takes and gives.
    """

    def __init__(self, target: str | Path, artifact: str | Path | None = None, **options: Any) -> None:
        self._name = str(target)
        path, made = _found(self._name)
        try:
            self._engine: Any = made(Path(artifact) if artifact is not None else path, **options)
        except (ModelError, UsageError):
            raise
        except Exception as error:  # a user's class raises whatever it likes
            raise load_failed(self._name, "an engine", error) from error
        missing = [name for name in ("inputs", "outputs", "run") if not hasattr(self._engine, name)]
        if missing:
            raise ModelLoadFailed(f"{self._name} is no engine: it has no {missing[0]}; see camcount.protocols.Engine")
        self.inputs: Mapping[str, TensorInfo] = described(self._engine.inputs, "inputs")
        self.outputs: Mapping[str, TensorInfo] = described(self._engine.outputs, "outputs")
        self.concurrency = int(getattr(self._engine, "concurrency", 1))

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """All outputs, in the order of `outputs`."""
        arrays = checked(feeds, self.inputs, self._name)
        if self._engine is None:
            raise ModelError(f"{self._name} was closed: load it again")
        try:
            found = [np.asarray(array) for array in self._engine.run(dict(zip(self.inputs, arrays, strict=True)))]
        except Exception as error:  # a user's class raises whatever it likes
            raise run_failed(self._name, error) from error
        if len(found) != len(self.outputs):
            raise ModelError(
                f"{self._name} gave {len(found)} outputs and announced {len(self.outputs)}: make them agree"
            )
        return [np.array(a) if any(np.may_share_memory(a, given) for given in arrays) else a for a in found]

    def close(self) -> None:
        """Closes and lets go of the user's object."""
        engine, self._engine = self._engine, None
        if engine is not None and hasattr(engine, "close"):
            engine.close()


def _found(target: str) -> tuple[Path | None, Any]:
    file, _, name = target.rpartition(":")
    if file.endswith(".py"):
        module = _module(Path(file))
        if not hasattr(module, name):
            raise ModelNotFound(f"{file} has no class {name!r}: check its name")
        return Path(file), getattr(module, name)
    for entry in entry_points(group=GROUP, name=target):
        try:
            return None, entry.load()
        except Exception as error:  # importing somebody's package may raise whatever it likes
            raise load_failed(f"entry point {target}", "an engine", error) from error
    raise ModelNotFound(
        f"{target!r} is neither file.py:Class nor an engine that an installed package offers under {GROUP}"
    )


class _Unwritten(SourceFileLoader):
    """Leaves no compiled file behind: in a package it would be a file that nobody listed or signed."""

    def set_data(self, *_: Any, **__: Any) -> None:
        """Writes nothing."""


def _module(path: Path) -> ModuleType:
    if not path.exists():
        raise ModelNotFound(f"no file {path}: check the path")
    # its own name for each path, so that two packages may both have an engine.py
    name = f"camcount_user_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelLoadFailed(f"{path} cannot be imported: it has to be a .py file")
    if isinstance(spec.loader, SourceFileLoader):
        spec.loader = _Unwritten(name, str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look a class's module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's file raises whatever it likes
        del sys.modules[name]
        raise load_failed(path, "a Python file", error) from error
    return module
