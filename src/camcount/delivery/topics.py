"""The names of MQTT topics."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

_ESCAPED = {ord(sign): f"%{ord(sign):02X}" for sign in "%/+#\0"}


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics under one prefix. Signs of a name that mean something in topics stand there as ``%2F`` and the like.

    >>> Topics("camcount").line("gate", "in/out")
    'camcount/gate/lines/in%2Fout'
    """

    prefix: str

    @property
    def available(self) -> str:
        """``online``, or ``offline`` by the broker where the server is gone; retained."""
        return f"{self.prefix}/available"

    @property
    def commands(self) -> str:
        """What to subscribe to for all cameras' commands."""
        return f"{self.prefix}/+/set"

    def camera(self, camera: str, what: str) -> str:
        """One of a camera's: ``events``, ``available``, ``state``, ``set``."""
        return f"{self.prefix}/{_level(camera)}/{what}"

    def line(self, camera: str, line: str) -> str:
        """A line's totals; retained."""
        return self.camera(camera, f"lines/{_level(line)}")

    def zone(self, camera: str, zone: str) -> str:
        """How many are inside; retained."""
        return self.camera(camera, f"zones/{_level(zone)}")

    def commanded(self, topic: str) -> str:
        """The camera of a ``set`` topic."""
        return unquote(topic.removeprefix(f"{self.prefix}/").removesuffix("/set"))


def _level(name: str) -> str:
    return name.translate(_ESCAPED)
