"""What is to be counted at one camera, and how."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Literal
from zoneinfo import ZoneInfo

from camcount.cameras.backoff import Backoff
from camcount.errors import UsageError
from camcount.geometry import Anchor, Line, Zone
from camcount.video.address import kind_of, redacted

Gating = Literal["auto", "on", "off"]
Pace = Literal["auto", "real", "fast"]

CAMERA_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What a camera may be called: it stands in addresses, topics and file names."""
_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """One camera.

    Attributes:
        source: as `camcount.video.open.source_for` takes it; ``${NAME}`` stands for a secret of that name.
        model: the reference that the data plane is asked for; labels: what of it is counted.
        lines, zones, anchor: what is counted, as for `camcount.counting.scene.SceneCounter`.
        tracker: by name. fps: at most so many frames per second.
        priority: its share of a busy machine beside other cameras; twice as much, twice the frames.
        zone: the name of the time zone in which its intervals close.
        loop: a file begins again at its end. pace: ``real`` plays a file as fast as it was recorded, ``fast`` as
            fast as it can be counted; ``auto`` is ``real`` for loops.
        transport, timeout_s: of a network camera.
        max_lag_s: frames older than that are let go.
        motion_gate: whether the model is asked only where something moves; ``auto`` is ``on`` but for files.
        least_fps: a busy machine gives each camera in which something moves at least so many frames per second.
        in_flight: frames that the model may have at once.
        frozen_s, black_s: the same picture, or a black one, for so long is taken for a fault.

    Raises:
        UsageError: which of them cannot be, and why.
    """

    source: str
    model: str = ""
    labels: tuple[str, ...] | None = None
    lines: tuple[Line, ...] = ()
    zones: tuple[Zone, ...] = ()
    anchor: Anchor = "foot"
    tracker: str = "camcount"
    fps: float | None = None
    priority: float = 1.0
    zone: str = "UTC"
    loop: bool = False
    pace: Pace = "auto"
    transport: str = "tcp"
    timeout_s: float = 10.0
    max_lag_s: float = 1.0
    motion_gate: Gating = "auto"
    least_fps: float = 5.0
    in_flight: int = 2
    frozen_s: float = 10.0
    black_s: float = 5.0
    backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        if not self.source:
            raise UsageError("a camera needs its source: a file, rtsp://…, http://…, usb:0 or demo:street")
        for name in ("priority", "timeout_s", "max_lag_s", "least_fps", "in_flight", "frozen_s", "black_s"):
            if not 0 < getattr(self, name) < inf:
                raise UsageError(f"{name} {getattr(self, name):g} must be above 0")
        if self.fps is not None and not 0 < self.fps < inf:
            raise UsageError(f"{self.fps:g} frames per second is no rate: give a number above 0")
        for word, known in ((self.motion_gate, ("auto", "on", "off")), (self.pace, ("auto", "real", "fast"))):
            if word not in known:
                raise UsageError(f"{word!r} is none of {', '.join(known)}")
        if self.transport not in ("tcp", "udp"):
            raise UsageError(f"{self.transport!r} is no RTSP transport: choose tcp or udp")
        check_names(self.lines, self.zones)
        zone_named(self.zone)

    @property
    def exact(self) -> bool:
        """Whether the source is the same each time it is read, so that a count can be taken up where it stopped."""
        return kind_of(self.source) in ("file", "demo")

    @property
    def shown(self) -> str:
        """The source without its secrets."""
        return redacted(self.source)

    @property
    def gated(self) -> bool:
        """Whether the model is asked only where something moves."""
        return self.motion_gate == "on" or (self.motion_gate == "auto" and not self.exact)

    @property
    def real_time(self) -> bool:
        """Whether a file is played as fast as it was recorded."""
        return self.pace == "real" or (self.pace == "auto" and self.loop)

    @property
    def keeps(self) -> bool:
        """Whether no frame is let go; a file looped in real time stands for a live camera: time does not wait."""
        return self.exact and not (self.loop and self.real_time)


def check_names(lines: tuple[Line, ...], zones: tuple[Zone, ...]) -> None:
    """Refuses two lines, or two zones, of one name.

    Raises:
        UsageError: which name.
    """
    for kind, names in (("line", [line.name for line in lines]), ("zone", [zone.name for zone in zones])):
        if twice := [name for name in names if names.count(name) > 1]:
            raise UsageError(f"two {kind}s are called {twice[0]!r}: give each a name of its own")


def zone_named(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises:
        UsageError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UsageError(f"there is no time zone {name!r}: write one such as Europe/Paris") from None


def with_secrets(source: str, secrets: Mapping[str, str]) -> str:
    """The address with every ``${NAME}`` replaced.

    >>> with_secrets("rtsp://guard:${GATE}@gate/1", {"GATE": "s3cret"})
    'rtsp://guard:s3cret@gate/1'

    Raises:
        UsageError: a secret is not there; no value is ever shown.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in secrets:
            raise UsageError(f"the secret {match[1]} of a camera's source is not set: put it into the environment")
        return secrets[match[1]]

    return _NAME.sub(value, source)
