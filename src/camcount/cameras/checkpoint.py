"""A camera's own state as bytes, written in the transaction of the events that led to it."""

from __future__ import annotations

import io
import json
import pickle
import zlib
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from camcount import __version__
from camcount.cameras.axis import FileAxis
from camcount.cameras.counted import Counted
from camcount.cameras.settings import zone_named

FORMAT = 2
_MARK = b"camcount checkpoint\n"
_OURS = ("camcount.tracking.", "camcount.counting.", "camcount.cameras.", "camcount.detections", "camcount.events")
_OTHERS = frozenset(
    {
        ("camcount.geometry", "Line"),
        ("camcount.geometry", "Zone"),
        ("collections", "deque"),
        ("collections", "defaultdict"),
        ("collections", "Counter"),
        ("datetime", "datetime"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("builtins", "set"),
        ("functools", "partial"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.numeric", "_frombuffer"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in its source a camera is.

    Attributes:
        began: when second 0 of its time axis was.
        fingerprint: of the source, if it is the same each time it is read; of another one no place can be found.
        index: of the last frame counted, in its pass. time_s: its moment on the axis.
        axis: the passes before.
    """

    began: datetime
    fingerprint: str = ""
    index: int = -1
    time_s: float = -1.0
    axis: FileAxis = field(default_factory=FileAxis)


def packed(place: Place, counted: Counted | None) -> bytes:
    """Place and state as bytes; the place can be read by other versions too."""
    axis = asdict(place.axis)
    head = {"format": FORMAT, "version": __version__, "began": place.began.isoformat(), "axis": axis}
    head |= {"fingerprint": place.fingerprint, "index": place.index, "time_s": place.time_s}
    body = io.BytesIO()
    _ByName(body, 5).dump(counted)
    return _MARK + json.dumps(head).encode() + b"\n" + zlib.compress(body.getvalue(), 1)


def unpacked(content: bytes) -> tuple[Place | None, Counted | None]:
    """Place and state; without the state where another version wrote it, and nothing of what is no checkpoint."""
    if not content.startswith(_MARK):
        return None, None
    line, _, body = content[len(_MARK) :].partition(b"\n")
    try:
        head = json.loads(line)
        place = Place(
            began=datetime.fromisoformat(head["began"]),
            fingerprint=head["fingerprint"],
            index=head["index"],
            time_s=head["time_s"],
            axis=FileAxis(**head["axis"]),
        )
    except (ValueError, KeyError, TypeError):
        return None, None
    if (head.get("format"), head.get("version")) != (FORMAT, __version__):
        return place, None
    return place, _state(body)


def _state(body: bytes) -> Counted | None:
    try:
        state = _OwnObjects(io.BytesIO(zlib.decompress(body))).load()
    except (pickle.UnpicklingError, zlib.error, EOFError, AttributeError, ImportError, TypeError, ValueError):
        return None
    return state if isinstance(state, Counted) else None


class _ByName(pickle.Pickler):
    """Writes a time zone as its name: as it pickles itself, reading it would need ``getattr``."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, ZoneInfo):
            return zone_named, (obj.key,)
        return NotImplemented


class _OwnObjects(pickle.Unpickler):
    """Makes the program's own objects and arrays, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _OTHERS or module.startswith(_OURS):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a checkpoint")
