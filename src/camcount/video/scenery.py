"""The still part of the demo street: the camera on its pole, and the ground and houses that it sees.

World coordinates are metres: x along the street, y away from the camera, z up. The camera stands above the
origin. Ground and houses are painted flat, as a map and as an elevation, and warped into the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from camcount.frame import Image

Colour = tuple[int, int, int]
"""Blue, green, red."""

PAVEMENT = (8.0, 13.0)
ROAD = (13.0, 21.5)
FAR_PAVEMENT = (21.5, 26.0)
ZEBRA = (14.0, 17.4)
TREES = ((-7.5, 22.2), (3.5, 22.2), (21.5, 22.2), (33.0, 22.2), (46.0, 22.2), (60.0, 22.2))
HOUSES = 11.0
_WEST, _EAST = -25.0, 120.0
_PER_METRE = 32

_WALLS: tuple[Colour, ...] = ((92, 116, 158), (176, 196, 208), (150, 158, 160), (128, 150, 142), (112, 140, 186))
_SIGNS: tuple[tuple[str, Colour], ...] = (
    ("BAKERY", (52, 74, 112)),
    ("BOOKS & PAPER", (84, 60, 36)),
    ("CAFÉ LINDEN", (58, 84, 48)),
    ("FLOWERS", (96, 62, 104)),
    ("OPTICIAN", (70, 66, 62)),
    ("GREENGROCER", (48, 92, 56)),
    ("BICYCLES", (40, 46, 126)),
    ("PHARMACY", (74, 108, 40)),
)


@dataclass(frozen=True)
class View:
    """A pinhole camera at ``(0, 0, height_m)`` that gives pictures of ``width`` x ``height`` pixels.

    ``yaw`` turns it to the right of straight across the street, ``pitch`` down, both in radians; ``focal`` is
    in widths of the picture.
    """

    width: int
    height: int
    height_m: float = 10.5
    yaw: float = 0.33
    pitch: float = 0.455
    focal: float = 0.66

    @cached_property
    def _axes(self) -> NDArray[np.float64]:
        cos_yaw, sin_yaw = np.cos(self.yaw), np.sin(self.yaw)
        cos_pitch, sin_pitch = np.cos(self.pitch), np.sin(self.pitch)
        right = [cos_yaw, -sin_yaw, 0.0]
        down = [-sin_yaw * sin_pitch, -cos_yaw * sin_pitch, -cos_pitch]
        forward = [sin_yaw * cos_pitch, cos_yaw * cos_pitch, -sin_pitch]
        return np.array([right, down, forward])

    def project(self, points: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels ``(..., 2)`` of world points ``(..., 3)``, and how many pixels one metre is there ``(...)``."""
        seen = (np.asarray(points, np.float64) - (0.0, 0.0, self.height_m)) @ self._axes.T
        scale = self.focal * self.width / np.maximum(seen[..., 2], 0.5)
        pixels = seen[..., :2] * scale[..., None] + (self.width / 2, self.height / 2)
        return pixels, scale

    def scaled(self, width: int, height: int) -> View:
        """The same camera with pictures of another size."""
        return View(width, height, self.height_m, self.yaw, self.pitch, self.focal)


def paint_street(view: View, rng: np.random.Generator) -> Image:
    """The empty street as ``view`` sees it, in full light."""
    fine = view.scaled(view.width * 2, view.height * 2)
    picture = np.full((fine.height, fine.width, 3), (226, 208, 188), np.uint8)
    ground, houses = _paint_ground(rng), _paint_houses(rng)
    depth, far = ground.shape[0] / _PER_METRE, FAR_PAVEMENT[1]
    _warp(picture, houses, fine, [(_WEST, far, HOUSES), (_EAST, far, HOUSES), (_EAST, far, 0), (_WEST, far, 0)])
    far += 0.06  # no seam at the foot of the houses
    edges = [(_WEST, far, 0.0), (_EAST, far, 0.0), (_EAST, far - depth, 0.0), (_WEST, far - depth, 0.0)]
    _warp(picture, ground, fine, edges)
    return cv2.resize(picture, (view.width, view.height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _warp(picture: Image, flat: Image, view: View, corners: list[tuple[float, float, float]]) -> None:
    # corners behind the camera cannot be projected: the homography is taken from the plane itself
    height, width = flat.shape[:2]
    origin, across, up = (np.array(corners[i], np.float64) for i in (0, 1, 3))
    plane = np.stack([(across - origin) / width, (up - origin) / height, origin - (0, 0, view.height_m)], axis=1)
    focal = view.focal * view.width
    lens = np.array([[focal, 0, view.width / 2], [0, focal, view.height / 2], [0, 0, 1]])
    matrix = lens @ view._axes @ plane
    size = (view.width, view.height)
    warped = cv2.warpPerspective(flat, matrix, size, flags=cv2.INTER_LINEAR)
    mask = cv2.warpPerspective(np.full(flat.shape[:2], 255, np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
    cv2.copyTo(warped, mask, picture)


def _paint_ground(rng: np.random.Generator) -> Image:
    """The ground seen from above: the houses' edge is row 0, the near edge the last row."""
    top, bottom = FAR_PAVEMENT[1], PAVEMENT[0] - 3.0
    ground = np.zeros((round((top - bottom) * _PER_METRE), round((_EAST - _WEST) * _PER_METRE), 3), np.uint8)

    def box(x0: float, x1: float, y0: float, y1: float, colour: Colour) -> None:
        a = (round((x0 - _WEST) * _PER_METRE), round((top - y1) * _PER_METRE))
        b = (round((x1 - _WEST) * _PER_METRE) - 1, round((top - y0) * _PER_METRE) - 1)
        cv2.rectangle(ground, a, b, colour, -1)

    _pave(ground, rng)
    box(_WEST, _EAST, *ROAD, (92, 90, 88))
    for lane in (15.0, 19.9):  # worn by tyres
        for wheel in (-0.8, 0.8):
            box(_WEST, _EAST, lane + wheel - 0.3, lane + wheel + 0.3, (86, 84, 82))
    for _ in range(26):
        x, y = rng.uniform(_WEST, _EAST - 5), rng.uniform(13.5, 20.0)
        shade = int(rng.integers(76, 100))
        box(x, x + rng.uniform(0.8, 4.5), y, y + rng.uniform(0.5, 1.3), (shade, shade - 1, shade - 3))
    for x in np.arange(_WEST, _EAST, 6.0):
        if not ZEBRA[0] - 5.5 < x < ZEBRA[1] + 2.5:
            box(x, x + 3.0, 17.36, 17.48, (206, 210, 212))
    for y in np.arange(ROAD[0] + 0.35, ROAD[1] - 0.3, 1.0):
        box(*ZEBRA, y, y + 0.52, (214, 218, 220))
    box(ZEBRA[0] - 1.5, ZEBRA[0] - 1.15, 13.4, 17.3, (206, 210, 212))
    box(ZEBRA[1] + 1.15, ZEBRA[1] + 1.5, 17.5, 21.2, (206, 210, 212))
    for y in ROAD:
        far = y == ROAD[1]
        box(_WEST, _EAST, y if far else y - 0.3, y + 0.3 if far else y, (176, 180, 182))
        box(_WEST, _EAST, y - 0.15 if far else y, y if far else y + 0.15, (62, 62, 62))
    for x in (-3.0, 10.5, 26.0):
        centre = (round((x - _WEST) * _PER_METRE), round((top - 18.4) * _PER_METRE))
        cv2.circle(ground, centre, 11, (58, 58, 60), -1, cv2.LINE_AA)
        cv2.circle(ground, centre, 11, (112, 112, 110), 2, cv2.LINE_AA)
    return _weather(ground, rng, top)


def _pave(ground: Image, rng: np.random.Generator) -> None:
    slab = round(0.75 * _PER_METRE)
    rows, columns = ground.shape[0] // slab + 1, ground.shape[1] // slab + 1
    shades = rng.normal(0, 4.5, (rows, columns)).repeat(slab, 0).repeat(slab, 1)[: ground.shape[0], : ground.shape[1]]
    ground[:] = np.clip(np.array((150, 158, 164)) + shades[..., None], 0, 255).astype(np.uint8)
    ground[::slab] = (118, 124, 128)
    ground[:, ::slab] = (118, 124, 128)


def _weather(ground: Image, rng: np.random.Generator, top: float) -> Image:
    """Grain, large stains, and the shade of trees and houses."""
    height, width = ground.shape[:2]
    stains = cv2.resize(rng.normal(0, 4.0, (height // 40, width // 40)).astype(np.float32), (width, height))
    grain = np.tile(rng.normal(0, 5.0, (height, 512)).astype(np.float32), (1, width // 512 + 1))[:, :width]
    shade = np.full((height, width), 255, np.uint8)
    for x, y in TREES:
        for _ in range(34):
            at = np.array([x + 2.1, y - 0.7]) + rng.normal(0, 1.0, 2)
            pixel = (round((at[0] - _WEST) * _PER_METRE), round((top - at[1]) * _PER_METRE))
            cv2.circle(shade, pixel, int(rng.integers(12, 26)), 150, -1)
    cv2.rectangle(shade, (0, 0), (width, round(0.5 * _PER_METRE)), 170, -1)
    soft = cv2.blur(shade, (17, 17)).astype(np.float32) / 255
    lit = (ground + (stains + grain)[..., None]) * soft[..., None]
    return np.clip(lit, 0, 255).astype(np.uint8)


def _paint_houses(rng: np.random.Generator) -> Image:
    """The row of houses as an elevation: the eaves are row 0."""
    wall = np.zeros((round(HOUSES * _PER_METRE), round((_EAST - _WEST) * _PER_METRE), 3), np.uint8)
    left, number = 0, 0
    while left < wall.shape[1]:
        right = min(wall.shape[1], left + int(rng.uniform(6.5, 10.0) * _PER_METRE))
        if right - left > 2 * _PER_METRE:
            _paint_house(wall[:, left:right], number, rng)
        left, number = right, number + 1
    return wall


def _paint_house(house: Image, number: int, rng: np.random.Generator) -> None:
    base = np.array(_WALLS[number % len(_WALLS)]) + rng.normal(0, 5, 3)
    height, width = house.shape[:2]
    house[:] = np.clip(base + rng.normal(0, 3.5, (height, width, 1)), 0, 255).astype(np.uint8)
    if number % 5 in (0, 4):  # courses of brick
        house[::6] = (house[::6] * 0.88).astype(np.uint8)
    m = _PER_METRE
    columns = max(2, round(width / (2.6 * m)))
    for floor in range(3):
        top = height - round((6.5 + 2.9 * floor) * m)
        for column in range(columns):
            _paint_window(house, round((column + 0.5) * width / columns - 0.55 * m), top, rng)
    _paint_shop(house, _SIGNS[number % len(_SIGNS)], rng)
    cv2.rectangle(house, (0, 0), (round(0.12 * m), height), (base * 0.62).tolist(), -1)
    cv2.rectangle(house, (0, 0), (width, round(0.3 * m)), (base * 0.7).tolist(), -1)


def _paint_window(house: Image, x: int, y: int, rng: np.random.Generator) -> None:
    w, h = round(1.1 * _PER_METRE), round(1.65 * _PER_METRE)
    if y + h < 4:
        return
    cv2.rectangle(house, (x - 3, y - 3), (x + w + 3, y + h + 3), (214, 220, 222), -1)
    glass = int(rng.integers(66, 112))
    cv2.rectangle(house, (x, y), (x + w, y + h), (glass + 18, glass, glass - 12), -1)
    cv2.rectangle(house, (x, y), (x + w, y + h // 3), (glass + 52, glass + 36, glass + 22), -1)
    if rng.random() < 0.45:
        drape = (188, 196, 206)
        cv2.rectangle(house, (x, y), (x + w // 4, y + h), drape, -1)
        cv2.rectangle(house, (x + w - w // 4, y), (x + w, y + h), drape, -1)
    cv2.line(house, (x + w // 2, y), (x + w // 2, y + h), (214, 220, 222), 2)
    cv2.line(house, (x, y + h // 2), (x + w, y + h // 2), (214, 220, 222), 2)
    cv2.rectangle(house, (x - 6, y + h + 3), (x + w + 6, y + h + 7), (166, 174, 178), -1)


def _paint_shop(house: Image, sign: tuple[str, Colour], rng: np.random.Generator) -> None:
    m, (height, width) = _PER_METRE, house.shape[:2]
    text, colour = sign
    edge, top, sill = round(0.4 * m), height - round(2.75 * m), height - round(0.45 * m)
    frame = tuple(int(c * 0.72) for c in colour)
    cv2.rectangle(house, (edge, top - round(0.75 * m)), (width - edge, height), frame, -1)
    window = house[top:sill, edge + 8 : width - edge - 8]
    window[:] = (np.linspace(0.5, 1.1, sill - top)[:, None, None] * np.array((112, 140, 156))).astype(np.uint8)
    _paint_goods(window, rng)
    door = round(width * rng.uniform(0.3, 0.62))
    cv2.rectangle(house, (door, top), (door + m, height), frame, -1)
    cv2.rectangle(house, (door + 6, top + 8), (door + m - 6, height - round(0.35 * m)), (92, 84, 72), -1)
    for x in range(edge + 8, width - edge, round(1.7 * m)):
        cv2.line(house, (x, top), (x, sill), frame, 4)
    band = (edge - 4, top - round(0.75 * m)), (width - edge + 4, top - round(0.12 * m))
    cv2.rectangle(house, *band, colour, -1)
    font, size = cv2.FontFace("sans"), round(0.5 * m)
    _, _, wide, _ = cv2.getTextSize((0, 0), text, (0, 0), font, size, 700)
    cv2.putText(house, text, ((width - wide) // 2, top - round(0.26 * m)), (222, 232, 236), font, size, 700)
    if rng.random() < 0.5:
        _paint_awning(house, edge, width - edge, top, colour)


def _paint_goods(window: Image, rng: np.random.Generator) -> None:
    """Shelves with things for sale, lamps above them, and the sky's reflection on the pane."""
    height, width = window.shape[:2]
    for shelf in (0.55, 0.8, 1.0):
        x = 0
        while x < width:
            w, h = int(rng.integers(5, 16)), int(rng.uniform(0.08, 0.2) * height)
            tone = (np.array((90, 118, 138)) * rng.uniform(0.45, 1.45) + rng.normal(0, 16, 3)).clip(0, 255)
            cv2.rectangle(window, (x, round(shelf * height) - h), (x + w, round(shelf * height)), tone.tolist(), -1)
            x += w + int(rng.integers(2, 14))
    for x in range(20, width, 46):
        cv2.circle(window, (x, 9), 4, (190, 232, 246), -1, cv2.LINE_AA)
    pane = np.array([(0, 0), (width * 0.32, 0), (width * 0.12, height), (0, height)], np.int32)
    shine = cv2.fillPoly(window.copy(), [pane], (206, 198, 184), cv2.LINE_AA)
    cv2.addWeighted(shine, 0.2, window, 0.8, 0, dst=window)


def _paint_awning(house: Image, left: int, right: int, top: int, colour: Colour) -> None:
    m = _PER_METRE
    light = (222, 226, 228)
    for i, x in enumerate(range(left, right - 8, round(0.42 * m))):
        stripe = light if i % 2 else colour
        cv2.rectangle(house, (x, top - 4), (min(x + round(0.42 * m), right), top + round(0.62 * m)), stripe, -1)
    below = house[top + round(0.62 * m) : top + round(1.0 * m), left:right]
    below[:] = (below * 0.6).astype(np.uint8)


def paint_tree(view: View, x: float, y: float, rng: np.random.Generator) -> tuple[tuple[int, int], Image, Image]:
    """A tree standing at (x, y): the pixel of its patch's top-left corner, the patch, and its mask.

    The mask is 255 where the tree hides what is behind it.
    """
    (foot, crown), scale = view.project([(x, y, 0.0), (x, y, 5.4)])
    m = float(scale[1])
    left, top = round(crown[0] - 2.6 * m), round(crown[1] - 2.4 * m)
    size = (round(foot[1] - top) + 4, round(5.2 * m), 3)
    patch, mask = np.full(size, (44, 58, 60), np.uint8), np.zeros(size[:2], np.uint8)
    base, fork = foot - (left, top), crown - (left, top)
    for offset, tone in ((0.0, (52, 62, 74)), (-0.05, (66, 80, 94))):
        a, b = (tuple(round(v * 16) for v in p + np.array([offset, 0.0]) * m) for p in (base, fork))
        cv2.line(patch, a, b, tone, max(1, round((0.24 + 2 * offset) * m)), cv2.LINE_AA, 4)
        cv2.line(mask, a, b, 255, max(1, round(0.24 * m)), cv2.LINE_8, 4)
    for i in range(900):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.random() ** 0.6
        at = fork + reach * np.array((1.75 * np.cos(angle), 1.4 * np.sin(angle))) * m
        lit = float(np.clip(0.82 - (at[1] - fork[1]) / (3.2 * m) + rng.normal(0, 0.13) - 0.2 * (i < 250), 0.35, 1.3))
        centre, radius = tuple(round(v * 16) for v in at), round(rng.uniform(0.07, 0.2) * m * 16)
        cv2.circle(patch, centre, radius, (44 * lit, 118 * lit, 92 * lit), -1, cv2.LINE_AA, 4)
        cv2.circle(mask, centre, radius, 255, -1, cv2.LINE_8, 4)
    return (left, top), patch, mask
