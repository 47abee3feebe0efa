"""A model behind plain HTTP, as people write it with BentoML, Ray Serve, LitServe or FastAPI."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import orjson

from camcount.engines.remote_http import Channel, Reply, refused
from camcount.engines.tensors import Array
from camcount.errors import ModelError, UsageError
from camcount.protocols import TensorInfo

Body = Literal["json", "npy", "png"]

_TYPES = {"json": "application/json", "npy": "application/x-npy", "png": "image/png"}


class PlainHttp:
    """One address that takes tensors with POST and answers with tensors.

    Sent is, by ``body``: ``json``: an object with a nested list for each input, by name; ``npy``: NumPy's own format
    (``.npz`` for several inputs); ``png``: the one input, a picture ``uint8 (1, H, W, 3)`` red-green-blue, as PNG.
    Understood is NumPy's format or JSON: one nested list, a list of them, or an object by output name, as it is or
    under ``outputs`` or ``predictions``.

    Raises:
        UsageError: inputs or outputs are not described, for nothing here says what they are; or no such body.
    """

    def __init__(
        self,
        url: str,
        channel: Channel,
        *,
        inputs: Mapping[str, TensorInfo],
        outputs: Mapping[str, TensorInfo],
        body: Body = "json",
    ) -> None:
        if not inputs or not outputs:
            raise UsageError(
                f"{url} is no Open Inference address and says nothing of itself: describe inputs and outputs"
            )
        if body not in _TYPES:
            raise UsageError(f"unknown body {body!r}: choose from {', '.join(_TYPES)}")
        only = next(iter(inputs.values()))
        if body == "png" and (len(inputs) > 1 or only.dtype != np.uint8 or only.shape[-1:] != (3,)):
            raise UsageError(f"{url} is sent pictures: describe one input of dtype uint8 and shape [1, H, W, 3]")
        self.inputs, self.outputs = inputs, outputs
        self._url = url
        self._channel = channel
        self._body: Body = body

    def infer(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """The outputs of those names."""
        reply = self._channel.post(self._url, _write(feeds, self._body), {"Content-Type": _TYPES[self._body]})
        if reply.status != 200:
            raise refused(self._url, reply)
        try:
            found = _read(reply, self._url)
            named = found if isinstance(found, Mapping) else dict(zip(outputs, _parts(found, outputs), strict=True))
            return [np.array(named[name], self.outputs[name].dtype) for name in outputs]
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self._url} answered with outputs that cannot be read: {error}") from error

    def close(self) -> None:
        """Closes the connections."""
        self._channel.close()


def _write(feeds: Mapping[str, Array], body: Body) -> bytes:
    if body == "json":
        rows = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
        return orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)
    first = next(iter(feeds.values()))
    if body == "png":
        return png(first.reshape(first.shape[-3:]))
    file = io.BytesIO()
    if len(feeds) == 1:
        np.save(file, first, allow_pickle=False)
    else:
        np.savez(file, **feeds)  # type: ignore[arg-type]  # its keyword-only flag takes no array
    return file.getvalue()


def _read(reply: Reply, url: str) -> Any:
    if reply.body.startswith(b"\x93NUMPY"):
        return [np.load(io.BytesIO(reply.body), allow_pickle=False)]
    if reply.body.startswith(b"PK"):
        try:
            return dict(np.load(io.BytesIO(reply.body), allow_pickle=False))
        except zipfile.BadZipFile as error:
            raise ValueError("the archive is cut off") from error
    found = reply.json(url)
    for wrapping in ("outputs", "predictions"):
        if isinstance(found, Mapping) and wrapping in found:
            return found[wrapping]
    return found


def _parts(found: Any, outputs: Sequence[str]) -> Any:
    """One output may come alone or as a list of one."""
    if len(outputs) > 1 or (len(found) == 1 and isinstance(found[0], np.ndarray)):
        return found
    return [found]


def png(picture: Array) -> bytes:
    """``uint8 (H, W, 3)`` red-green-blue as a PNG file, compressed little because time counts here."""
    height, width = picture.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row starts with its filter: none
    rows[:, 1:] = picture.reshape(height, -1)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes(), 1)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
