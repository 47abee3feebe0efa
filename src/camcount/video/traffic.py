"""Who comes along the demo street, and when: seeded, with car following, a pedestrian light and changes of mind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from camcount.video.actors import Actor, Looks, Path, Person
from camcount.video.scenery import FAR_PAVEMENT, PAVEMENT, ZEBRA, Colour
from camcount.video.vehicles import BUS, HATCHBACK, LORRY, SALOON, VAN, Cyclist, Model, Vehicle

_WARM_UP_S = 45.0
_STEP_S = 0.1
_LIGHT_PERIOD_S, _GREEN_MAN_S = 27.0, 9.0

_PAINTS: tuple[Colour, ...] = (
    (226, 228, 228), (196, 194, 190), (52, 50, 50), (120, 116, 112), (128, 74, 36), (46, 42, 168),
    (150, 120, 40), (64, 92, 58), (90, 160, 214), (84, 60, 44), (206, 210, 222), (60, 110, 190),
)  # fmt: skip
_BUSES: tuple[Colour, ...] = ((44, 44, 196), (70, 150, 60), (60, 160, 226))
_TOPS: tuple[Colour, ...] = (
    (60, 52, 46), (44, 44, 168), (150, 92, 40), (66, 120, 60), (200, 204, 210), (110, 170, 214), (120, 76, 130),
    (48, 60, 92), (170, 150, 96), (70, 70, 74), (60, 130, 200), (150, 130, 190),
)  # fmt: skip
_LEGS: tuple[Colour, ...] = ((92, 66, 48), (44, 40, 40), (70, 62, 58), (120, 140, 158), (110, 84, 60), (52, 58, 74))
_SKINS: tuple[Colour, ...] = ((172, 196, 228), (140, 170, 212), (104, 136, 184), (72, 98, 140), (48, 66, 98))
_HAIRS: tuple[Colour, ...] = (
    (30, 32, 36),
    (40, 58, 86),
    (70, 104, 140),
    (120, 150, 178),
    (150, 152, 156),
    (34, 44, 60),
)


@dataclass(frozen=True)
class Lane:
    """One stream of vehicles: where it runs (metres), which way, how often somebody comes and how fast."""

    y: float
    towards: int
    every_s: float
    speeds: tuple[float, float]
    cycles: bool = False

    @property
    def stop(self) -> float:
        """Where its stop line is."""
        return ZEBRA[0] - 1.7 if self.towards > 0 else ZEBRA[1] + 1.7

    @property
    def start(self) -> float:
        """Where vehicles appear, out of the picture."""
        return -24.0 if self.towards > 0 else 62.0


LANES = (
    Lane(15.0, +1, 5.6, (7.0, 12.0)),
    Lane(19.9, -1, 5.6, (7.0, 12.0)),
    Lane(13.6, +1, 27.0, (4.2, 6.5), cycles=True),
    Lane(21.15, -1, 31.0, (4.2, 6.5), cycles=True),
)


def actors_of(seed: int, seconds: float) -> list[Actor]:
    """Everybody who is on the street in the first ``seconds``, numbered from 1."""
    streams = np.random.SeedSequence(seed).spawn(len(LANES) + 3)
    light_at = float(np.random.default_rng(streams[-1]).uniform(6.0, 18.0))
    found: list[Actor] = []
    for lane, stream in zip(LANES, streams, strict=False):
        found += _drive(lane, np.random.default_rng(stream), seconds, light_at)
    for pavement, stream in zip((PAVEMENT, FAR_PAVEMENT), streams[len(LANES) :], strict=False):
        found += _walkers(pavement, np.random.default_rng(stream), seconds, light_at)
    present = [actor for actor in found if actor.path.end > 0 and actor.path.start < seconds]
    return [replace(actor, number=i) for i, actor in enumerate(present, 1)]  # type: ignore[type-var]


def _red(lane: Lane, time_s: float, light_at: float) -> bool:
    into = (time_s - light_at) % _LIGHT_PERIOD_S
    return into < _GREEN_MAN_S and time_s > light_at - _LIGHT_PERIOD_S


@dataclass
class _Driver:
    body: Vehicle | Cyclist
    length: float
    wish: float
    travelled: float
    speed: float
    times: list[float]
    trace: list[float]


def _drive(lane: Lane, rng: np.random.Generator, seconds: float, light_at: float) -> Iterator[Actor]:
    """The lane's vehicles, each following the one ahead and stopping at red."""
    driving: list[_Driver] = []
    next_s = -_WARM_UP_S + rng.uniform(0, lane.every_s)
    for step in range(round((seconds + _WARM_UP_S) / _STEP_S) + 2):
        now = -_WARM_UP_S + step * _STEP_S
        if now >= next_s and (not driving or driving[-1].travelled > driving[-1].length + 9.0):
            driving.append(_new_driver(lane, rng, now))
            next_s = now + 1.2 + rng.exponential(lane.every_s - 1.2)
        ahead: _Driver | None = None
        for driver in driving:
            _accelerate(driver, ahead, lane, _red(lane, now, light_at))
            driver.times.append(now + _STEP_S)
            driver.trace.append(driver.travelled)
            ahead = driver
        while driving and driving[0].travelled > 90.0:
            yield _finished(driving.pop(0), lane)
    yield from (_finished(driver, lane) for driver in driving)


def _accelerate(driver: _Driver, ahead: _Driver | None, lane: Lane, red: bool) -> None:
    """The intelligent driver model (Treiber, Hennecke, Helbing 2000)."""
    gap, closing = 1e3, 0.0
    if ahead is not None:
        gap = ahead.travelled - driver.travelled - (ahead.length + driver.length) / 2
        closing = driver.speed - ahead.speed
    to_stop = abs(lane.stop - lane.start) - driver.travelled - driver.length / 2
    if red and to_stop > driver.speed**2 / 7.0 and to_stop < gap:
        gap, closing = to_stop + 1.0, driver.speed
    wanted = 2.0 + max(0.0, 1.2 * driver.speed + driver.speed * closing / (2 * np.sqrt(1.7 * 2.4)))
    pull = 1.7 * (1 - (driver.speed / driver.wish) ** 4 - (wanted / max(gap, 0.3)) ** 2)
    driver.speed = max(0.0, driver.speed + max(pull, -6.0) * _STEP_S)
    driver.travelled += driver.speed * _STEP_S


def _new_driver(lane: Lane, rng: np.random.Generator, now: float) -> _Driver:
    nowhere = Path(np.zeros(2), np.zeros((2, 2)))
    wish = float(rng.uniform(*lane.speeds))
    if lane.cycles:
        top, helmet, frame = (_TOPS[i] for i in rng.choice(len(_TOPS), 3, replace=False))
        rider = Cyclist(0, nowhere, top, helmet, frame, lane.towards)
        return _Driver(rider, 1.8, wish, 0.0, wish, [now], [0.0])
    kinds: tuple[Model, ...] = (SALOON, HATCHBACK, VAN, BUS, LORRY)
    model = kinds[int(rng.choice(5, p=[0.40, 0.36, 0.13, 0.06, 0.05]))]
    colours = _BUSES if model is BUS else _PAINTS
    paint = colours[int(rng.integers(len(colours)))]
    size = float(rng.uniform(0.95, 1.06))
    wish *= 0.85 if model in (BUS, LORRY) else 1.0
    car = Vehicle(0, nowhere, model, paint, lane.towards, size)
    return _Driver(car, model.length * size, wish, 0.0, wish, [now], [0.0])


def _finished(driver: _Driver, lane: Lane) -> Actor:
    x = lane.start + lane.towards * np.array(driver.trace)
    path = Path(np.array(driver.times), np.stack([x, np.full_like(x, lane.y)], axis=1))
    return replace(driver.body, path=path)


class _Route:
    """Collects the knots of somebody's path."""

    def __init__(self, start_s: float, x: float, y: float) -> None:
        self.times, self.knots = [start_s], [(x, y)]

    def walk(self, x: float, y: float, speed: float) -> _Route:
        """Straight to (x, y)."""
        distance = float(np.hypot(x - self.knots[-1][0], y - self.knots[-1][1]))
        return self.stand(max(distance, 0.01) / speed, (x, y))

    def stand(self, seconds: float, at: tuple[float, float] | None = None) -> _Route:
        """Stays for a while."""
        self.times.append(self.times[-1] + seconds)
        self.knots.append(at or self.knots[-1])
        return self

    def path(self) -> Path:
        """The path so far."""
        return Path(np.array(self.times), np.array(self.knots))


def _walkers(
    pavement: tuple[float, float], rng: np.random.Generator, seconds: float, light_at: float
) -> Iterator[Person]:
    near = pavement is PAVEMENT
    west, east = (-9.0, 27.0) if near else (-14.0, 44.0)
    now = -_WARM_UP_S
    while now < seconds:
        now += 0.8 + rng.exponential(3.8 if near else 4.4)
        towards = 1 if rng.random() < 0.5 else -1
        start, goal = (west, east) if towards > 0 else (east, west)
        y = float(rng.uniform(pavement[0] + 1.1, pavement[1] - 1.8)) if near else float(rng.uniform(22.9, 25.3))
        speed = float(rng.uniform(0.95, 1.65))
        mood = rng.random()
        route = _Route(now, start, y)
        if mood < 0.07:
            yield from _pair(route, goal, y, speed, rng)
            continue
        if mood < 0.22:
            stop = rng.uniform(-2.0, 12.0)
            route.walk(stop, y, speed).stand(rng.uniform(2.5, 7.0)).walk(goal, y, speed)
        elif mood < 0.32:
            stop = rng.uniform(-1.0, 13.0)
            route.walk(stop, y, speed).stand(rng.uniform(0.3, 2.5)).walk(start, y + 0.2, speed * 1.1)
        elif mood < 0.44:
            _cross_road(route, near, goal, speed, rng, light_at)
        else:
            route.walk(goal, y + float(rng.uniform(-0.3, 0.3)), speed)
        yield _somebody(route.path(), rng)


def _pair(route: _Route, goal: float, y: float, speed: float, rng: np.random.Generator) -> Iterator[Person]:
    path = route.walk(goal, y, speed).path()
    offset = np.array([rng.uniform(-0.15, 0.15), 0.36])
    yield _somebody(replace(path, xy=path.xy + offset), rng)
    yield _somebody(replace(path, xy=path.xy - offset), rng)


def _cross_road(
    route: _Route, near: bool, goal: float, speed: float, rng: np.random.Generator, light_at: float
) -> None:
    here, there = (PAVEMENT[1] - 0.6, FAR_PAVEMENT[0] + 0.7) if near else (FAR_PAVEMENT[0] + 0.7, PAVEMENT[1] - 0.6)
    x, y = float(rng.uniform(ZEBRA[0] + 0.4, ZEBRA[1] - 0.4)), route.knots[0][1]
    route.walk(x, y, speed).walk(x, here, speed)
    into = (route.times[-1] - light_at) % _LIGHT_PERIOD_S
    if not 0.6 < into < 2.5:
        route.stand((0.6 - into) % _LIGHT_PERIOD_S + rng.uniform(0.3, 1.2))
    route.walk(x, there, max(speed, 1.5))
    beyond = float(rng.uniform(23.0, 25.0) if near else rng.uniform(PAVEMENT[0] + 2.0, PAVEMENT[1] - 0.9))
    route.walk(x + np.sign(goal - x) * 1.5, beyond, speed).walk(goal, beyond, speed)


def _somebody(path: Path, rng: np.random.Generator) -> Person:
    def pick(colours: tuple[Colour, ...]) -> Colour:
        return colours[int(rng.integers(len(colours)))]

    looks = Looks(
        height=float(np.clip(rng.normal(1.72, 0.10), 1.25, 1.95)),
        skin=pick(_SKINS),
        hair=pick(_HAIRS),
        top=pick(_TOPS),
        legs=pick(_LEGS),
        shoes=pick(((36, 36, 40), (200, 204, 206), (50, 70, 100))),
        coat=bool(rng.random() < 0.28),
        bag=str(rng.choice(["backpack", "shopping", ""], p=[0.25, 0.2, 0.55])),
        bag_colour=pick(_TOPS),
        build=float(rng.uniform(0.9, 1.15)),
    )
    return Person(0, path, looks, float(rng.uniform(0, 2 * np.pi)))
