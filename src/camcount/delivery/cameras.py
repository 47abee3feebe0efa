"""What deliveries need to know of the cameras, and may ask of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Command = Literal["on", "off", "reset_occupancy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOutline:
    """One camera at the moment.

    Attributes:
        lines, zones: their names.
        on: whether it was asked to run.
        online: whether pictures come.
        occupancy: zone to inside now.
    """

    name: str
    lines: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    on: bool = True
    online: bool = True
    occupancy: Mapping[str, int] = field(default_factory=dict)


class Site(Protocol):
    """All cameras of the server; safe from all threads."""

    def outlines(self) -> Sequence[CameraOutline]: ...
    def command(self, camera: str, command: Command) -> None: ...


class NoCameras:
    """A `Site` without cameras."""

    def outlines(self) -> Sequence[CameraOutline]:
        """None."""
        return ()

    def command(self, camera: str, command: Command) -> None:
        """Nobody hears it."""
