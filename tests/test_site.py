"""A site of several cameras against a simulated truth."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest

from camcount.counting.floor import Floor, Sighting
from camcount.counting.journeys import Leg, Port, journeys
from camcount.counting.occupancy import OccupancySettings, SiteOccupancy
from camcount.counting.overlap import OverlapSettings, seen_once
from camcount.counting.site import Site, site_report
from camcount.errors import GeometryError, UsageError
from camcount.events import Crossing, Direction
from camcount.geometry import Points
from tests.test_commands import Terminal

DAWN = datetime(2026, 5, 4, 6, tzinfo=UTC)


@pytest.fixture
def camcount(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Terminal:
    """The command, typed."""
    return Terminal(monkeypatch, capfd)


def crossing(
    camera: str,
    line: str = "gate",
    direction: Direction = "in",
    time_s: float = 0.0,
    *,
    who: int = 0,
    label: str = "person",
    point: tuple[float, float] = (0.0, 0.0),
    clock: bool = True,
) -> Crossing:
    """One crossing; ``who`` is the truth, which the code under test does not look at."""
    return Crossing(
        camera_id=camera,
        line=line,
        direction=direction,
        time_s=time_s,
        time=DAWN + timedelta(seconds=time_s) if clock else None,
        track_id=who,
        label=label,
        confidence=0.9,
        reason="",
        point=point,
    )


# -------------------- the floor


def seen(floor: Points, height_m: float, tilt: float, focal: float = 800.0) -> Points:
    """Floor points in the picture of a pinhole camera at the origin that looks along y and down by ``tilt``."""
    x, y = floor.T
    depth = y * np.cos(tilt) + height_m * np.sin(tilt)
    down = height_m * np.cos(tilt) - y * np.sin(tilt)
    return np.asarray(np.c_[640 + focal * x / depth, 360 + focal * down / depth])


def test_a_floor_is_found_again_from_a_camera_that_looks_at_it() -> None:
    """To a millimetre from exact points; to centimetres where they were clicked to a pixel or so."""
    corners = np.array([[-3.0, 4.0], [3.0, 4.0], [3.0, 12.0], [-3.0, 12.0], [0.0, 7.0], [1.0, 10.0]])
    rng = np.random.default_rng(1)
    inside = rng.uniform((-3, 4), (3, 12), (100, 2))
    picture = seen(corners, 4.0, 0.5)
    exact = Floor(picture[:4].tolist(), corners[:4].tolist())
    assert np.abs(exact.at(seen(inside, 4.0, 0.5)) - inside).max() < 1e-3
    clicked = Floor((picture + rng.normal(0, 1, picture.shape)).tolist(), corners.tolist())
    assert np.hypot(*(clicked.at(seen(inside, 4.0, 0.5)) - inside).T).max() < 0.25
    assert 0 < clicked.error_m < 0.25


def test_above_the_horizon_there_is_no_floor() -> None:
    """A point in the sky would else land behind the camera."""
    corners = np.array([[-3.0, 4.0], [3.0, 4.0], [3.0, 12.0], [-3.0, 12.0]])
    floor = Floor(seen(corners, 4.0, 0.1).tolist(), corners.tolist())
    assert floor.place((640.0, -1000.0)) is None
    assert floor.place((640.0, 700.0)) is not None


@pytest.mark.parametrize(
    ("picture", "floor"),
    [
        ([(0, 0), (1, 0), (1, 1)], [(0, 0), (1, 0), (1, 1)]),
        ([(0, 0), (1, 0), (2, 0), (3, 0)], [(0, 0), (1, 0), (2, 0), (3, 0)]),
        ([(0, 0), (9, 0), (9, 9), (0, 9)], [(0, 0), (5, 0), (9, 0), (4, 9)]),
        ([(0, 0), (9, 0), (9, 9), (0, 9)], [(0, 0), (9, 9), (9, 0), (0, 9)]),
        ([(0, 0), (9, 0), (9, 9), (0, float("nan"))], [(0, 0), (9, 0), (9, 9), (0, 9)]),
    ],
    ids=["three", "on a line", "three on a line", "crossed over", "no number"],
)
def test_points_that_fix_no_floor_are_refused(
    picture: list[tuple[float, float]], floor: list[tuple[float, float]]
) -> None:
    """Rather than that everything lands somewhere."""
    with pytest.raises(GeometryError):
        Floor(picture, floor)


# -------------------- overlapping


def overlapping(rate: float, miss: float, seed: int) -> tuple[list[Sighting], int]:
    """Two cameras at a door four metres wide, each missing some; how many are seen by one at least."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(1 / rate, 400))
    places = np.c_[rng.uniform(0, 4, 400), np.zeros(400)]
    found, anybody = [], set()
    for camera in ("a", "b"):
        for who in np.flatnonzero(rng.random(400) > miss).tolist():
            place = places[who] + rng.normal(0, 0.25, 2)
            time_s = times[who] + rng.normal(0, 0.15)
            found.append(Sighting(crossing(camera, who=who), time_s, (float(place[0]), float(place[1]))))
            anybody.add(who)
    return found, len(anybody)


@pytest.mark.parametrize(
    ("rate", "miss", "count_error", "right"), [(0.1, 0.1, 0.01, 0.98), (0.5, 0.1, 0.02, 0.93), (1.5, 0.2, 0.07, 0.78)]
)
def test_who_is_seen_by_two_cameras_counts_once(rate: float, miss: float, count_error: float, right: float) -> None:
    """People a second, misses of each camera, error of the count and share of pairs that are of one person."""
    for seed in range(3):
        sightings, true = overlapping(rate, miss, seed)
        groups = seen_once(sightings)
        pairs = [group for group in groups if len(group) == 2]
        same = sum(len({one.crossing.track_id for one in pair}) == 1 for pair in pairs)
        assert abs(len(groups) - true) / true <= count_error
        assert same / len(pairs) >= right
        assert len(sightings) > 1.5 * true  # what adding the cameras up would give


def test_what_differs_is_not_one() -> None:
    """Another place, another time, another label; two of one camera never."""
    base = Sighting(crossing("a"), 10.0, (0.0, 0.0))
    others = [
        Sighting(crossing("b"), 10.1, (3.0, 0.0)),
        Sighting(crossing("b"), 12.0, (0.0, 0.0)),
        Sighting(crossing("b", label="car"), 10.0, (0.0, 0.0)),
        Sighting(crossing("a"), 10.0, (0.0, 0.0)),
    ]
    for other in others:
        assert len(seen_once([base, other])) == 2
    assert len(seen_once([base, others[2]], OverlapSettings(any_label=True))) == 1
    assert len(seen_once([base, Sighting(crossing("b"), 10.4), Sighting(crossing("c"), 10.2, (0.5, 0.5))])) == 1


# -------------------- occupancy


def test_an_occupancy_is_never_below_nothing() -> None:
    """Who leaves an empty house had come in unseen, and is told of."""
    counter = SiteOccupancy(OccupancySettings(closing=time(22)))
    for k, act in enumerate((counter.leave, counter.enter, counter.leave, counter.leave, counter.enter)):
        act(DAWN + timedelta(minutes=k))
        assert counter.inside >= 0
    assert counter.inside == 1
    (day,) = counter.until(DAWN + timedelta(days=1))
    assert (day.entries, day.exits, day.unseen, day.left_over, day.peak) == (2, 3, 2, 1, 1)
    assert counter.inside == 0


@pytest.mark.parametrize("clocks_change", ["2026-03-29", "2026-10-25"])
def test_closing_time_is_on_the_clock_of_the_site(clocks_change: str) -> None:
    """Also on the two days that have another length."""
    berlin = ZoneInfo("Europe/Berlin")
    counter = SiteOccupancy(OccupancySettings(closing=time(2, 30), zone=berlin))
    start = datetime.fromisoformat(f"{clocks_change}T12:00").replace(tzinfo=berlin) - timedelta(days=2)
    counter.enter(start)
    days = counter.until(start + timedelta(days=5))
    assert len(days) == 5
    assert [day.end.astimezone(berlin).hour for day in days].count(2) >= 4


def test_time_does_not_run_backwards() -> None:
    """Events of several cameras have to be brought into order first."""
    counter = SiteOccupancy()
    counter.enter(DAWN)
    with pytest.raises(ValueError, match="before"):
        counter.leave(DAWN - timedelta(seconds=1))
    counter.reset(12)
    assert counter.inside == 12


def afternoon_error(balance: bool, seed: int) -> float:
    """Mean error of the occupancy in hours after noon, days 6 to 10, where a tenth of the exits is missed."""
    rng = np.random.default_rng(seed)
    counter = SiteOccupancy(OccupancySettings(closing=time(22), balance=balance))
    errors = []
    for day in range(10):
        entries = rng.uniform(0, 12 * 3600, 600)
        exits = entries + rng.uniform(600, 3 * 3600, 600)
        moments = sorted([(t, 1) for t in entries] + [(t, -1) for t in exits])
        true = 0
        for t, step in moments:
            true += step
            moment = DAWN + timedelta(days=day, seconds=float(t))
            if step == 1:
                counter.enter(moment)
            elif rng.random() > 0.1:
                counter.leave(moment)
            if day >= 5 and t > 6 * 3600:
                errors.append(abs(counter.inside - true))
    return float(np.mean(errors))


def test_doors_that_miss_one_way_are_balanced_by_days_that_are_over() -> None:
    """The error of the afternoons falls to a third at most; a reset alone would let it grow from morning to night."""
    for seed in range(3):
        assert afternoon_error(True, seed) < afternoon_error(False, seed) / 3


# -------------------- journeys

OUT, INTO, AWAY = Port("a", "east", "out"), Port("b", "west", "in"), Port("c", "south", "in")


def walked(rate: float, seed: int) -> tuple[list[Sighting], int]:
    """People who leave a for b (half), for c (a fourth) or for nowhere, and others who come to b and c."""
    rng = np.random.default_rng(seed)
    found: list[Sighting] = []
    true = 0

    def see(port: Port, who: int, time_s: float, place: tuple[float, float]) -> None:
        found.append(Sighting(crossing(port.camera_id, port.line, port.direction, who=who), time_s, place))

    for who, start in enumerate(np.cumsum(rng.exponential(1 / rate, 400)).tolist()):
        see(OUT, who, start, (0.0, rng.uniform(0, 3)))
        to = rng.random()
        pace = 1.3 * np.exp(rng.normal(0, 0.2))
        if to < 0.75:
            port, metres = (INTO, 20.0) if to < 0.5 else (AWAY, 35.0)
            see(port, who, start + metres / pace, (metres, rng.uniform(0, 3)))
            true += 1
    for who in range(80):
        see(INTO, 10_000 + who, rng.uniform(0, 400 / rate), (20.0, rng.uniform(0, 3)))
    return found, true


@pytest.mark.parametrize(("rate", "precision", "recall"), [(0.005, 0.94, 0.95), (0.02, 0.8, 0.84), (0.08, 0.5, 0.55)])
def test_journeys_are_found_by_time_and_floor(rate: float, precision: float, recall: float) -> None:
    """People a second, share of journeys that are right and share found; and the confidence says which it is."""
    legs = [Leg(origin=OUT, destination=INTO), Leg(origin=OUT, destination=AWAY, share=0.25)]
    for seed in range(3):
        sightings, true = walked(rate, seed)
        found = journeys(sightings, legs)
        right = sum(j.start.crossing.track_id == j.end.crossing.track_id for j in found)
        expected = sum(j.confidence for j in found)
        assert right / len(found) >= precision
        assert right / true >= recall
        assert abs(expected - right) / len(found) < 0.1
        assert len({id(j.start) for j in found}) == len({id(j.end) for j in found}) == len(found)


def test_a_way_without_floor_needs_a_length() -> None:
    """And then only time decides."""
    start = Sighting(crossing("a", "east", "out"), 0.0)
    end = Sighting(crossing("b", "west", "in"), 15.0)
    (found,) = journeys([end, start], [Leg(origin=OUT, destination=INTO, distance_m=20.0)])
    assert (found.travel_s, found.start, found.end) == (15.0, start, end)
    assert journeys([end, start], [Leg(origin=INTO, destination=OUT, distance_m=20.0)]) == []
    with pytest.raises(ValueError, match="neither a length nor a floor"):
        journeys([end, start], [Leg(origin=OUT, destination=INTO)])


# -------------------- all of it together

SITE = """
zone: Europe/Berlin
closing: "22:00"
cameras:
  inside:
    clock: 2.0
    floor:
      - {picture: [0, 0], floor: [0, 0]}
      - {picture: [100, 0], floor: [10, 0]}
      - {picture: [100, 100], floor: [10, 10]}
      - {picture: [0, 100], floor: [0, 10]}
doors:
  main: [inside/gate:in, outside/step:out]
  side: [annex/side:in]
journeys:
  - {from: "inside/gate:in", to: "annex/side:out", metres: 30}
"""


@pytest.fixture
def day(tmp_path: Path) -> list[Path]:
    """Ten come in by the main door, which two cameras see; six of them go out by the side door."""
    (tmp_path / "site.yaml").write_text(SITE)
    cameras: dict[str, list[Crossing]] = {"inside": [], "outside": [], "annex": []}
    for who in range(10):
        at = 60.0 * who
        cameras["inside"].append(crossing("inside", "gate", "in", at - 2.0, who=who, point=(50, 50)))
        if who != 3:
            cameras["outside"].append(crossing("outside", "step", "out", at + 0.2, who=who))
        if who < 6:
            cameras["annex"].append(crossing("annex", "side", "out", at + 24.0, who=who))
    for camera, crossings in cameras.items():
        rows = b"".join(orjson.dumps(c.as_dict(), option=orjson.OPT_APPEND_NEWLINE) for c in crossings)
        (tmp_path / f"{camera}.jsonl").write_bytes(rows)
    return [tmp_path / f"{camera}.jsonl" for camera in cameras]


def test_a_site_is_counted_from_the_events_of_its_cameras(camcount: Terminal, day: list[Path]) -> None:
    """Nobody twice, who is inside, who went from door to door; clocks are set right."""
    said = camcount("site", *day, "--config", day[0].parent / "site.yaml", "--every", "5m", "--json")
    assert said.status == 0, said.err
    assert said.json["doors"]["main"] == {"entries": 10, "exits": 0, "sightings": 19, "seen_twice": 9}
    assert said.json["doors"]["side"]["exits"] == 6
    assert [row["inside"] for row in said.json["occupancy"]] == [0, 4]
    assert said.json["occupancy"][0]["start"] == "2026-05-04T08:00:00+02:00"
    (way,) = said.json["journeys"]
    assert (way["count"], way["median_travel_s"]) == (6, 24.0)
    assert way["confidence"] > 0.9
    assert "Occupancy" in camcount("site", *day, "--config", day[0].parent / "site.yaml").out


def test_names_that_no_event_has_are_told_of(camcount: Terminal, day: list[Path]) -> None:
    """A slip in site.yaml would else only count nothing."""
    said = camcount("site", day[0], "--config", day[0].parent / "site.yaml", "--json")
    assert "no event is of annex/side: there are events of inside/gate" in said.err


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("inside/gate:in,", "inside/gate,"), "CAMERA/LINE:in"),
        (("Europe/Berlin", "Europe/Bärlin"), "time zone"),
        ((", metres: 30", ""), "has no length"),
        (("floor: [0, 10]", "floor: [5, 0]"), "camera 'inside'"),
        (("doors:", "dors:"), "dors"),
    ],
)
def test_a_wrong_site_is_refused_on_one_line(
    camcount: Terminal, day: list[Path], change: tuple[str, str], complaint: str
) -> None:
    """With the place and what would be right."""
    config = day[0].parent / "site.yaml"
    config.write_text(SITE.replace(*change))
    said = camcount("site", *day, "--config", config)
    assert said.status == 2
    assert complaint in said.err
    assert said.err.count("\n") == 1


def test_clocks_must_be_known_for_all_or_none() -> None:
    """And for a closing time they must be."""
    crossings = [crossing("a", time_s=30.0, clock=False), crossing("b", time_s=90.0, clock=False)]
    doors = {"main": [Port("a", "gate", "in"), Port("b", "gate", "in")]}
    assert [row["start"] for row in site_report(Site(doors=doors), crossings, 60)["occupancy"]] == [0, 60]
    with pytest.raises(UsageError, match="--start-time"):
        site_report(Site(doors=doors), [*crossings, crossing("a")], 60)
    with pytest.raises(UsageError, match="closing time"):
        site_report(Site(doors=doors, occupancy=OccupancySettings(closing=time(22))), crossings, 60)
