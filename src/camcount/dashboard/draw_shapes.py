"""Lines and zones while they are being drawn, and as they are saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from camcount.errors import UsageError
from camcount.geometry import Anchor, Line
from camcount.server_settings import ShapesEntry
from camcount.settings import LineSettings, ZoneSettings

Kind = Literal["line", "zone"]
Shares = tuple[tuple[float, float], ...]
_DIGITS = 4


@dataclass(slots=True)
class Drawn:
    """One line or zone.

    Attributes:
        points: as shares of the picture, 0..1; of a line in the order that puts ``in`` to its right.
        labels, anchor: None for what the camera has.
        saved: how it was saved, ``saved_points`` where that is: what was not moved is saved as it was, so that the
            camera does not notice.
    """

    id: str
    kind: Kind
    name: str
    points: Shares
    labels: tuple[str, ...] | None = None
    anchor: Anchor | None = None
    saved: LineSettings | ZoneSettings | None = None
    saved_points: Shares = ()

    def settings(self) -> LineSettings | ZoneSettings:
        """As it is to be saved."""
        if self.saved is not None and self.points == self.saved_points:
            return self.saved.model_copy(update={"labels": self.labels, "anchor": self.anchor})
        points = tuple((round(x, _DIGITS), round(y, _DIGITS)) for x, y in self.points)
        kind = LineSettings if self.kind == "line" else ZoneSettings
        return kind(points=points, labels=self.labels, anchor=self.anchor)

    def line(self) -> Line:
        """The line that it is."""
        return Line(self.name, self.points, self.anchor, self.labels)


def drawn_of(entry: ShapesEntry, size: tuple[int, int] | None) -> list[Drawn]:
    """What is saved, ready to be drawn over; ``size`` is that of the picture, for points in pixels.

    Raises:
        UsageError: there are points in pixels, and no picture yet.
    """
    kinds: list[tuple[Kind, Mapping[str, LineSettings | ZoneSettings]]] = [
        ("line", entry.lines or {}),
        ("zone", entry.zones or {}),
    ]
    found = []
    for kind, shapes in kinds:
        for name, saved in shapes.items():
            points = _shares(name, saved.named(name).points, size)
            found.append(Drawn(f"{kind} {name}", kind, name, points, saved.labels, saved.anchor, saved, points))
    return found


def entry_of(shapes: Iterable[Drawn]) -> ShapesEntry:
    """All of them, as they replace what was saved.

    Raises:
        UsageError: one has no name, or two have the same.
    """
    lines: dict[str, LineSettings] = {}
    zones: dict[str, ZoneSettings] = {}
    for shape in shapes:
        name, settings = shape.name.strip(), shape.settings()
        if not name or name in lines or name in zones:
            raise UsageError(f"two lines or zones are called {name!r}" if name else "a line or a zone has no name")
        if isinstance(settings, LineSettings):
            lines[name] = settings
        else:
            zones[name] = settings
    return ShapesEntry(lines=lines, zones=zones)


def read(told: Mapping[str, Any], known: Mapping[str, Drawn]) -> dict[str, Drawn]:
    """What a browser says is drawn now, with what is known of each: labels, anchor, how it was saved."""
    shapes = {}
    for one in told["shapes"]:
        shape = known.get(one["id"]) or Drawn(str(one["id"]), "zone" if one["kind"] == "zone" else "line", "", ())
        shape.name = str(one["name"])[:100]
        shape.points = tuple((min(1.0, max(0.0, float(x))), min(1.0, max(0.0, float(y)))) for x, y in one["points"])
        shapes[shape.id] = shape
    return shapes


def _shares(name: str, points: Shares, size: tuple[int, int] | None) -> Shares:
    if all(0 <= value <= 1 for point in points for value in point):
        return points
    if size is None:
        raise UsageError(
            f"{name!r} is drawn in pixels, and the camera has given no picture yet: come back in a moment"
        )
    return tuple((x / size[0], y / size[1]) for x, y in points)
