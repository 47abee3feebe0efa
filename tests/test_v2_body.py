"""HTTP bodies of the Open Inference Protocol."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.api.v2_body import read_body, write_reply
from camcount.api.v2_infer import Call, Reply
from camcount.api.v2_models import asked
from camcount.api.v2_tensors import BYTES
from camcount.engines.open_inference import DATATYPES, read_response, write_request
from camcount.engines.tensors import Array
from camcount.errors import InvalidInput

_INPUT = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}


def _body(**fields: Any) -> bytes:
    return orjson.dumps({"inputs": [_INPUT]} | fields)


@pytest.mark.parametrize("binary", [True, False])
def test_what_the_remote_engine_writes_is_read(binary: bool) -> None:
    """Our own client: several inputs, in binary and in JSON."""
    feeds: dict[str, Array] = {"a": np.ones((1, 2), np.float32), "b": np.array([[3], [4]], np.int64)}
    body = read_body(*write_request(feeds, ["y"], binary=binary))
    assert {name: array.tolist() for name, array in body.inputs.items()} == {"a": [[1, 1]], "b": [[3], [4]]}
    assert body.outputs == {"y": True if binary else None}


@pytest.mark.parametrize("binary", [True, False])
def test_what_is_written_the_remote_engine_reads(binary: bool) -> None:
    """The other way round, with an id and what is told beside the outputs."""
    call = Call(model=asked("m.tensors"), inputs={}, id="seven")
    outputs: dict[str, Array] = {"y": np.array([[1.5]], np.float32), "z": np.array([7], np.int64)}
    reply = Reply(call=call, version="1.0.0", outputs=outputs, parameters={"cached": True})
    request = read_body(_body(id="seven", parameters={"binary_data_output": binary}), None)
    written, length = write_reply(reply, request)
    assert (length is not None) is binary
    y, z = read_response(written, length, ["y", "z"])
    assert (y.tolist(), z.tolist()) == ([[1.5]], [7])
    head = orjson.loads(written[:length])
    assert (head["model_name"], head["model_version"], head["id"]) == ("m.tensors", "1.0.0", "seven")
    assert head["parameters"] == {"cached": True}


def test_each_output_may_be_wanted_in_its_own_way() -> None:
    """What one output says goes before what the request says."""
    wanted = [{"name": "y", "parameters": {"binary_data": False}}, {"name": "z"}]
    request = read_body(_body(outputs=wanted, parameters={"binary_data_output": True}), None)
    array = np.array([1], np.int32)
    call = Call(model=asked("m"), inputs={})
    written, length = write_reply(Reply(call=call, version="1", outputs={"y": array, "z": array}), request)
    y, z = orjson.loads(written[:length])["outputs"]
    assert y["data"] == [1]
    assert z["parameters"] == {"binary_data_size": 4}


def test_texts_are_given_as_text_in_json() -> None:
    """Labels are readable without the binary extension."""
    labels = np.array([b"person", b"car"], BYTES)
    call = Call(model=asked("m"), inputs={})
    written, _ = write_reply(Reply(call=call, version="1", outputs={"labels": labels}), read_body(_body(), None))
    assert orjson.loads(written)["outputs"][0]["data"] == ["person", "car"]


@pytest.mark.parametrize("name", ["image", "other"])
def test_pictures_in_json_are_base64(name: str) -> None:
    """JSON cannot hold their bytes; other inputs say so as MLServer has them say it."""
    entry = {"name": name, "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(b"\xff\xd8").decode()]}
    told = {} if name == "image" else {"parameters": {"content_type": "base64"}}
    assert read_body(_body(inputs=[entry | told]), None).inputs[name].tolist() == [b"\xff\xd8"]


def test_a_body_may_be_one_picture_as_it_is() -> None:
    """Triton's raw binary request: no JSON at all."""
    assert read_body(b"\xff\xd8picture", 0).inputs["image"].tolist() == [b"\xff\xd8picture"]


def test_unknown_fields_and_parameters_are_ignored() -> None:
    """As the protocol says."""
    body = read_body(_body(requested_output_probability=1, parameters={"sequence_id": 7}), None)
    assert body.parameters == {"sequence_id": 7}


def _input(**fields: Any) -> bytes:
    return _body(inputs=[_INPUT | fields])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(shape=_JSON, datatype=_JSON | st.sampled_from([*DATATYPES, "BYTES"]), data=_JSON, parameters=_JSON)
def test_whatever_comes_is_read_or_refused(shape: Any, datatype: Any, data: Any, parameters: Any) -> None:
    """No other error than `InvalidInput`, whatever stands where something else should."""
    entry = {"name": "x", "shape": shape, "datatype": datatype, "data": data, "parameters": parameters}
    body = json.dumps({"inputs": [entry], "parameters": parameters}).encode()
    with suppress(InvalidInput):
        read_body(body, None)


_BAD: dict[str, tuple[bytes, int | None, str]] = {
    "no JSON": (b"\xff\xd8", None, "no JSON"),
    "nothing": (b"", None, "no JSON"),
    "a list": (b"[]", None, "JSON object"),
    "no inputs": (b"{}", None, "inputs must be"),
    "inputs by name": (b'{"inputs": {"x": 1}}', None, "inputs must be"),
    "an input without a name": (b'{"inputs": [{"shape": [1]}]}', None, "inputs must be"),
    "outputs by name": (_body(outputs={"y": {}}), None, "outputs must be"),
    "parameters as a list": (_body(parameters=[1]), None, "parameters must be"),
    "parameters of an input as text": (_input(parameters="a"), None, "parameters of 'x'"),
    "an input twice": (_body(inputs=[_INPUT, _INPUT]), None, "twice"),
    "a shape beyond all arrays": (_input(shape=[0, 2**62, 2**62], data=[]), None, "no array"),
    "a shape of too many axes": (_input(shape=[1] * 99), None, "shape"),
    "no shape": (_input(shape=None), None, "shape"),
    "no data": (orjson.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32"}]}), None, "no data"),
    "data of another shape": (_input(shape=[3]), None, "2 values"),
    "shared memory": (_input(parameters={"shared_memory_region": "r"}), None, "shared memory"),
    "an output in shared memory": (
        _body(outputs=[{"name": "y", "parameters": {"shared_memory_region": "r"}}]),
        None,
        "shared memory",
    ),
    "more JSON than there is": (_body(), 10_000, "10000 bytes of JSON"),
    "bytes of no input": (_body() + b"1234", len(_body()), "4 bytes of the body"),
    "more bytes than there are": (_input(parameters={"binary_data_size": 8}), None, "binary_data_size 8"),
    "bytes counted in text": (_input(parameters={"binary_data_size": "8"}), None, "binary_data_size '8'"),
    "a negative size": (_input(parameters={"binary_data_size": -1}), None, "binary_data_size -1"),
    "no base64": (
        _body(inputs=[{"name": "image", "shape": [1], "datatype": "BYTES", "data": ["!"]}]),
        None,
        "base64",
    ),
}


@pytest.mark.parametrize(("body", "length", "said"), _BAD.values(), ids=_BAD)
def test_bodies_that_cannot_be_used_are_refused(body: bytes, length: int | None, said: str) -> None:
    """One line that says what would be right; never anything but `InvalidInput`."""
    with pytest.raises(InvalidInput, match=said):
        read_body(body, length)
