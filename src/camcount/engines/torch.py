"""Runs TorchScript files and `torch.export` programs with PyTorch.

A file of either kind is a program. What is refused is what hides in one beside the program: Python pickles, which
would run whatever they hold while they are read.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export.passes import move_to_device_pass

from camcount.engines.tensors import Array, checked, described, load_failed, owned, run_failed
from camcount.errors import ModelError, ModelLoadFailed, ModelNotFound, UsageError
from camcount.protocols import TensorInfo

_ULTRALYTICS_NOTE = "config.txt"
"""The member in which Ultralytics' TorchScript exports say their input size and class names."""


class TorchEngine:
    """One TorchScript module or exported program.

    Args:
        path: a file written by ``torch.jit.save`` or ``torch.export.save``.
        threads: threads inside one `run`. PyTorch has one such number for the whole process: the last engine made
            sets it.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        inputs: name to shape (see `camcount.engines.tensors.described`), in the order in which the program takes
            them. A TorchScript file does not say what it takes, unless Ultralytics wrote it; an exported program
            does.

    Attributes:
        metadata: what the exporting program wrote into the file, such as class names.

    Raises:
        ModelNotFound: there is no such file.
        ModelLoadFailed: the file is of neither kind, or holds a pickle.
        UsageError: this machine has no such device, or the inputs have to be told and are not.
    """

    concurrency = 0

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int = 1,
        device: str = "cpu",
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.metadata: Mapping[str, str] = {}
        self._device = _device(device)
        torch.set_num_threads(threads)
        content = _content(self.path)
        given = described(inputs, "inputs")
        if _kind(content, self.path) == "exported":
            self._module, found, outputs = _exported(content, self.path, self._device)
            self.inputs: Mapping[str, TensorInfo] = given or found
            self.outputs: Mapping[str, TensorInfo] = outputs
            return
        self._module, self.metadata = _scripted(content, self.path, self._device)
        self.inputs = given or _noted_inputs(self.metadata)
        if not self.inputs:
            raise UsageError(
                f"{self.path} is TorchScript, which does not say what it takes: "
                f"describe it under inputs, such as images: [1, 3, 416, 416]"
            )
        self.outputs = self._look()

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """All outputs, in the order of `outputs`."""
        return self._run(checked(feeds, self.inputs, str(self.path)))

    def close(self) -> None:
        """Lets the program and its weights go."""
        self._module = None

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        module = self._module
        if module is None:
            raise ModelError(f"{self.path} was closed: load it again")
        try:
            with torch.inference_mode():
                found = module(*(self._tensor(array) for array in arrays))
                return self._arrays(_tensors(found))
        except Exception as error:  # programs raise whatever they like
            raise run_failed(self.path, error) from error

    def _tensor(self, array: Array) -> torch.Tensor:
        # PyTorch warns of arrays that it could write on and must not, and knows no negative strides
        usable = array if array.flags.writeable and array.flags.c_contiguous else np.array(array, order="C")
        tensor = torch.from_numpy(usable)
        if self._device.type != "cuda":
            return tensor.to(self._device)
        # what lies in pinned memory is copied at twice the speed: 16 pictures through YOLOX-nano on an H100 take
        # 5.2 ms instead of 8.5
        return tensor.pin_memory().to(self._device, non_blocking=True)

    def _arrays(self, tensors: Sequence[torch.Tensor]) -> list[Array]:
        if self._device.type != "cuda":
            return [owned(tensor.cpu().numpy()) for tensor in tensors]
        pinned = [torch.empty(t.shape, dtype=t.dtype, pin_memory=True).copy_(t, non_blocking=True) for t in tensors]
        torch.cuda.current_stream(self._device).synchronize()
        return [tensor.numpy() for tensor in pinned]

    def _look(self) -> dict[str, TensorInfo]:
        zeros = [np.zeros([side or 1 for side in info.shape], info.dtype) for info in self.inputs.values()]
        try:
            found = self._run(zeros)
        except ModelError as error:
            told = ", ".join(f"{info.name} {list(info.shape)}" for info in self.inputs.values())
            raise ModelLoadFailed(f"{error}; it was given {told}: check the sizes under inputs") from error
        free = any(None in info.shape for info in self.inputs.values())
        return {
            f"output_{number}": TensorInfo(
                f"output_{number}", (None,) * array.ndim if free else tuple(array.shape), array.dtype
            )
            for number, array in enumerate(found)
        }


def _device(device: str) -> torch.device:
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"PyTorch finds no device {device!r} on this machine: leave it at cpu") from error
    return found


def _content(path: Path) -> bytes:
    if not path.exists():
        raise ModelNotFound(f"no model file {path}: check the path")
    if not path.is_file():
        raise ModelLoadFailed(f"{path} is a folder: name the .pt or .pt2 file in it")
    return path.read_bytes()


def _kind(content: bytes, path: Path) -> str:
    try:
        members = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except zipfile.BadZipFile as error:
        raise load_failed(path, "a TorchScript file or an exported program", error) from error
    if any("/models/" in name and name.endswith(".json") for name in members):
        return "exported"
    if any("/code/" in name for name in members):
        return "scripted"
    raise ModelLoadFailed(
        f"{path} holds no program, only pickled weights or a part of a file: "
        f"save the model with torch.export.save or torch.jit.save, and check that the file is complete"
    )


def _without_pickles(content: bytes, path: Path) -> io.BytesIO:
    """The archive written anew from members that are known to hold no pickled objects.

    `torch.export.load` unpickles without restraint what it finds; and it reads archives with another program than
    this one, to which a crafted file may look different.
    """
    archive, clean = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(clean, "w") as copy:
        for name in dict.fromkeys(archive.namelist()):
            member = archive.read(name)
            if not _is_plain(name, member):
                raise _pickle_in(path, name)
            copy.writestr(name, member)
    clean.seek(0)
    return clean


def _is_plain(name: str, member: bytes) -> bool:
    if name.endswith(("_weights_config.json", "_constants_config.json")):
        entries = json.loads(member)["config"].values()
        return all(
            not entry["use_pickle"] and entry["path_name"].startswith(("weight_", "tensor_")) for entry in entries
        )
    if not name.endswith(".pt") or not member:
        return True
    try:
        torch.load(io.BytesIO(member), weights_only=True)
    except Exception:  # whatever it is that does not load so, it is more than tensors
        return False
    return True


def _pickle_in(path: Path, member: str) -> ModelLoadFailed:
    return ModelLoadFailed(
        f"{path} has Python objects pickled in {member}, which could run anything: export it with plain tensors"
    )


def _exported(
    content: bytes, path: Path, device: torch.device
) -> tuple[Any, dict[str, TensorInfo], dict[str, TensorInfo]]:
    try:
        program = torch.export.load(_without_pickles(content, path))
        if device.type != "cpu":
            program = move_to_device_pass(program, device)
        values = {node.name: node.meta.get("val") for node in program.graph.nodes}
        inputs = _describe(program.graph_signature.user_inputs, values)
        outputs = _describe(program.graph_signature.user_outputs, values)
        return program.module(), inputs, outputs
    except ModelLoadFailed:
        raise
    except Exception as error:  # a damaged archive fails in many ways
        raise load_failed(path, "an exported program", error) from error


def _scripted(content: bytes, path: Path, device: torch.device) -> tuple[Any, dict[str, str]]:
    notes = {_ULTRALYTICS_NOTE: b""}
    if device.type == "cuda":
        # PyTorch would write and compile kernels anew for every number of pictures: 2 s each time, and no faster
        torch.jit.set_fusion_strategy([("STATIC", 0), ("DYNAMIC", 0)])
    try:
        module = torch.jit.load(  # type: ignore[no-untyped-call]
            io.BytesIO(content), map_location=device, _extra_files=notes
        )
        written = json.loads(notes[_ULTRALYTICS_NOTE] or "{}")
        return module.eval(), {str(name): str(value) for name, value in written.items()}
    except Exception as error:  # a damaged archive fails in many ways
        raise load_failed(path, "a TorchScript file", error) from error


def _noted_inputs(metadata: Mapping[str, str]) -> dict[str, TensorInfo]:
    try:
        height, width = json.loads(metadata["imgsz"])
        batch = int(metadata.get("batch", "1"))
    except (KeyError, TypeError, ValueError):
        return {}
    return {"images": TensorInfo("images", (batch, 3, height, width), np.dtype(np.float32))}


def _describe(names: Sequence[Any], values: Mapping[str, Any]) -> dict[str, TensorInfo]:
    found = {}
    for name in map(str, names):
        shape = tuple(side if isinstance(side, int) else None for side in values[name].shape)
        found[name] = TensorInfo(name, shape, torch.empty(0, dtype=values[name].dtype).numpy().dtype)
    return found


def _tensors(found: Any) -> list[torch.Tensor]:
    if isinstance(found, torch.Tensor):
        return [found]
    parts = found.values() if isinstance(found, Mapping) else found
    return [tensor for part in parts for tensor in _tensors(part)]
