"""Runs SavedModel folders with TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from camcount.engines.tensors import Array, checked, load_failed, owned, run_failed
from camcount.errors import ModelError, ModelLoadFailed, ModelNotFound, UsageError
from camcount.protocols import TensorInfo

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read by the import below; faults are raised
import tensorflow as tf


class TensorFlowEngine:
    """One signature of a SavedModel.

    Args:
        path: the folder that holds ``saved_model.pb``.
        threads: threads inside one `run`. TensorFlow has one such number for the whole process and takes it once,
            from the first engine made.
        signature: the function to call.
        device: ``CPU``, ``GPU``, ``GPU:1``.

    Raises:
        ModelNotFound: there is no such folder.
        ModelLoadFailed: it is no SavedModel, or has no such signature.
        UsageError: this machine has no such device.
    """

    concurrency = 0

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int = 1,
        signature: str = "serving_default",
        device: str = "CPU",
    ) -> None:
        self.path = Path(path)
        _set_threads(threads)
        self._device = _device(device)
        self._model: Any = _load(self.path, self._device)
        signatures = self._model.signatures
        if signature not in signatures:
            there = ", ".join(signatures) or "none"
            raise ModelLoadFailed(f"{self.path} has no signature {signature!r}: it has {there}")
        self._call: Any = signatures[signature]
        self.inputs: Mapping[str, TensorInfo] = _describe(self._call.structured_input_signature[1])
        self.outputs: Mapping[str, TensorInfo] = _describe(self._call.structured_outputs)

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """All outputs, in the order of `outputs`."""
        arrays = checked(feeds, self.inputs, str(self.path))
        call = self._call
        if call is None:
            raise ModelError(f"{self.path} was closed: load it again")
        try:
            with tf.device(self._device):
                found = call(**{name: tf.constant(array) for name, array in zip(self.inputs, arrays, strict=True)})
            return [owned(found[name].numpy()) for name in self.outputs]
        except Exception as error:  # TensorFlow's errors share no class but this one
            raise run_failed(self.path, error) from error

    def close(self) -> None:
        """Lets the graph and its variables go."""
        self._call = self._model = None


def _set_threads(threads: int) -> None:
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        return  # TensorFlow has started: its number of threads stands


def _device(device: str) -> str:
    name = device.upper()
    available = [found.name.removeprefix("/physical_device:") for found in tf.config.list_physical_devices()]
    if name not in {*available, *(found.split(":")[0] for found in available)}:
        raise UsageError(f"TensorFlow finds no device {device!r} on this machine: choose from {', '.join(available)}")
    return f"/{name}" if ":" in name else f"/{name}:0"


def _load(path: Path, device: str) -> Any:
    if not path.exists():
        raise ModelNotFound(f"no model folder {path}: check the path")
    if not (path / "saved_model.pb").exists():
        raise ModelLoadFailed(f"{path} is no SavedModel: name the folder that has saved_model.pb in it")
    try:
        with tf.device(device):
            return tf.saved_model.load(str(path))
    except Exception as error:  # TensorFlow's errors share no class but this one
        raise load_failed(path, "a SavedModel", error) from error


def _describe(specs: Mapping[str, Any]) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(name, tuple(spec.shape.as_list()), np.dtype(spec.dtype.as_numpy_dtype))
        for name, spec in specs.items()
    }
