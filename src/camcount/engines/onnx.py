"""Runs ONNX files with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from camcount.errors import ModelError, ModelLoadFailed, ModelNotFound, UsageError, words_of
from camcount.protocols import TensorInfo

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(uint16)": np.uint16,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


class OnnxEngine:
    """One ONNX Runtime session.

    Args:
        path: the ``.onnx`` file, or its bytes, for a model that may lie on no disk in the clear.
        threads: threads inside one `run`. One thread per call and several calls at once give more pictures per
            second than several threads per call; more threads shorten a single call.
        providers: names of ONNX Runtime execution providers in order of preference, long
            (``CUDAExecutionProvider``) or short (``cuda``), with the number of the device if there are several
            (``cuda:1``); ``device`` unless told otherwise.
        device: one provider.

    Attributes:
        metadata: what the exporting program wrote into the file, such as class names.

    Raises:
        ModelNotFound: there is no such file.
        ModelLoadFailed: the file is no ONNX model, or the provider does not start.
        UsageError: this build of ONNX Runtime has no provider of that name.
    """

    concurrency = 0

    def __init__(
        self,
        path: str | Path | bytes,
        *,
        threads: int = 1,
        providers: Sequence[str] | None = None,
        device: str = "cpu",
    ) -> None:
        self.path = Path("model in memory") if isinstance(path, bytes) else Path(path)
        wanted = _placed(providers or [device])
        source = path if isinstance(path, bytes) else _existing(self.path)
        self._session = _open_session(source, self.path, threads, wanted)
        refused = [name for name, _ in wanted if name not in self._session.get_providers()]
        if refused:
            raise ModelLoadFailed(
                f"{self.path}: {refused[0]} is part of ONNX Runtime here but did not start: "
                f"check its driver and libraries, or leave it out of the providers"
            )
        self.inputs: Mapping[str, TensorInfo] = _describe(self._session.get_inputs())
        self.outputs: Mapping[str, TensorInfo] = _describe(self._session.get_outputs())
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """All outputs, in the order of `outputs`."""
        try:
            return list(self._session.run(None, dict(feeds)))
        except Exception as error:  # the runtime's own exceptions share no class but this one
            raise ModelError(f"{self.path}: inference failed: {_one_line(error)}") from error

    def close(self) -> None:
        """Nothing is left to do: the session goes when nobody uses it any more."""


def _placed(providers: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Providers' long names, each with its options."""
    available: list[str] = ort.get_available_providers()
    by_short_name = {_short(name): name for name in available}
    placed = []
    for provider in providers:
        kind, _, number = provider.partition(":")
        name = by_short_name.get(_short(kind))
        if name is None:
            offered = ", ".join(sorted(by_short_name))
            raise UsageError(f"no ONNX Runtime provider {provider!r} on this machine: choose from {offered}")
        placed.append((name, {"device_id": number} if number else {}))
    return placed


def _short(provider: str) -> str:
    return provider.lower().removesuffix("executionprovider")


def _existing(path: Path) -> str:
    if not path.exists():
        raise ModelNotFound(f"no model file {path}: check the path")
    if not path.is_file():
        raise ModelLoadFailed(f"{path} is a folder: name the .onnx file in it")
    return str(path)


def _open_session(
    source: str | bytes, path: Path, threads: int, providers: list[tuple[str, dict[str, str]]]
) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    # waiting threads that spin take the processor from decoding and from the other calls
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what goes wrong is raised, not printed
    try:
        return ort.InferenceSession(source, options, providers=providers)
    except Exception as error:  # the runtime's own exceptions share no class but this one
        raise ModelLoadFailed(
            f"{path} cannot be loaded as an ONNX model ({_one_line(error)}): "
            f"check that the file is complete and is a .onnx export"
        ) from error


def _describe(nodes: Sequence[Any]) -> dict[str, TensorInfo]:
    return {node.name: _tensor_info(node) for node in nodes}


def _tensor_info(node: Any) -> TensorInfo:
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape)
    return TensorInfo(node.name, shape, np.dtype(_DTYPES.get(node.type, object)))


def _one_line(error: Exception) -> str:
    text = words_of(error)
    # "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : what it is about"
    return text.split(" : ", 3)[-1][:200] if text.startswith("[ONNXRuntimeError]") else text[:200]
