"""Tensors of the Open Inference Protocol, as bytes and as values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpies

from camcount.api.v2_tensors import BYTES, dtype_of, from_raw, from_values, shape_given, to_raw, word
from camcount.engines.open_inference import DATATYPES
from camcount.engines.tensors import Array
from camcount.errors import InvalidInput

_SHAPES = numpies.array_shapes(max_dims=3, max_side=4, min_side=0)


def _arrays(datatype: str) -> st.SearchStrategy[Array]:
    return numpies.arrays(DATATYPES[datatype], _SHAPES, elements={"allow_nan": False} if "FP" in datatype else None)


@pytest.mark.parametrize("datatype", DATATYPES)
@given(data=st.data())
def test_bytes_and_values_of_every_datatype_come_back_as_they_went(datatype: str, data: st.DataObject) -> None:
    """Also FP16, which gRPC has no field for, and shapes without any element."""
    array = data.draw(_arrays(datatype))
    dtype = dtype_of(datatype, "x")
    assert word(array.dtype) == datatype
    assert np.array_equal(from_raw(to_raw(array), dtype, array.shape, "x"), array)
    back = from_values(array.tolist(), dtype, array.shape, "x")
    assert np.array_equal(back, array)
    assert back.dtype == array.dtype


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_bytes_elements_come_back_as_they_went(elements: list[bytes]) -> None:
    """Each behind its length, whatever is in it."""
    array = np.empty(len(elements), BYTES)
    array[:] = elements
    assert from_raw(to_raw(array), BYTES, array.shape, "x").tolist() == elements


def test_bytes_are_written_as_tritons_client_writes_them() -> None:
    """Length in four bytes, little-endian, then the bytes."""
    from tritonclient.utils import serialize_byte_tensor

    array = np.array([b"one", b"", "drüben"], BYTES)
    assert to_raw(array) == serialize_byte_tensor(array).item()


def test_bytes_that_are_not_aligned_are_copied() -> None:
    """Where the JSON part has an odd length, engines still get arrays that they can read."""
    raw = memoryview(b"x" + np.arange(3, dtype=np.float32).tobytes())[1:]
    array = from_raw(raw, np.dtype(np.float32), (3,), "x")
    assert array.flags.aligned
    assert array.tolist() == [0, 1, 2]


_BAD: dict[str, tuple[Any, str, Any, str]] = {
    "too few values": ([1, 2], "FP32", (3,), "2 values"),
    "text for numbers": (["1"], "FP32", (1,), "no FP32"),
    "a fraction for an integer": ([1.5], "INT32", (1,), "no INT32"),
    "too large a number": ([300], "UINT8", (1,), "from 300"),
    "a negative number": ([-1], "UINT64", (1,), "from -1"),
    "more than any integer": ([2**70], "INT64", (1,), "no INT64"),
    "2 for a truth value": ([2], "BOOL", (1,), "from 2"),
    "ragged rows": ([[1, 2], [3]], "FP32", (3,), "no FP32"),
    "nothing": ([None], "FP32", (1,), "no FP32"),
    "a number for text": ([1], "BYTES", (1,), "no text"),
    "an object for text": ({"a": "b"}, "BYTES", (1,), "no text"),
}


@pytest.mark.parametrize(("values", "datatype", "shape", "said"), _BAD.values(), ids=_BAD)
def test_values_that_do_not_fit_are_refused(values: Any, datatype: str, shape: tuple[int, ...], said: str) -> None:
    """Nothing is cut, rounded or wrapped silently."""
    with pytest.raises(InvalidInput, match=said):
        from_values(values, dtype_of(datatype, "x"), shape, "x")


@pytest.mark.parametrize(
    ("raw", "datatype", "shape", "said"),
    [
        (b"1234567", "FP32", (2,), "7 bytes"),
        (b"12345678", "FP32", (3,), "8 bytes"),
        (b"\5\0\0\0abc", "BYTES", (1,), "0 whole"),
        (b"\1\0\0\0a\0\0", "BYTES", (1,), "1 whole"),
        (b"\xff\xff\xff\xffa", "BYTES", (1,), "0 whole"),
        (b"", "BYTES", (1,), "0 whole"),
        (bytes(8), "BYTES", (1,), "1 whole"),
        (b"", "BYTES", (10**9,), "at most 100000"),
        (b"", "FP32", (0, 2**62, 2**62), "no array"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(raw: bytes, datatype: str, shape: tuple[int, ...], said: str) -> None:
    """Neither too few nor too many nor cut off."""
    with pytest.raises(InvalidInput, match=said):
        from_raw(raw, dtype_of(datatype, "x"), shape, "x")


@pytest.mark.parametrize("shape", [None, 3, "3", [1, -1], [1, None], [1.0], [True], {}])
def test_shapes_are_lists_of_sizes(shape: Any) -> None:
    """What is free in metadata is not free in a request."""
    with pytest.raises(InvalidInput, match="shape"):
        shape_given(shape, "x")


@pytest.mark.parametrize("datatype", ["FP8", "", None, 3, ["FP32"], "fp32"])
def test_unknown_datatypes_are_refused(datatype: Any) -> None:
    """The message lists what there is."""
    with pytest.raises(InvalidInput, match=r"FP32.*BYTES"):
        dtype_of(datatype, "x")
