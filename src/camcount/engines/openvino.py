"""Runs ONNX files and OpenVINO IR files with OpenVINO."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import openvino as ov
from openvino.frontend import FrontEndManager

from camcount.engines.pool import Pool
from camcount.engines.tensors import Array, checked, load_failed, owned, run_failed
from camcount.errors import ModelError, ModelLoadFailed, ModelNotFound, UsageError
from camcount.protocols import TensorInfo

Precision = Literal["f32", "bf16", "f16"]

_CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}
"""What OpenVINO calls a processor's skill in each precision."""

_FRONT_ENDS = {".onnx": "onnx", ".xml": "ir"}


class OpenVinoEngine:
    """One compiled model with one inference request per stream.

    Args:
        path: an ``.onnx`` file, or the ``.xml`` of an IR with its ``.bin`` beside it.
        threads: threads inside one `run`.
        streams: how many calls run at the same time; more callers wait for their turn. As many as there are
            processors for ``threads`` each unless told otherwise.
        precision: what to compute in, whatever the file holds. ``bf16`` is 1.3 to 1.5 times as fast as ``f32``
            on processors that have it (AVX512_BF16, AMX), and moves boxes and scores: how far depends on the model.
        shapes: sizes by input name for what the file leaves open, or another size than it was exported with: fixed
            sizes compile to faster code.
        device: ``CPU``, ``GPU``, ``NPU``, ``AUTO``.

    Raises:
        ModelNotFound: there is no such file.
        ModelLoadFailed: the file is no model, or does not take the shapes.
        UsageError: this machine has no such device or precision.
    """

    concurrency = 0

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int = 1,
        streams: int | None = None,
        precision: Precision = "f32",
        shapes: Mapping[str, Sequence[int]] | None = None,
        device: str = "CPU",
    ) -> None:
        self.path = Path(path)
        core = ov.Core()
        device = _device(core, device)
        _require_precision(core, device, precision)
        model = _read(self.path)
        if shapes:
            _reshape(model, shapes, self.path)
        streams = streams or max(1, (os.cpu_count() or 1) // threads)
        settings = {"NUM_STREAMS": streams, "INFERENCE_PRECISION_HINT": precision}
        if device == "CPU":
            # pinned threads would fight with decoding for the same processors
            settings |= {"INFERENCE_NUM_THREADS": streams * threads, "ENABLE_CPU_PINNING": False}
        try:
            compiled = core.compile_model(model, device, settings)
        except RuntimeError as error:
            raise load_failed(self.path, "an OpenVINO model", error) from error
        self.inputs: Mapping[str, TensorInfo] = _describe(compiled.inputs, "input")
        self.outputs: Mapping[str, TensorInfo] = _describe(compiled.outputs, "output")
        self._requests: Pool[ov.InferRequest] | None = Pool(compiled.create_infer_request, streams)

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """All outputs, in the order of `outputs`."""
        arrays = checked(feeds, self.inputs, str(self.path))
        if self._requests is None:
            raise ModelError(f"{self.path} was closed: load it again")
        try:
            with self._requests.borrow() as request:
                results = request.infer(dict(enumerate(arrays)), share_inputs=True, share_outputs=False)
                return [owned(result) for result in results.values()]
        except RuntimeError as error:
            raise run_failed(self.path, error) from error

    def close(self) -> None:
        """Lets the compiled model and its requests go."""
        self._requests = None


def _device(core: ov.Core, device: str) -> str:
    wanted = device.upper()
    available: list[str] = core.available_devices
    if wanted.split(":")[0].split(".")[0] not in {*(name.split(".")[0] for name in available), "AUTO"}:
        raise UsageError(f"OpenVINO finds no device {device!r} on this machine: choose from {', '.join(available)}")
    return wanted


def _require_precision(core: ov.Core, device: str, precision: str) -> None:
    if precision not in _CAPABILITIES:
        raise UsageError(f"unknown precision {precision!r}: choose from {', '.join(_CAPABILITIES)}")
    if device == "CPU" and _CAPABILITIES[precision] not in core.get_property(device, "OPTIMIZATION_CAPABILITIES"):
        raise UsageError(f"this processor does not compute in {precision}: leave the precision at f32")


def _read(path: Path) -> ov.Model:
    if not path.exists():
        raise ModelNotFound(f"no model file {path}: check the path")
    kind = _FRONT_ENDS.get(path.suffix.lower())
    if kind is None:
        raise ModelLoadFailed(f"{path} is neither an .onnx nor an .xml file: OpenVINO is given one of these here")
    if kind == "ir" and not path.with_suffix(".bin").exists():
        raise ModelLoadFailed(f"{path} has no {path.with_suffix('.bin').name} beside it: that file holds its weights")
    try:
        # left to guess, OpenVINO tries a bad file on every reader it has and prints what each one thinks of it
        reader = FrontEndManager().load_by_framework(kind)
        return ov.Model(reader.convert(reader.load(str(path))))
    except Exception as error:  # the front ends raise exceptions of their own beside RuntimeError
        raise load_failed(path, "an OpenVINO model", error) from error


def _reshape(model: ov.Model, shapes: Mapping[str, Sequence[int]], path: Path) -> None:
    names = {name for port in model.inputs for name in port.get_names()}
    if strange := [name for name in shapes if name not in names]:
        raise UsageError(f"{path} has no input {strange[0]!r} to give a shape: it takes {', '.join(sorted(names))}")
    try:
        model.reshape({name: list(shape) for name, shape in shapes.items()})
    except RuntimeError as error:
        raise load_failed(path, f"a model for {dict(shapes)}", error) from error


def _describe(ports: Sequence[Any], kind: str) -> dict[str, TensorInfo]:
    found = {}
    for number, port in enumerate(ports):
        name = port.any_name if port.get_names() else f"{kind}_{number}"
        shape = tuple(None if side.is_dynamic else side.get_length() for side in port.partial_shape)
        found[name] = TensorInfo(name, shape, np.dtype(port.get_element_type().to_dtype()))
    return found
