"""How many are inside: resets on the clock, errors that do not add up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.errors import UsageError
from camcount.events import Direction
from camcount.storage.archive import archive
from camcount.storage.counts import CountBatch, CountStore
from camcount.storage.database import Database, open_database
from camcount.storage.occupancy import OccupancyRule
from tests.counted import NOON, crossing
from tests.databases import new_url

BERLIN = ZoneInfo("Europe/Berlin")
FOUR = OccupancyRule(reset=time(4), zone=BERLIN)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An open, empty database of either kind."""
    database = open_database(new_url(request.param, tmp_path))
    yield database
    database.close()


def ways(text: str) -> list[Direction]:
    """``+`` in, ``-`` out."""
    return ["in" if sign == "+" else "out" for sign in text]


@pytest.mark.parametrize(
    ("value", "text", "inside", "corrected"),
    [
        (0, "", 0, 0),
        (0, "++-+", 2, 0),
        (0, "--++", 2, 2),
        (3, "----+", 1, 1),
        (2, "+-", 2, 0),
    ],
)
def test_nobody_leaves_an_empty_place(value: int, text: str, inside: int, corrected: int) -> None:
    """Who did came in unseen: that is told, and the next one in is the first."""
    found = OccupancyRule(reset=None, zone=UTC, value=value).inside(ways(text), None)
    assert (found.inside, found.corrected) == (inside, corrected)
    assert (found.entered, found.left) == (text.count("+"), text.count("-"))


@given(st.text("+-", max_size=60), st.integers(0, 5))
def test_whoever_is_inside_came_in_or_was_corrected(text: str, value: int) -> None:
    """The books balance, and nothing is ever below 0."""
    found = OccupancyRule(reset=None, zone=UTC, value=value).inside(ways(text), None)
    assert found.inside == value + found.entered + found.corrected - found.left
    assert found.inside >= 0


@pytest.mark.parametrize(
    ("rule", "now", "reset"),
    [
        (FOUR, datetime(2026, 6, 1, 12, tzinfo=BERLIN), datetime(2026, 6, 1, 4, tzinfo=BERLIN)),
        (FOUR, datetime(2026, 6, 1, 3, 59, tzinfo=BERLIN), datetime(2026, 5, 31, 4, tzinfo=BERLIN)),
        (FOUR, datetime(2026, 6, 1, 4, tzinfo=BERLIN), datetime(2026, 6, 1, 4, tzinfo=BERLIN)),
        (FOUR, datetime(2026, 3, 29, 2, 30, tzinfo=UTC), datetime(2026, 3, 29, 4, tzinfo=BERLIN)),
        (FOUR, datetime(2026, 10, 25, 2, 30, tzinfo=UTC), datetime(2026, 10, 24, 4, tzinfo=BERLIN)),
        (
            OccupancyRule(reset=time(2, 30), zone=BERLIN),
            datetime(2026, 3, 29, 12, tzinfo=UTC),
            datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
        ),
        (
            OccupancyRule(reset=time(2, 30), zone=BERLIN),
            datetime(2026, 10, 25, 12, tzinfo=UTC),
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        ),
    ],
)
def test_the_reset_is_on_the_cameras_clock(rule: OccupancyRule, now: datetime, reset: datetime) -> None:
    """Also on the days when it is changed; once each day."""
    assert rule.last_reset(now) == reset.astimezone(UTC)


def test_less_than_nobody_cannot_be_inside() -> None:
    """The value is refused."""
    with pytest.raises(UsageError, match="0 or more"):
        OccupancyRule(reset=time(4), zone=UTC, value=-1)


def test_occupancy_comes_from_the_events_since_the_reset(database: Database, tmp_path: Path) -> None:
    """In order of when they happened, by whatever line of whatever camera is asked; the archive changes nothing."""
    store = CountStore(database, clock=lambda: NOON)
    night = NOON.replace(hour=2)  # 03:00 in Berlin, before the reset
    events = [
        crossing(0, "in", start=night),
        crossing(30, "in"),
        crossing(10, "out"),  # stored later, happened earlier: nobody was inside
        crossing(40, "in", line="back"),
        crossing(50, "in", camera_id="side"),
        crossing(90, "out"),
    ]
    store.commit(CountBatch(camera_id="door", events=tuple(events)))
    now = NOON + timedelta(seconds=80)
    for _ in range(2):
        assert store.occupancy(FOUR, now=now, lines=["gate"], camera_ids=["door"]).inside == 1
        assert store.occupancy(FOUR, now=now, camera_ids=["door"]).inside == 2
        whole = store.occupancy(FOUR, now=now)
        assert (whole.inside, whole.corrected, whole.since) == (3, 1, NOON.replace(hour=3))
        assert store.occupancy(FOUR, now=now + timedelta(hours=1)).inside == 2
        assert store.occupancy(OccupancyRule(reset=None, zone=BERLIN), now=now).inside == 3
        assert store.occupancy(FOUR, now=now + timedelta(days=1)).inside == 0
        archive(database, tmp_path / "archive", timedelta(days=1), now=NOON + timedelta(days=3))
