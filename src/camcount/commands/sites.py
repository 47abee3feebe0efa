"""Where cameras stand on the map: a file that formats with places in them need."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camcount.errors import UsageError, words_of

Place = tuple[float, float]
"""Longitude and latitude in degrees, WGS 84."""

_EXAMPLE = "sites: {door: {longitude: 2.3522, latitude: 48.8566, name: Main door}}"


@dataclass(frozen=True, slots=True)
class Site:
    """Where one camera stands, and what of its lines is known on the ground."""

    camera_id: str
    place: Place
    name: str
    insee: str = ""
    lines: dict[str, tuple[Place, ...]] = field(default_factory=dict)

    def line(self, name: str) -> tuple[Place, ...]:
        """Its points on the map.

        Raises:
            UsageError: the file does not have them.
        """
        if name not in self.lines:
            raise UsageError(
                f"the sites file has no coordinates of line {name!r} of camera {self.camera_id!r}: add "
                f"lines: {{{name}: [[2.3522, 48.8566], [2.3523, 48.8567]]}} to it"
            )
        return self.lines[name]


class Sites:
    """The sites of a file, by camera.

    Raises:
        UsageError: no file was given, or it is none.
    """

    def __init__(self, path: Path | None, what: str) -> None:
        if path is None:
            raise UsageError(f"{what} needs coordinates of the cameras: give --sites FILE.yaml, such as {_EXAMPLE}")
        self._path, self._sites = path, _read(path)

    def of(self, camera_id: str) -> Site:
        """The site of a camera.

        Raises:
            UsageError: the file does not have it.
        """
        if camera_id not in self._sites:
            raise UsageError(f"{self._path} has no coordinates of camera {camera_id!r}: add it, such as {_EXAMPLE}")
        return self._sites[camera_id]


def _read(path: Path) -> dict[str, Site]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {str(camera): _site(str(camera), one) for camera, one in content["sites"].items()}
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path} is no sites file ({words_of(error)}): write {_EXAMPLE}") from None


def _site(camera_id: str, one: dict[str, Any]) -> Site:
    lines = {str(name): tuple(_place(*point) for point in line) for name, line in (one.get("lines") or {}).items()}
    if short := [name for name, line in lines.items() if len(line) < 2]:
        raise ValueError(f"line {short[0]!r} has fewer than two points")
    place = _place(one["longitude"], one["latitude"])
    return Site(camera_id, place, str(one.get("name") or camera_id), str(one.get("insee") or ""), lines)


def _place(longitude: Any, latitude: Any) -> Place:
    place = float(longitude), float(latitude)
    if not (-180 <= place[0] <= 180 and -90 <= place[1] <= 90):
        raise ValueError(f"{place} is no longitude and latitude")
    return place
