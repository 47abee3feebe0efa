"""The demo street's vehicles: side profiles drawn out to solids, and cyclists."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from camcount.video.actors import SUN, Brush, Floats, Path
from camcount.video.scenery import Colour, View

_GLASS: Colour = (74, 66, 58)
_TYRE: Colour = (34, 34, 36)
_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 18)[:-1]), np.sin(np.linspace(0, 2 * np.pi, 18)[:-1])], axis=1)
_TONES = {"paint": 1.0, "glass": 0.9, "dark": 0.45}


@dataclass(frozen=True)
class Model:
    """A kind of vehicle, in metres.

    ``profile`` runs from the front bumper's lower edge over the roof to the rear one: ``(x forward, z up,
    half width)``. ``faces`` names the surface of each stretch between two points. ``windows`` and ``details``
    are polygons on the side, ``(x, z)``; ``axles`` are the wheels' places.
    """

    label: str
    profile: tuple[tuple[float, float, float], ...]
    faces: tuple[str, ...]
    windows: tuple[tuple[tuple[float, float], ...], ...]
    axles: tuple[float, ...]
    wheel: float
    seams: tuple[float, ...] = ()

    @property
    def length(self) -> float:
        """From bumper to bumper."""
        xs = [x for x, _, _ in self.profile]
        return max(xs) - min(xs)


def _panes(x0: float, x1: float, z0: float, z1: float, count: int) -> tuple[tuple[tuple[float, float], ...], ...]:
    step = (x1 - x0) / count
    edges = [(x0 + i * step, x0 + (i + 1) * step - 0.12) for i in range(count)]
    return tuple(((a, z0), (a, z1), (b, z1), (b, z0)) for a, b in edges)


SALOON = Model(
    "car",
    (
        (2.15, 0.26, 0.84), (2.22, 0.56, 0.88), (2.05, 0.74, 0.88), (1.05, 0.93, 0.88), (0.30, 1.42, 0.64),
        (-0.95, 1.44, 0.64), (-1.70, 1.02, 0.86), (-2.15, 0.95, 0.86), (-2.22, 0.58, 0.88), (-2.15, 0.28, 0.84),
    ),
    ("dark", "paint", "paint", "glass", "paint", "glass", "paint", "paint", "dark"),
    (((0.86, 0.97), (0.30, 1.35), (-0.22, 1.36), (-0.22, 0.97)),
     ((-0.32, 0.97), (-0.32, 1.36), (-0.9, 1.36), (-1.4, 1.0))),
    (1.36, -1.34), 0.33, (0.78, -0.27, -1.1),
)  # fmt: skip
HATCHBACK = Model(
    "car",
    (
        (1.85, 0.28, 0.82), (1.93, 0.60, 0.85), (1.78, 0.80, 0.85), (1.05, 0.98, 0.85), (0.42, 1.50, 0.66),
        (-1.35, 1.52, 0.66), (-1.82, 1.04, 0.84), (-1.92, 0.60, 0.85), (-1.86, 0.30, 0.82),
    ),
    ("dark", "paint", "paint", "glass", "paint", "glass", "paint", "dark"),
    (((0.88, 1.02), (0.40, 1.43), (-0.20, 1.44), (-0.20, 1.02)),
     ((-0.30, 1.02), (-0.30, 1.44), (-1.25, 1.44), (-1.55, 1.04))),
    (1.2, -1.2), 0.32, (0.75, -0.25, -1.0),
)  # fmt: skip
VAN = Model(
    "car",
    (
        (2.55, 0.30, 0.94), (2.64, 0.80, 0.97), (2.35, 1.12, 0.97), (1.65, 1.28, 0.97), (1.05, 2.18, 0.84),
        (0.8, 2.30, 0.86), (-2.62, 2.32, 0.86), (-2.68, 0.9, 0.97), (-2.62, 0.34, 0.94),
    ),
    ("dark", "paint", "paint", "glass", "paint", "paint", "paint", "dark"),
    (((1.55, 1.32), (1.0, 2.05), (0.45, 2.06), (0.45, 1.32)),),
    (1.75, -1.75), 0.36, (1.5, 0.35, -0.9),
)  # fmt: skip
LORRY = Model(
    "truck",
    (
        (3.90, 0.35, 1.05), (3.98, 1.05, 1.08), (3.95, 1.40, 1.08), (3.55, 2.45, 1.02), (2.35, 2.55, 1.02),
        (2.30, 1.10, 1.05), (2.05, 1.10, 1.15), (2.05, 3.20, 1.18), (-3.90, 3.20, 1.18), (-3.95, 0.60, 1.18),
    ),
    ("dark", "paint", "glass", "paint", "dark", "dark", "paint", "paint", "paint"),
    (((3.72, 1.45), (3.42, 2.25), (2.7, 2.3), (2.7, 1.45)),),
    (3.0, -1.9, -2.75), 0.46, (2.62, 2.18),
)  # fmt: skip
BUS = Model(
    "bus",
    (
        (5.55, 0.32, 1.20), (5.65, 1.10, 1.25), (5.50, 2.65, 1.22), (5.30, 2.98, 1.16), (-5.45, 3.02, 1.16),
        (-5.62, 2.75, 1.22), (-5.65, 0.90, 1.25), (-5.60, 0.36, 1.20),
    ),
    ("dark", "glass", "paint", "paint", "paint", "glass", "dark"),
    _panes(-5.2, 5.3, 1.25, 2.45, 7),
    (3.6, -3.1), 0.48, (4.2, 0.6),
)  # fmt: skip


@dataclass(frozen=True)
class Vehicle:
    """A vehicle of some ``model`` that drives along the street: ``towards`` is +1 for x rising, -1 for falling."""

    number: int
    path: Path
    model: Model
    paint: Colour
    towards: int
    size: float = 1.0

    @property
    def label(self) -> str:
        """What its model is counted as."""
        return self.model.label

    def outline(self, view: View, times: Floats) -> Floats:
        """Boxes around bodywork and wheels, ``(T, 4)``."""
        pixels, _ = view.project(self.pose(times))
        return np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)

    def pose(self, times: Floats) -> Floats:
        """The near and the far profile, then the rims, ``(T, points, 3)``."""
        corners = np.concatenate([self._shell.reshape(-1, 3), self._tyres.reshape(-1, 3)])
        ground = np.concatenate([self.path.at(times), np.zeros((len(times), 1))], axis=1)
        return np.asarray(ground[:, None] + corners)

    def cast(self, brush: Brush, view: View, pose: Floats) -> None:
        """The shadow of the whole shell."""
        shell = pose[: 2 * len(self.model.profile)]
        fallen = shell[:, :2] + shell[:, 2:] * SUN
        pixels, scale = view.project(np.concatenate([fallen, np.zeros((len(fallen), 1))], axis=1))
        brush.shadow(pixels, 0.3 * float(scale[0]))

    def draw(self, brush: Brush, view: View, pose: Floats, time_s: float) -> None:
        """The faces that look at the camera, far ones first, then the near side with wheels and windows."""
        place = np.array([*self.path.at(np.array([time_s]))[0], 0.0])
        shell = pose[: 2 * len(self.model.profile)].reshape(2, -1, 3)
        pixels, scale = view.project(shell)
        near, far = pixels
        for face in self._visible(shell, view):
            self._face(brush, face, near[[face, face + 1]], far[[face + 1, face]])
        m = float(scale.mean())
        brush.polygon(near, convex=False, colour=self.paint, shade=0.84)
        self._side(brush, view, place, m)
        self._lamps(brush, near, far, m)

    def _visible(self, shell: Floats, view: View) -> list[int]:
        near = shell[0]
        along, up = np.diff(near[:, 0]) * self.towards, np.diff(near[:, 2])
        middle = (near[:-1] + near[1:]) / 2
        x, z = -middle[:, 0] * self.towards, view.height_m - middle[:, 2]
        seen = np.flatnonzero(up * x - along * z > 0)
        distance = np.hypot(middle[seen, 0], z[seen])
        return [int(i) for i in seen[np.argsort(-distance)]]

    def _face(self, brush: Brush, face: int, near: Floats, far: Floats) -> None:
        kind = self.model.faces[face]
        (x0, z0, _), (x1, z1, _) = self.model.profile[face : face + 2]
        flat = abs(x1 - x0) / (np.hypot(x1 - x0, z1 - z0) + 1e-6)
        quad = np.concatenate([near, far])
        if kind == "glass":
            brush.polygon(quad, self.paint, 0.92)
            centre = quad.mean(axis=0)
            brush.polygon(centre + (quad - centre) * 0.86, _GLASS, 1.0 + 0.5 * flat)
        else:
            brush.polygon(quad, self.paint, _TONES[kind] * (0.78 + 0.4 * flat))

    def _side(self, brush: Brush, view: View, place: Floats, m: float) -> None:
        wall, model = -self._width, self.model
        for pane in model.windows:
            corners = [(x * self.towards, wall * (0.97 if z < 1.1 else 0.86), z) for x, z in pane]
            pixels, _ = view.project(np.array(corners) * self.size + place)
            brush.polygon(pixels, _GLASS, 1.15)
            brush.polygon(pixels * 0.65 + pixels[[1, 1, 2, 2]] * 0.35, _GLASS, 1.55)
        sill = np.array([(x * self.towards, wall, z) for x, z in ((self._front, 0.36), (self._rear, 0.36))])
        pixels, _ = view.project(sill * self.size + place)
        brush.stroke(pixels[0], pixels[1], self.paint, 0.12 * m, 0.5)
        for x in model.seams:
            ends = np.array([(x * self.towards, wall, z) for z in (0.45, 0.95)]) * self.size + place
            pixels, _ = view.project(ends)
            brush.stroke(pixels[0], pixels[1], self.paint, max(1.0, 0.02 * m), 0.6)
        for tyre in self._tyres + place:
            rim, _ = view.project(tyre)
            centre = rim.mean(axis=0)
            brush.polygon(centre + (rim - centre) * 1.16, (24, 24, 24))
            brush.polygon(rim, _TYRE)
            brush.polygon(centre + (rim - centre) * 0.58, (150, 150, 150))
            brush.polygon(centre + (rim - centre) * 0.2, (80, 80, 80))

    def _lamps(self, brush: Brush, near: Floats, far: Floats, m: float) -> None:
        front, rear = (near[1] * 0.92 + far[1] * 0.08), (near[-2] * 0.94 + far[-2] * 0.06)
        radius = max(1.0, 0.09 * m)
        brush.disc(front, radius, (214, 236, 244))
        brush.disc(front * 0.5 + near[1] * 0.5, radius * 0.6, (236, 250, 252))
        brush.disc(rear, radius * 0.9, (44, 40, 190))

    @property
    def _width(self) -> float:
        return max(w for _, _, w in self.model.profile)

    @property
    def _front(self) -> float:
        return max(self.model.axles) - self.model.wheel * 1.3

    @property
    def _rear(self) -> float:
        return min(self.model.axles) + self.model.wheel * 1.3

    @cached_property
    def _shell(self) -> Floats:
        """The profile on the near and on the far side, ``(2, points, 3)``, around the vehicle's centre."""
        x, z, w = np.array(self.model.profile).T
        sides = [np.stack([x * self.towards, sign * w, z], axis=1) for sign in (-1, 1)]
        return np.array(sides) * self.size

    @cached_property
    def _tyres(self) -> Floats:
        """The wheels' rims, ``(axles, points, 3)``."""
        radius = self.model.wheel
        rims = []
        for axle in self.model.axles:
            ring = np.empty((len(_CIRCLE), 3))
            ring[:, 0] = axle * self.towards + _CIRCLE[:, 0] * radius
            ring[:, 1], ring[:, 2] = -self._width, radius + _CIRCLE[:, 1] * radius
            rims.append(ring)
        return np.array(rims) * self.size


@dataclass(frozen=True)
class Cyclist:
    """A rider on a bicycle, pedalling along the street."""

    number: int
    path: Path
    top: Colour
    helmet: Colour
    frame: Colour
    towards: int
    label: str = field(default="bicycle", init=False)

    def outline(self, view: View, times: Floats) -> Floats:
        """Boxes around wheels and rider, ``(T, 4)``."""
        pixels, _ = view.project(self.pose(times))
        return np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)

    def cast(self, brush: Brush, view: View, pose: Floats) -> None:
        """The shadow of rider and wheels."""
        fallen = pose[:, :2] + pose[:, 2:] * SUN
        pixels, scale = view.project(np.concatenate([fallen, np.zeros((len(fallen), 1))], axis=1))
        brush.shadow(pixels, 0.25 * float(scale[0]))

    def draw(self, brush: Brush, view: View, pose: Floats, time_s: float) -> None:
        """Wheels, far leg, frame, near leg, rider."""
        pixels, scale = view.project(pose)
        m = float(scale[0])
        rings, p = pixels[: 2 * len(_CIRCLE)].reshape(2, -1, 2), pixels[2 * len(_CIRCLE) :]
        hip, shoulder, head, hand, far_knee, far_foot, near_knee, near_foot, crank, _ = p
        for ring in rings:
            brush.ring(ring, _TYRE, 0.05 * m)
        back, front = rings.mean(axis=1)
        self._leg(brush, hip, far_knee, far_foot, m, 0.75)
        for a, b in ((back, crank), (crank, front), (crank, hip), (front, hand), (back, hip)):
            brush.stroke(a, b, self.frame, 0.045 * m)
        self._leg(brush, hip, near_knee, near_foot, m, 1.0)
        brush.stroke(hip, shoulder, self.top, 0.3 * m)
        brush.stroke(shoulder, hand, self.top, 0.09 * m, 0.85)
        brush.disc(hand, 0.05 * m, (132, 164, 208))
        brush.disc(head, 0.11 * m, (132, 164, 208))
        brush.disc(head - (0, 0.045 * m), 0.115 * m, self.helmet)

    @staticmethod
    def _leg(brush: Brush, hip: Floats, knee: Floats, foot: Floats, m: float, shade: float) -> None:
        brush.stroke(hip, knee, (70, 56, 48), 0.15 * m, shade)
        brush.stroke(knee, foot, (70, 56, 48), 0.1 * m, shade)
        brush.disc(foot, 0.06 * m, (40, 40, 44), shade)

    def pose(self, times: Floats) -> Floats:
        """Both rims, the rider's joints, and the crown of the helmet, ``(T, points, 3)``."""
        turn = self.path.walked(times) / 0.9
        rings = [
            np.stack([x + 0.34 * _CIRCLE[:, 0], 0 * _CIRCLE[:, 0], 0.34 + 0.34 * _CIRCLE[:, 1]], 1)
            for x in (-0.52, 0.52)
        ]
        still = np.array([[-0.18, 0, 0.95], [0.18, 0, 1.38], [0.30, 0, 1.60], [0.46, 0, 1.02]])
        joints = np.zeros((len(times), 10, 3))
        joints[:, :4] = still
        for slot, offset in ((4, 0.0), (6, np.pi)):
            foot = np.stack(
                [0.05 + 0.17 * np.cos(turn + offset), 0 * turn, 0.32 - 0.17 * np.sin(turn + offset)], axis=1
            )
            joints[:, slot + 1] = foot
            joints[:, slot] = (foot + still[0]) / 2 + (0.22, 0, 0.06)
        joints[:, 8], joints[:, 9] = (0.05, 0, 0.32), (0.30, 0, 1.76)
        wheels = np.broadcast_to(np.concatenate(rings), (len(times), 2 * len(_CIRCLE), 3))
        body = np.concatenate([wheels, joints], axis=1)
        body[..., 0] *= self.towards
        ground = np.concatenate([self.path.at(times), np.zeros((len(times), 1))], axis=1)
        return np.asarray(body + ground[:, None])
