"""What the Open Inference Protocol says of each model: two interfaces to every detector, under two names.

``NAME`` takes encoded pictures and answers with boxes; ``NAME.tensors`` is the engine's own interface, arrays in and
arrays out. Both take a version or an alias, behind the name or in the path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from camcount.api.v2_tensors import BYTES, word
from camcount.errors import InvalidInput, ModelNotFound
from camcount.models.loading_state import State
from camcount.models.references import registry_reference
from camcount.protocols import TensorInfo
from camcount.serving.dataplane import DataPlane
from camcount.serving.requests import ModelInfo

SUFFIX = ".tensors"

PICTURE = TensorInfo("image", (None,), BYTES)
"""The one input of a model that takes pictures."""

FOUND = (
    TensorInfo("boxes", (None, 4), np.dtype(np.float32)),
    TensorInfo("scores", (None,), np.dtype(np.float32)),
    TensorInfo("labels", (None,), BYTES),
    TensorInfo("image_index", (None,), np.dtype(np.int32)),
)
"""Its outputs, one row for each object."""

_STATES = {State.READY: "READY", State.LOADING: "LOADING", State.WARMING: "LOADING"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which model a client means.

    Attributes:
        name: as the client wrote it, for the answer.
        reference: what the data plane is asked for.
        tensors: whether the engine's own interface is meant.
    """

    name: str
    reference: str
    tensors: bool


def asked(name: str, version: str = "") -> Asked:
    """Reads a model's name and version as clients write them.

    ``version`` is a SemVer version or an alias; either may also stand in the name.

    Raises:
        ModelNotFound: it is no name of a model; addresses and paths are none.
        ModelVersionMismatch: a version that is not a SemVer version.
        InvalidInput: two versions.

    >>> asked("person.tensors", "1.0.0")
    Asked(name='person.tensors', reference='person:1.0.0', tensors=True)
    >>> asked("person@champion").reference
    'person@champion'
    """
    stem, mark, rest = name.partition("@") if "@" in name else name.partition(":")
    if mark and version:
        raise InvalidInput(f"{name!r} and version {version!r} name the version twice: write it once")
    if version:
        mark, rest = (":" if version[0].isdigit() else "@"), version
    reference = registry_reference(f"{stem.removesuffix(SUFFIX)}{mark}{rest}")
    return Asked(name, reference.text, stem.endswith(SUFFIX))


def interface(wanted: Asked, info: ModelInfo) -> tuple[Sequence[TensorInfo], Sequence[TensorInfo]]:
    """Inputs and outputs under the name that was asked for.

    Raises:
        ModelNotFound: the model keeps pictures and has no tensors.
    """
    if not wanted.tensors:
        return (PICTURE,), FOUND
    if info.state == State.READY and not info.inputs:
        raise ModelNotFound(f"{info.name} has no tensors of its own: ask {info.name} with pictures")
    return info.inputs, info.outputs


def metadata(wanted: Asked, info: ModelInfo, versions: Sequence[str]) -> dict[str, Any]:
    """The model metadata response."""
    inputs, outputs = interface(wanted, info)
    return {
        "name": wanted.name,
        "versions": list(versions) or [info.version],
        "platform": info.platform,
        "inputs": [_described(tensor) for tensor in inputs],
        "outputs": [_described(tensor) for tensor in outputs],
    }


def configuration(wanted: Asked, info: ModelInfo) -> dict[str, Any]:
    """The model configuration response, as little as clients need: batch axes stand in the shapes."""
    inputs, outputs = interface(wanted, info)
    return {
        "name": wanted.name,
        "platform": info.platform,
        "backend": info.platform.partition("_")[0],
        "max_batch_size": 0,
        "input": [_configured(tensor) for tensor in inputs],
        "output": [_configured(tensor) for tensor in outputs],
    }


def _described(tensor: TensorInfo) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": word(tensor.dtype), "shape": _sizes(tensor)}


def _configured(tensor: TensorInfo) -> dict[str, Any]:
    kind = word(tensor.dtype)
    return {"name": tensor.name, "data_type": f"TYPE_{'STRING' if kind == 'BYTES' else kind}", "dims": _sizes(tensor)}


def _sizes(tensor: TensorInfo) -> list[int]:
    return [-1 if size is None else size for size in tensor.shape]


def index(models: Sequence[ModelInfo], *, ready_only: bool) -> Iterator[Mapping[str, str]]:
    """The repository index: each model under both names, as far as it has both."""
    for info in models:
        state = _STATES.get(State(info.state), "UNAVAILABLE")
        if ready_only and state != "READY":
            continue
        for suffix in ("", SUFFIX) if info.inputs or state != "READY" else ("",):
            yield {"name": info.name + suffix, "version": info.version, "state": state, "reason": info.reason}


def versions_of(plane: DataPlane, info: ModelInfo) -> list[str]:
    """All versions that can be asked for."""
    return [known.version for known in plane.models() if known.name == info.name]
