"""Opens the picture size that an ONNX file fixes, without an ONNX library: a few fields of the file are rewritten.

Field numbers: onnx.proto of the ONNX specification; encoding: Protocol Buffers wire format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_GRAPH, _INPUT, _OUTPUT, _BETWEEN = 7, 11, 12, 13
_Edit = Callable[[bytes], bytes | None]
"""The bytes of one field to its new bytes; ``None`` leaves the field out."""


def with_open_size(model: bytes) -> bytes:
    """The same model, taking pictures of any height and width.

    Frees the last two of four axes of the inputs, and forgets the sizes stated for all that follows from them.
    Whether the model works at other sizes is another matter: constants inside may still hold the old one.

    Args:
        model: content of an ``.onnx`` file.

    Raises:
        ValueError: these bytes are no ONNX model.
    """
    graph: dict[int, _Edit] = {_INPUT: _shape(_open_axes), _OUTPUT: _shape(_unsized), _BETWEEN: _forgotten}
    return _edited(model, {_GRAPH: lambda content: _edited(content, graph)})


def _shape(edit: _Edit) -> _Edit:
    """An edit of the shape inside a value's name, type and shape."""
    return _inside(2, _inside(1, _inside(2, edit)))


def _forgotten(_: bytes) -> None:
    return None


def _inside(field: int, edit: _Edit) -> _Edit:
    return lambda content: _edited(content, {field: edit})


def _open_axes(shape: bytes) -> bytes:
    axes = list(_fields(shape))
    if len(axes) != 4:
        return shape
    names = [_text(2, b"height"), _text(2, b"width")]
    return b"".join(whole for _, _, whole, _ in axes[:2]) + b"".join(_text(1, name) for name in names)


def _unsized(shape: bytes) -> bytes:
    """As many axes, nothing said of their sizes."""
    return b"".join(_text(1, b"") for _ in _fields(shape))


def _edited(message: bytes, edits: Mapping[int, _Edit]) -> bytes:
    parts = []
    for field, wire, whole, content in _fields(message):
        if wire != _BYTES or field not in edits:
            parts.append(whole)
        elif (new := edits[field](content)) is not None:
            parts.append(_text(field, new))
    return b"".join(parts)


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Number, wire type, all bytes, and content of every field."""
    at = 0
    while at < len(message):
        start = at
        key, at = _read_varint(message, at)
        wire, begin = key & 7, at
        if wire == _VARINT:
            _, at = _read_varint(message, at)
        elif wire == _BYTES:
            size, begin = _read_varint(message, at)
            at = begin + size
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire} is none of Protocol Buffers'")
        if at > len(message):
            raise ValueError("the file ends in the middle of a field")
        yield key >> 3, wire, message[start:at], message[begin:at]


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("the file ends in the middle of a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _text(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content
