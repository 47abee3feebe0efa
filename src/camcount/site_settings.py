"""What `camcount site` was told of a site: its doors, its cameras' floors, the ways between them."""

from __future__ import annotations

from datetime import UTC, time, tzinfo
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from camcount.counting.floor import Floor
from camcount.counting.journeys import Leg, Port
from camcount.counting.occupancy import OccupancySettings
from camcount.counting.overlap import OverlapSettings
from camcount.counting.site import Site
from camcount.errors import GeometryError
from camcount.settings import checked, read_yaml


def parse_port(text: Any) -> Any:
    """``camera/line:in`` as a port; a camera's name may have slashes.

    >>> parse_port("hall/gate:in")
    Port(camera_id='hall', line='gate', direction='in')

    Raises:
        ValueError: it is not of that form.
    """
    if not isinstance(text, str):
        return text
    rest, _, direction = text.rpartition(":")
    camera, _, line = rest.rpartition("/")
    if not (camera and line) or direction not in ("in", "out"):
        raise ValueError(f"{text!r} is not CAMERA/LINE:in or CAMERA/LINE:out")
    return Port(camera, line, direction)  # type: ignore[arg-type] # it is one of the two


PortText = Annotated[Port, BeforeValidator(parse_port)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FloorPoint(_Section):
    """A point in the picture, in pixels, and on the floor, in metres."""

    picture: tuple[float, float]
    floor: tuple[float, float]


class SiteCamera(_Section):
    """One camera: where its picture meets the floor, and what its clock is behind the site's, in seconds."""

    floor: tuple[FloorPoint, ...] = ()
    clock: float = 0.0


class Way(_Section):
    """A way between cameras; see `camcount.counting.journeys.Leg`."""

    origin: Annotated[PortText, Field(alias="from")]
    destination: Annotated[PortText, Field(alias="to")]
    metres: Annotated[float, Field(gt=0)] | None = None
    speed: Annotated[float, Field(gt=0)] = 1.3
    spread: Annotated[float, Field(gt=0, le=2)] = 0.25
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5


class Overlap(_Section):
    """See `camcount.counting.overlap.OverlapSettings`."""

    within_s: Annotated[float, Field(gt=0)] = 1.0
    within_m: Annotated[float, Field(gt=0)] = 1.5
    any_label: bool = False


class SiteSettings(_Section):
    """``site.yaml``."""

    zone: str = "UTC"
    closing: time | None = None
    balance: bool = True
    cameras: dict[str, SiteCamera] = {}
    doors: dict[str, tuple[PortText, ...]] = {}
    journeys: tuple[Way, ...] = ()
    overlap: Overlap = Overlap()

    @field_validator("zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            raise ValueError(f"{name!r} is no time zone: write for example Europe/Berlin") from None
        return name

    def site(self) -> Site:
        """The site itself.

        Raises:
            GeometryError: the points of a floor do not fix it, or a way's length is not known.
        """
        zone: tzinfo = UTC if self.zone == "UTC" else ZoneInfo(self.zone)
        floors = {name: _floor(name, camera) for name, camera in self.cameras.items() if camera.floor}
        return Site(
            doors=self.doors,
            floors=floors,
            clocks={name: camera.clock for name, camera in self.cameras.items()},
            legs=[_leg(way, floors) for way in self.journeys],
            overlap=OverlapSettings(**self.overlap.model_dump()),
            occupancy=OccupancySettings(closing=self.closing, zone=zone, balance=self.balance),
        )


def _floor(name: str, camera: SiteCamera) -> Floor:
    try:
        return Floor([point.picture for point in camera.floor], [point.floor for point in camera.floor])
    except GeometryError as error:
        raise GeometryError(f"camera {name!r}: {error}") from None


def _leg(way: Way, floors: dict[str, Floor]) -> Leg:
    if way.metres is None:
        for port in (way.origin, way.destination):
            if port.camera_id not in floors:
                raise GeometryError(
                    f"the way from {way.origin} to {way.destination} has no length: give metres, or the floor of "
                    f"camera {port.camera_id!r}"
                )
    return Leg(
        origin=way.origin,
        destination=way.destination,
        distance_m=way.metres,
        speed=way.speed,
        spread=way.spread,
        share=way.share,
    )


def load_site(path: Path) -> Site:
    """The site that a file describes.

    Raises:
        UsageError, GeometryError: on one line, what is wrong and where.
    """
    return checked(SiteSettings, read_yaml(path), {}, str(path)).site()
