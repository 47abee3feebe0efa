"""What every engine checks and says in the same way: arrays given, arrays announced, faults in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camcount.errors import ModelError, ModelLoadFailed, UsageError
from camcount.protocols import TensorInfo

Array = NDArray[Any]


def checked(feeds: Mapping[str, Array], inputs: Mapping[str, TensorInfo], where: str) -> list[Array]:
    """The arrays in the order of ``inputs``, each of the announced dtype and shape.

    Args:
        feeds: arrays by the name of their input.
        inputs: what the model takes.
        where: the model's file or address, for messages.

    Raises:
        ModelError: a name, shape or dtype differs.
    """
    if strange := [name for name in feeds if name not in inputs]:
        raise ModelError(f"{where} has no input {strange[0]!r}: it takes {', '.join(inputs)}")
    return [_checked(feeds.get(name), info, where) for name, info in inputs.items()]


def _checked(array: Array | None, info: TensorInfo, where: str) -> Array:
    if array is None:
        raise ModelError(f"{where} was given no {info.name!r}: it takes {announced(info)}")
    fits = len(array.shape) == len(info.shape) and all(
        wanted in (None, size) for size, wanted in zip(array.shape, info.shape, strict=True)
    )
    if not fits or array.dtype != info.dtype:
        given = announced(TensorInfo(info.name, array.shape, array.dtype))
        raise ModelError(f"{where} was given {given}: it takes {announced(info)}")
    return array


def announced(info: TensorInfo) -> str:
    """An input or output in words.

    >>> announced(TensorInfo("images", (None, 3, 416, 416), np.dtype(np.float32)))
    'images float32 [?,3,416,416]'
    """
    sizes = ",".join("?" if side is None else str(side) for side in info.shape)
    return f"{info.name} {info.dtype} [{sizes}]"


def described(tensors: Mapping[str, Any] | None, what: str) -> dict[str, TensorInfo]:
    """Inputs or outputs as a manifest or a caller writes them, for files and servers that do not say.

    Args:
        tensors: by name either the shape (``float32`` then) or ``{"shape": [...], "dtype": "uint8"}``; a size that
            is free is ``None`` or -1.
        what: ``inputs`` or ``outputs``, for messages.

    Raises:
        UsageError: it is written in another way.

    >>> described({"images": [1, 3, None, None]}, "inputs")["images"].shape
    (1, 3, None, None)
    """
    return {name: _described(name, written, what) for name, written in (tensors or {}).items()}


def _described(name: str, written: Any, what: str) -> TensorInfo:
    if isinstance(written, TensorInfo):
        return written
    given: Mapping[str, Any] = (
        written if isinstance(written, Mapping) else {"shape": None if isinstance(written, str) else written}
    )
    try:
        return TensorInfo(name, shape_of([*given["shape"]]), np.dtype(given.get("dtype", "float32")))
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{what} {name!r} is described by {written!r}: write a list of sizes, or shape and dtype"
        ) from error


def shape_of(sizes: Sequence[Any]) -> tuple[int | None, ...]:
    """Sizes as files and servers write them, with free ones (-1, 0, ``None``, a name) as ``None``."""
    return tuple(int(size) if _is_size(size) else None for size in sizes)


def _is_size(size: Any) -> bool:
    try:
        return int(size) > 0
    except (TypeError, ValueError):
        return False


def owned(array: Array) -> Array:
    """The array itself where nobody else holds its memory and it can be written on, a copy otherwise."""
    return array if array.flags.owndata and array.flags.writeable else np.array(array)


def one_line(error: BaseException, *, length: int = 200) -> str:
    """The heart of a runtime's message, which may run over many lines with the places in its own source."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    if any("Traceback" in line for line in telling):
        telling = telling[-1:]
    return " ".join(telling)[:length].rstrip(" .:") or type(error).__name__


def load_failed(where: object, kind: str, error: BaseException) -> ModelLoadFailed:
    """The one way to say that a file is no model of this engine."""
    return ModelLoadFailed(
        f"{where} cannot be loaded as {kind} ({one_line(error)}): check that the file is complete and of that kind"
    )


def run_failed(where: object, error: BaseException) -> ModelError:
    """The one way to say that a loaded model did not run."""
    return ModelError(f"{where}: inference failed: {one_line(error)}")
