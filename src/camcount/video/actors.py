"""What moves in the demo street: exact paths, and people made of limbs that swing."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from camcount.frame import Image
from camcount.video.scenery import Colour, View

Floats = NDArray[np.float64]
SUN = (0.42, -0.14)
"""Where the shadow of a point one metre above the ground falls, in metres."""

_FIXED = 4
_ONE = 1 << _FIXED


@dataclass
class Brush:
    """Draws antialiased shapes at fractions of a pixel onto ``image`` in the light of the moment."""

    image: Image
    light: float = 1.0
    sharpness: float = 1.0
    """How dark the shadows are, 0..1: an overcast sky has faint ones."""

    def polygon(self, points: Floats, colour: Colour, shade: float = 1.0, *, convex: bool = True) -> None:
        """Fills a polygon ``(K, 2)``."""
        fixed = np.rint(points * _ONE).astype(np.int32)
        if convex:
            cv2.fillConvexPoly(self.image, fixed, self._lit(colour, shade), cv2.LINE_AA, _FIXED)
        else:
            cv2.fillPoly(self.image, [fixed], self._lit(colour, shade), cv2.LINE_AA, _FIXED)

    def stroke(self, a: Floats, b: Floats, colour: Colour, width: float, shade: float = 1.0) -> None:
        """A line with round ends, ``width`` pixels wide."""
        p = round(float(a[0]) * _ONE), round(float(a[1]) * _ONE)
        q = round(float(b[0]) * _ONE), round(float(b[1]) * _ONE)
        cv2.line(self.image, p, q, self._lit(colour, shade), max(1, round(width)), cv2.LINE_AA, _FIXED)

    def ring(self, points: Floats, colour: Colour, width: float) -> None:
        """A closed line through ``points (K, 2)``."""
        fixed = np.rint(points * _ONE).astype(np.int32)
        cv2.polylines(self.image, [fixed], True, self._lit(colour, 1.0), max(1, round(width)), cv2.LINE_AA, _FIXED)

    def disc(self, centre: Floats, radius: float, colour: Colour, shade: float = 1.0) -> None:
        """A filled circle."""
        at = round(float(centre[0]) * _ONE), round(float(centre[1]) * _ONE)
        cv2.circle(self.image, at, max(1, round(radius * _ONE)), self._lit(colour, shade), -1, cv2.LINE_AA, _FIXED)

    def shadow(self, points: Floats, softness: float) -> None:
        """Darkens the convex hull of ``points (K, 2)``, with an edge ``softness`` pixels wide."""
        margin = int(softness) + 2
        low = np.maximum(points.min(axis=0).astype(int) - margin, 0)
        high = np.minimum(points.max(axis=0).astype(int) + margin, self.image.shape[1::-1])
        if (high <= low).any():
            return
        ground = self.image[low[1] : high[1], low[0] : high[0]]
        hull = cv2.convexHull(np.rint((points - low) * _ONE).astype(np.int32))
        shade = np.full_like(ground, 255)
        dark = round(255 - 118 * self.sharpness)
        cv2.fillConvexPoly(shade, hull, (dark, dark, dark), cv2.LINE_AA, _FIXED)
        width = max(1, int(softness)) | 1
        cv2.blur(shade, (width, width), dst=shade)
        cv2.multiply(ground, shade, dst=ground, scale=1 / 255)

    def _lit(self, colour: Colour, shade: float) -> Colour:
        factor = self.light * shade
        return min(255, int(colour[0] * factor)), min(255, int(colour[1] * factor)), min(255, int(colour[2] * factor))


@dataclass(frozen=True)
class Path:
    """Where an actor is at any moment: straight between knots. ``times (K,)`` in seconds, ``xy (K, 2)`` in metres."""

    times: Floats
    xy: Floats

    @property
    def start(self) -> float:
        """The moment it appears."""
        return float(self.times[0])

    @property
    def end(self) -> float:
        """The moment it is gone."""
        return float(self.times[-1])

    def at(self, times: Floats) -> Floats:
        """Positions ``(T, 2)``."""
        return np.stack([np.interp(times, self.times, self.xy[:, i]) for i in (0, 1)], axis=1)

    def walked(self, times: Floats) -> Floats:
        """Metres walked since the start ``(T,)``."""
        return np.interp(times, self.times, self._walked)

    def speed(self, times: Floats) -> Floats:
        """Metres per second ``(T,)``, evened out over a fifth of a second."""
        return np.asarray((self.walked(times + 0.1) - self.walked(times - 0.1)) / 0.2)

    def heading(self, times: Floats) -> Floats:
        """The angle walked towards ``(T,)``, in radians; whoever stands keeps facing the same way."""
        return np.interp(times, *self._turns)

    @cached_property
    def _walked(self) -> Floats:
        steps = np.hypot(*np.diff(self.xy, axis=0).T)
        return np.concatenate([[0.0], steps.cumsum()])

    @cached_property
    def _turns(self) -> tuple[Floats, Floats]:
        """Knots of the heading: a turn begins 0.2 s before the corner and takes 0.4 s."""
        moves = np.diff(self.xy, axis=0)
        moving = np.hypot(*moves.T) > 1e-6
        angles = np.unwrap(np.arctan2(moves[moving, 1], moves[moving, 0]))
        begin, end = self.times[:-1][moving], self.times[1:][moving]
        slack = np.minimum(0.2, (end - begin) / 3)
        return np.stack([begin + slack, end - slack], axis=1).ravel(), angles.repeat(2)


class Actor(Protocol):
    """One person or vehicle. ``number`` is unique in its scene."""

    @property
    def number(self) -> int: ...
    @property
    def label(self) -> str: ...
    @property
    def path(self) -> Path: ...

    def outline(self, view: View, times: Floats) -> Floats:
        """The exact boxes ``float64 (T, 4)`` xyxy in pixels, also where they lie outside the picture."""

    def pose(self, times: Floats) -> Floats:
        """The body's points in the world, ``float64 (T, P, 3)``; `cast` and `draw` take one row of it."""

    def cast(self, brush: Brush, view: View, pose: Floats) -> None:
        """Draws the shadow."""

    def draw(self, brush: Brush, view: View, pose: Floats, time_s: float) -> None: ...


@dataclass(frozen=True)
class Looks:
    """A person's height in metres, clothes, and what they carry."""

    height: float
    skin: Colour
    hair: Colour
    top: Colour
    legs: Colour
    shoes: Colour
    coat: bool = False
    bag: str = ""
    """``"backpack"``, ``"shopping"`` or none."""
    bag_colour: Colour = (50, 60, 110)
    build: float = 1.0


(_HEAD, _NECK, _PELVIS, _SHOULDER, _ELBOW, _HAND, _HIP, _KNEE, _ANKLE, _TOE) = (0, 1, 2, 3, 5, 7, 9, 11, 13, 15)
_BAG = 17
_JOINTS = 18
_LIMBS = np.array([0.25] * 4 + [0.165] * 2 + [0.15] * 2)
_RADII = np.array([0.075, 0.05, 0.08] + [0.045] * 2 + [0.032] * 4 + [0.06] * 2 + [0.045] * 2 + [0.03] * 4 + [0.1])


@dataclass(frozen=True)
class Person:
    """Someone on foot. The skeleton is in three dimensions, so that it looks right from any side."""

    number: int
    path: Path
    looks: Looks
    phase: float = 0.0
    label: str = field(default="person", init=False)

    def outline(self, view: View, times: Floats) -> Floats:
        """Boxes around all limbs, clothes included, ``(T, 4)``."""
        pixels, scale = view.project(self.pose(times))
        radius = (scale * _RADII * self.looks.height / 1.75 * self.looks.build)[..., None]
        if not self.looks.bag:
            radius, pixels = radius[:, :_BAG], pixels[:, :_BAG]
        return np.concatenate([(pixels - radius).min(axis=1), (pixels + radius).max(axis=1)], axis=1)

    def cast(self, brush: Brush, view: View, pose: Floats) -> None:
        """A soft streak from the feet, and the dark spot between them."""
        joints = pose[[_ANKLE, _ANKLE + 1, _KNEE, _SHOULDER, _SHOULDER + 1, _HEAD]]
        fallen = joints[:, :2] + joints[:, 2:] * SUN
        pixels, scale = view.project(np.concatenate([fallen, np.zeros((6, 1))], axis=1))
        m = float(scale[0])
        brush.shadow(pixels, 0.16 * m)
        brush.shadow(pixels[:2] + np.array([[-0.12, 0.0], [0.12, 0.04]]) * m, 0.12 * m)

    def draw(self, brush: Brush, view: View, pose: Floats, time_s: float) -> None:
        """Far limbs first, near limbs last."""
        times = np.array([time_s])
        pixels, scales = view.project(pose)
        heading = float(self.path.heading(times)[0])
        x, y = self.path.at(times)[0]
        away = np.array([np.cos(heading), np.sin(heading)]) @ (x, y) / np.hypot(x, y)
        left_near = -np.sin(heading) * x + np.cos(heading) * y < 0
        near, far = (0, 1) if left_near else (1, 0)
        m = float(scales[_PELVIS]) * self.looks.height / 1.75
        self._arm(brush, pixels, far, m, 0.78)
        self._leg(brush, pixels, far, m, 0.8)
        if self.looks.bag == "backpack" and away < 0.2:
            self._pack(brush, pixels, m)
        self._leg(brush, pixels, near, m, 1.0)
        self._body(brush, pixels, m)
        if self.looks.bag == "backpack" and away >= 0.2:
            self._pack(brush, pixels, m)
        self._head(brush, pixels, m, heading, float(away))
        self._arm(brush, pixels, near, m, 1.06)
        if self.looks.bag == "shopping":
            self._shopping(brush, pixels[_HAND + near], m)

    def _leg(self, brush: Brush, p: Floats, which: int, m: float, shade: float) -> None:
        hip, knee, ankle, toe = (p[j + which] for j in (_HIP, _KNEE, _ANKLE, _TOE))
        brush.stroke(ankle, toe, self.looks.shoes, 0.09 * m, shade)
        brush.stroke(knee, ankle, self.looks.legs, 0.11 * m, shade)
        brush.stroke(hip, knee, self.looks.legs, 0.155 * m * self.looks.build, shade)

    def _arm(self, brush: Brush, p: Floats, which: int, m: float, shade: float) -> None:
        shoulder, elbow, hand = (p[j + which] for j in (_SHOULDER, _ELBOW, _HAND))
        brush.disc(hand, 0.045 * m, self.looks.skin, shade)
        brush.stroke(elbow, elbow + (hand - elbow) * 0.85, self.looks.top, 0.075 * m, shade * 0.95)
        brush.stroke(shoulder, elbow, self.looks.top, 0.095 * m, shade * 0.95)

    def _body(self, brush: Brush, p: Floats, m: float) -> None:
        looks, build = self.looks, self.looks.build
        hips, shoulders = p[[_HIP, _HIP + 1]], p[[_SHOULDER, _SHOULDER + 1]]
        middle = (hips.mean(axis=0) + shoulders.mean(axis=0)) / 2
        if looks.coat:
            knees = p[[_KNEE, _KNEE + 1]] * 0.75 + hips.mean(axis=0) * 0.25
            hem = cv2.convexHull(np.concatenate([hips, knees]).astype(np.float32)).reshape(-1, 2)
            brush.polygon(hem.astype(np.float64), looks.top, 0.9)
            brush.stroke(knees[0], knees[1], looks.top, 0.16 * m, 0.9)
        brush.stroke(hips[0], hips[1], looks.top, 0.2 * m * build, 0.9)
        chest = np.concatenate([hips, shoulders])
        hull = cv2.convexHull(chest.astype(np.float32)).reshape(-1, 2).astype(np.float64)
        brush.polygon(hull, looks.top)
        brush.stroke(middle, hips.mean(axis=0), looks.top, 0.26 * m * build, 0.94)
        brush.stroke(middle, p[_NECK] + np.array([0.0, 0.1]) * m, looks.top, 0.28 * m * build)
        brush.stroke(shoulders[0], shoulders[1], looks.top, 0.13 * m, 1.06)

    def _head(self, brush: Brush, p: Floats, m: float, heading: float, away: float) -> None:
        head, looks = p[_HEAD], self.looks
        brush.stroke(p[_NECK], head, looks.skin, 0.09 * m, 0.86)
        brush.disc(head + np.array([0.0, 0.012]) * m, 0.108 * m, looks.skin)
        back = np.array([-np.cos(heading) * 0.035, -0.03 if away < 0.3 else -0.008]) * m
        brush.disc(head + back - np.array([0.0, 0.018]) * m, (0.1 if away < 0.3 else 0.112) * m, looks.hair)

    def _pack(self, brush: Brush, p: Floats, m: float) -> None:
        top = p[_BAG] - np.array([0.0, 0.16]) * m
        brush.stroke(top, p[_BAG] + (0, 0.12 * m), self.looks.bag_colour, 0.26 * m)
        brush.stroke(p[_BAG] + (0, 0.04 * m), p[_BAG] + (0, 0.12 * m), self.looks.bag_colour, 0.17 * m, 0.8)

    def _shopping(self, brush: Brush, hand: Floats, m: float) -> None:
        corners = np.array([[-0.09, 0.08], [0.09, 0.08], [0.12, 0.38], [-0.12, 0.38]]) * m
        brush.polygon(hand + corners, self.looks.bag_colour)
        brush.stroke(hand, hand + corners[:2].mean(axis=0), self.looks.bag_colour, 0.03 * m, 0.7)

    def pose(self, times: Floats) -> Floats:
        """The skeleton in the world, ``(T, joints, 3)``."""
        h = self.looks.height
        stride = np.clip(self.path.speed(times) / 1.1, 0, 1.15)
        phase = self.path.walked(times) * 2 * np.pi / (0.8 * h) + self.phase
        hang = self._limbs(stride * np.sin(phase), stride * np.cos(phase))
        body = np.empty((len(times), _JOINTS, 3))  # forward, left, up
        body[:] = self._standing
        body[:, _KNEE : _KNEE + 2] += hang[:, 0:2]
        body[:, _ANKLE : _ANKLE + 2] += hang[:, 0:2] + hang[:, 2:4]
        body[:, _TOE : _TOE + 2] += hang[:, 0:2] + hang[:, 2:4]
        body[:, _ELBOW : _ELBOW + 2] += hang[:, 4:6]
        body[:, _HAND : _HAND + 2] += hang[:, 4:6] + hang[:, 6:8]
        body[:, :, 2] += (0.045 * h - body[:, _ANKLE : _ANKLE + 2, 2].min(axis=1))[:, None]
        heading = self.path.heading(times)[:, None]
        cos, sin = np.cos(heading), np.sin(heading)
        forward, left = body[:, :, 0].copy(), body[:, :, 1].copy()
        xy = self.path.at(times)
        body[:, :, 0] = xy[:, :1] + forward * cos - left * sin
        body[:, :, 1] = xy[:, 1:] + forward * sin + left * cos
        return body

    def _limbs(self, swing: Floats, lift: Floats) -> Floats:
        """Thighs, shanks, upper arms and forearms as vectors, left before right: ``(T, 8, 3)``."""
        thigh, arm = 0.34 * swing, 0.42 * swing
        bent, other = 0.85 * np.maximum(lift, 0), 0.85 * np.maximum(-lift, 0)
        angles = [thigh, -thigh, thigh - bent, -thigh - other, -arm - 0.05, arm - 0.05, 0.35 - arm, 0.35 + arm]
        angle, length = np.stack(angles, axis=1), _LIMBS * self.looks.height
        limbs = np.zeros((*angle.shape, 3))
        limbs[..., 0], limbs[..., 2] = length * np.sin(angle), -length * np.cos(angle)
        return limbs

    @cached_property
    def _standing(self) -> Floats:
        """Where each limb hangs from, ``(joints, 3)``: forward, left, up."""
        body = np.zeros((_JOINTS, 3))
        body[_HEAD], body[_NECK], body[_PELVIS] = (0.025, 0, 0.925), (0.01, 0, 0.845), (0, 0, 0.53)
        body[_BAG] = (-0.13, 0, 0.70)
        for side, sign in ((0, 1), (1, -1)):
            for joint in (_HIP, _KNEE, _ANKLE, _TOE):
                body[joint + side] = (0, sign * 0.05, 0.53)
            for joint in (_SHOULDER, _ELBOW, _HAND):
                body[joint + side] = (0, sign * 0.105 * self.looks.build, 0.80)
            body[_TOE + side] += (0.09, 0, -0.015)
        return body * self.looks.height
