"""True crossings of a video, from a YAML file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import yaml

from camcount.errors import GeometryError, UsageError, words_of
from camcount.events import Direction
from camcount.geometry import Anchor, Line

VEHICLES = frozenset({"car", "truck", "bus", "motorcycle", "bicycle"})
"""What the label ``vehicle`` stands for."""

_TRUTH = ("video", "sequence", "fps", "size", "frames", "anchor", "labels", "lines", "source", "notes")
_LINE = ("a", "b", "totals", "events", "anchor", "note")
_EVENT = ("time_s", "direction", "label", "certain", "tolerance_s", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueCrossing:
    """One crossing that somebody saw.

    Attributes:
        line: the line's name.
        time_s: presentation time in seconds.
        certain: False where a counter may count it or not.
        tolerance_s: how far from ``time_s`` a counted crossing may lie and still be this one.
    """

    line: str
    time_s: float
    direction: Direction
    label: str
    certain: bool = True
    tolerance_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Lines and their true crossings; None where the file does not say.

    Attributes:
        video, sequence: the name of the video or of the MOTChallenge sequence.
        size: width and height in pixels.
        labels: what was looked for; a crossing counted of anything else is neither right nor wrong.
    """

    path: Path
    lines: tuple[Line, ...]
    events: tuple[TrueCrossing, ...]
    labels: tuple[str, ...]
    anchor: Anchor = "foot"
    video: str | None = None
    sequence: str | None = None
    fps: float | None = None
    size: tuple[int, int] | None = None
    frames: int | None = None


def load_truth(path: Path) -> Truth:
    """Reads and checks a truth file.

    ``labels`` are those of the events unless the file lists them; where nothing ever crosses they are person and
    vehicle. ``totals`` of a line, if given, must agree with its events, uncertain ones counted or not.

    Raises:
        UsageError: the file cannot be read, or a key is missing, misspelt or of the wrong kind; on one line.
    """
    document = _Node(str(path), _read(path), _TRUTH)
    lines: list[Line] = []
    events: list[TrueCrossing] = []
    size = _size(document)
    for name, content in document.mapping("lines").items():
        node = _Node(f"{path}: lines: {name}", content, _LINE)
        line = Line(str(name), (node.point("a"), node.point("b")), node.anchor())
        try:
            line.at(*(size or (1, 1)))
        except GeometryError as error:
            # without a size only 0..1 can be checked, and a unit picture is too small for lengths
            if size is not None:
                raise UsageError(f"{path}: {error}") from None
        crossings = [_event(node, str(name), i, item) for i, item in enumerate(node.get("events") or [], 1)]
        _agree(node, crossings)
        lines.append(line)
        events += crossings
    labels = document.words("labels") or tuple(dict.fromkeys(e.label for e in events)) or ("person", "vehicle")
    return Truth(
        path=Path(path),
        lines=tuple(lines),
        events=tuple(events),
        labels=labels,
        anchor=document.anchor() or "foot",
        video=document.get("video"),
        sequence=document.get("sequence"),
        fps=document.number("fps", least=1e-6) if document.get("fps") is not None else None,
        size=size,
        frames=document.get("frames"),
    )


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise UsageError(f"no truth file {path}: check the spelling") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path} is not a readable YAML file: {words_of(error)}") from None


class _Node:
    """One mapping of the file, which says where it stands when something in it is wrong."""

    def __init__(self, where: str, content: Any, known: tuple[str, ...]) -> None:
        if not isinstance(content, Mapping):
            raise self._fault(where, f"needs keys such as {', '.join(known[:4])}")
        self.where = where
        self._content = content
        for key in content:
            near = get_close_matches(str(key), known, 1, 0.8)
            if key not in known and near and near[0] not in content:
                raise self._fault(where, f"has no key {key!r}: did you mean {near[0]!r}?")

    @staticmethod
    def _fault(where: str, what: str) -> UsageError:
        return UsageError(f"{where} {what}")

    def get(self, key: str) -> Any:
        return self._content.get(key)

    def need(self, key: str) -> Any:
        value = self._content.get(key)
        if value is None:
            raise self._fault(self.where, f"lacks {key!r}")
        return value

    def mapping(self, key: str) -> Mapping[Any, Any]:
        value = self.need(key)
        if not isinstance(value, Mapping) or not value:
            raise self._fault(self.where, f"needs {key!r} as a mapping of names, for example gate: {{a: …, b: …}}")
        return value

    def number(self, key: str, *, least: float = 0.0, default: float | None = None) -> float:
        value = self.need(key) if default is None else self._content.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._fault(self.where, f"has {key} {value!r}, which is not a finite number")
        if value < least:
            raise self._fault(self.where, f"has {key} {value:g}, which is below {least:g}")
        return float(value)

    def point(self, key: str) -> tuple[float, float]:
        value = self.need(key)
        good = isinstance(value, list) and len(value) == 2
        if not good or not all(isinstance(v, int | float) and math.isfinite(v) for v in value):
            raise self._fault(self.where, f"has {key} {value!r}, which is not a point [x, y]")
        return float(value[0]), float(value[1])

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.need(key)
        if value not in choices:
            raise self._fault(self.where, f"has {key} {value!r}, which is not one of {', '.join(choices)}")
        return str(value)

    def words(self, key: str) -> tuple[str, ...]:
        value = self._content.get(key) or ()
        return (value,) if isinstance(value, str) else tuple(str(word) for word in value)

    def anchor(self) -> Anchor | None:
        if self._content.get("anchor") is None:
            return None
        return cast(Anchor, self.choice("anchor", ("foot", "centre")))


def _size(document: _Node) -> tuple[int, int] | None:
    if document.get("size") is None:
        return None
    width, height = document.point("size")
    if width < 1 or height < 1 or width % 1 or height % 1:
        raise UsageError(f"{document.where} has size {width:g}x{height:g}: write [width, height] in whole pixels")
    return int(width), int(height)


def _event(line: _Node, name: str, number: int, content: Any) -> TrueCrossing:
    node = _Node(f"{line.where}: event {number}", content, _EVENT)
    certain = node.get("certain")
    if certain is not None and not isinstance(certain, bool):
        raise UsageError(f"{node.where} has certain {certain!r}, which is not true or false")
    return TrueCrossing(
        line=name,
        time_s=node.number("time_s"),
        direction=cast(Direction, node.choice("direction", ("in", "out"))),
        label=str(node.need("label")),
        certain=certain is not False,
        tolerance_s=node.number("tolerance_s", default=1.0),
    )


def _agree(line: _Node, events: list[TrueCrossing]) -> None:
    totals = line.get("totals")
    if totals is None:
        return
    node = _Node(f"{line.where}: totals", totals, ("in", "out"))
    for direction in ("in", "out"):
        there = [event for event in events if event.direction == direction]
        least, most = sum(event.certain for event in there), len(there)
        total = node.number(direction, default=0.0)
        if not least <= total <= most:
            raise UsageError(f"{node.where} has {total:g} {direction}, and the events make {least} to {most}")
