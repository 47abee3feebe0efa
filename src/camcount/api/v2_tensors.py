"""Tensors as the Open Inference Protocol writes them, over HTTP and over gRPC: raw bytes, or values one by one."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from camcount.engines.open_inference import DATATYPES
from camcount.engines.tensors import Array
from camcount.errors import InvalidInput

BYTES = np.dtype(np.object_)
"""A tensor of the protocol's BYTES is an array of Python's ``bytes``."""

_NAMES = {dtype: name for name, dtype in DATATYPES.items()} | {BYTES: "BYTES"}
_LENGTH = struct.Struct("<I")
_MOST_AXES = 32
_MOST_ELEMENTS = 100_000
"""Of a BYTES tensor, which are read one by one."""
_KINDS = {"b": "biu", "i": "iu", "u": "iu", "f": "iuf"}
"""What kinds of given numbers a dtype of that kind takes; the values 0 and 1 may stand for a BOOL."""


def word(dtype: np.dtype[Any]) -> str:
    """The protocol's word for a dtype; BYTES for text and objects.

    >>> word(np.dtype(np.float16))
    'FP16'
    """
    return _NAMES.get(dtype, "BYTES")


def dtype_of(datatype: Any, name: str) -> np.dtype[Any]:
    """The dtype for one of the protocol's words.

    Raises:
        InvalidInput: it is none of them.
    """
    if datatype == "BYTES":
        return BYTES
    dtype = DATATYPES.get(datatype) if isinstance(datatype, str) else None
    if dtype is None:
        raise InvalidInput(f"input {name!r} has datatype {datatype!r}: choose from {', '.join(DATATYPES)}, BYTES")
    return dtype


def shape_given(shape: Any, name: str) -> tuple[int, ...]:
    """The shape of an input.

    Raises:
        InvalidInput: it is no list of sizes.
    """
    sizes = [size for size in shape if type(size) is int and size >= 0] if isinstance(shape, list) else []
    if not isinstance(shape, list) or len(sizes) < len(shape) or len(shape) > _MOST_AXES:
        raise InvalidInput(f"input {name!r} has shape {shape!r}: write a list of sizes, such as [1, 3, 416, 416]")
    return tuple(sizes)


def from_raw(raw: bytes | memoryview, dtype: np.dtype[Any], shape: tuple[int, ...], name: str) -> Array:
    """An input from its bytes, row-major and little-endian; BYTES elements each behind their length in four bytes.

    The array reads where the bytes lie; it is a copy only where they are not aligned.

    Raises:
        InvalidInput: the bytes are not as many as the shape says.
    """
    count = math.prod(shape)
    if dtype == BYTES:
        return _shaped(_elements(raw, count, name), shape, name)
    if len(raw) != count * dtype.itemsize:
        raise InvalidInput(
            f"input {name!r} has {len(raw)} bytes: {word(dtype)} {list(shape)} has {count * dtype.itemsize}"
        )
    if dtype == np.bool_:
        return _shaped(np.not_equal(np.frombuffer(raw, np.uint8), 0), shape, name)
    return _shaped(np.require(np.frombuffer(raw, dtype), requirements="A"), shape, name)


def _shaped(flat: Array, shape: tuple[int, ...], name: str) -> Array:
    try:
        return flat.reshape(shape)
    except (OverflowError, ValueError):  # nothing in it, and sizes beyond every array
        raise InvalidInput(f"input {name!r} has shape {list(shape)}, which no array can have") from None


def _elements(raw: bytes | memoryview, count: int, name: str) -> Array:
    found: list[bytes] = []
    at, end = 0, len(raw)
    if count > _MOST_ELEMENTS:
        raise InvalidInput(f"input {name!r} has {count} BYTES elements: at most {_MOST_ELEMENTS} are read")
    while at + _LENGTH.size <= end and len(found) < count:
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        if at + length > end:
            break
        found.append(bytes(raw[at : at + length]))
        at += length
    if at != end or len(found) != count:
        raise InvalidInput(
            f"input {name!r} has {len(found)} whole BYTES elements in {end} bytes, its shape says {count}: "
            "write each behind its length in four bytes, little-endian"
        )
    return _objects(found)


def from_values(values: Any, dtype: np.dtype[Any], shape: tuple[int, ...], name: str) -> Array:
    """An input from values, nested or flat; BYTES from text or bytes.

    Raises:
        InvalidInput: the values do not fit the datatype, or are not as many as the shape says.
    """
    try:
        flat = _texts(values) if dtype == BYTES else _numbers(values, dtype)
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidInput(f"input {name!r} has values that are no {word(dtype)}: {error}") from error
    if flat.size != math.prod(shape):
        raise InvalidInput(f"input {name!r} has {flat.size} values: its shape {list(shape)} has {math.prod(shape)}")
    return _shaped(flat, shape, name)


def _numbers(values: Any, dtype: np.dtype[Any]) -> Array:
    given: Array = np.asarray(values)
    if dtype == np.uint64 and given.dtype == np.float64:  # what NumPy makes of a large and a small integer
        objects = np.asarray(values, np.object_).reshape(-1)
        given = objects.astype(dtype) if all(type(value) is int for value in objects) else given
    if given.size and given.dtype.kind not in _KINDS[dtype.kind]:
        raise ValueError(f"they read as {given.dtype}")
    if dtype.kind in "iub" and given.size:
        limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if int(given.min()) < limits[0] or int(given.max()) > limits[1]:
            raise ValueError(f"they go from {given.min()} to {given.max()}")
    with np.errstate(over="ignore"):
        flat: Array = given.astype(dtype).reshape(-1)
    return flat


def _texts(values: Any) -> Array:
    found: list[bytes] = []
    rest = [values]
    while rest:
        value = rest.pop()
        if isinstance(value, list | tuple):
            rest.extend(reversed(value))
        elif isinstance(value, str | bytes):
            found.append(value.encode() if isinstance(value, str) else value)
        else:
            raise TypeError(f"{value!r} is no text")
    return _objects(found)


def _objects(found: list[bytes]) -> Array:
    array = np.empty(len(found), BYTES)
    array[:] = found
    return array


def to_raw(array: Array) -> bytes:
    """The bytes of an output, written as `from_raw` reads them."""
    if word(array.dtype) != "BYTES":
        return array.tobytes()
    elements = (as_bytes(element) for element in array.ravel())
    return b"".join(part for element in elements for part in (_LENGTH.pack(len(element)), element))


def as_bytes(element: Any) -> bytes:
    """One BYTES element."""
    return element if isinstance(element, bytes) else str(element).encode()
