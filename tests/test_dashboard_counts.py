"""The page of counts: its numbers are those of the store, in charts, tables and files."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from camcount.dashboard.counts_asked import Asked
from camcount.dashboard.counts_charts import over_time, ways_between
from camcount.dashboard.counts_files import content
from camcount.dashboard.counts_found import Found, exported, limits, load
from camcount.dashboard.texts import texts
from camcount.events import Crossing, Event, FlowCompleted, ZoneEntered
from camcount.storage.archive import archive
from camcount.storage.counts import CountBatch, CountStore
from camcount.storage.database import Database, open_database
from tests.browsers import CAMERA, NARROW, WIDE, demo_server, opened
from tests.counted import NOON, counted, crossing
from tests.counts_of_a_year import DAYS, GAP_DAYS, LINES, SHARES, year, year_at
from tests.serving import Served

SAID = texts("en")
NAMES = {"in": "In", "out": "Out", "all": "All", "yesterday": "The day before", "week": "The week before"}
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
_CHART = """() => getElement(Number(document.querySelector('.counts-chart').id.slice(1))).chart?.getOption()"""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CountStore]:
    """A store with a year of two lines."""
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('year') / 'counts.db'}")
    year(database, NOW)
    yield CountStore(database)
    database.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty one."""
    database = open_database(f"sqlite:///{tmp_path / 'counts.db'}")
    yield database
    database.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a year of counts, up to the last whole hour, and a camera that counts on."""
    home = tmp_path_factory.mktemp("dashboard")
    year_at(home)
    with demo_server(home, [CAMERA]) as served:
        yield served


def found(store: CountStore, **asked: str) -> Found:
    """What the store has for a view."""
    return load(store, Asked(**asked), NOW, UTC, NAMES)


# ---------------------------------------------------------------------------------------------------------- numbers


def test_a_view_stands_in_the_address_and_nothing_wrong_does() -> None:
    """What is as usual is left out; what cannot be is passed over."""
    asked = Asked(period="7d", split="label", line="door/gate")
    assert Asked.of(asked.query()) == asked
    assert Asked.of({"period": "forever", "split": "colour", "nothing": "x"}) == Asked()
    assert Asked().query() == {}


def test_the_spans_suit_the_period_and_are_never_too_many() -> None:
    """Days of a year, hours of a day, a quarter in the morning; minutes of a year cannot be seen."""
    for period, step, expected in [
        ("365d", "auto", "1d"),
        ("yesterday", "auto", "1h"),
        ("365d", "1m", "1d"),
        ("7d", "1h", "1h"),
    ]:
        asked = Asked(period=period, step=step)
        assert asked.steps(*asked.span(NOW, UTC)) == expected
    morning = datetime(2026, 11, 20, 6, tzinfo=UTC)
    assert Asked().steps(*Asked().span(morning, UTC)) == "15m"


def test_days_of_ones_own_are_both_in_the_period() -> None:
    """From midnight to midnight, and not beyond now."""
    begin, end = Asked(period="custom", since="2026-11-18", until="2026-11-19").span(NOW, UTC)
    assert (begin, end) == (datetime(2026, 11, 18, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC))
    assert Asked(period="custom", since="2026-11-18", until="2026-12-24").span(NOW, UTC)[1] == NOW


def test_every_split_adds_up_to_the_same(full: CountStore) -> None:
    """By line, by label and by direction: the parts are the whole, in every span."""
    for split in ("line", "label", "way"):
        view = found(full, period="yesterday", split=split)
        assert len(view.starts) == 24
        for k, whole in enumerate(view.whole.values):
            assert sum(one.values[k] or 0 for one in view.series) == whole
    assert sum(view.ways.values()) == view.whole.total


def test_one_line_label_and_direction_is_what_the_store_says(full: CountStore) -> None:
    """Span by span."""
    view = found(full, period="yesterday", line=f"{CAMERA}/north-gate", label="bicycle", way="in")
    day = NOW.replace(hour=0)
    rows = full.intervals(
        camera_id=CAMERA, line="north-gate", since=day - timedelta(days=1), until=day, step="1h", zone=UTC
    )
    assert view.series[0].values == tuple(row.by_label["bicycle"]["in"] for row in rows)


def test_a_gap_is_a_gap_in_chart_and_file(full: CountStore) -> None:
    """Days that nobody saw are None in every series, hatched in the chart and empty in the file."""
    view = found(full, period="365d")
    assert len(view.gaps) == len(GAP_DAYS) - 1  # whole ones on the clock
    options = over_time(view, ["x"] * len(view.starts), limits(view), {"gap": "Gap", "limits": "Limits"}, ())
    hatched = next(one for one in options["series"] if one["name"] == "Gap")
    assert [at for at, _ in hatched["data"]] == list(view.gaps)
    bars = [one for one in options["series"] if one["type"] == "bar"]
    assert len(bars) == len(LINES)
    assert all(one["data"][k] is None for one in bars for k in view.gaps)
    starts = {view.starts[k].isoformat() for k in view.gaps}
    rows = [row for row in exported(view) if row["start"] in starts]
    assert rows
    assert all(row["count"] is None and row["in"] is None and row["coverage"] == 0 for row in rows)


def test_a_comparison_is_the_same_time_earlier(full: CountStore) -> None:
    """The week before today is what the store has of the same hours seven days ago."""
    view = found(full, compare="week")
    begin = NOW.replace(hour=0) - timedelta(days=7)
    rows = full.intervals(camera_id=CAMERA, since=begin, until=NOW - timedelta(days=7), step="1h", zone=UTC)
    assert view.before is not None
    assert view.before.total == sum(row.count or 0 for row in rows)
    assert len(view.before.values) == len(view.whole.values)


def test_bounds_are_around_the_counts_and_none_of_a_label(full: CountStore) -> None:
    """Low, count, high, in this order; how sure the count of one label is, nobody knows."""
    view = found(full, period="yesterday")
    known = limits(view)
    assert known is not None
    for low, value, high in zip(known.low, view.whole.values, known.high, strict=True):
        assert low is not None
        assert value is not None
        assert high is not None
        assert low <= value <= high
    assert limits(found(full, period="yesterday", label="dog")) is None


def test_files_hold_what_is_seen(full: CountStore, tmp_path: Path) -> None:
    """CSV, JSON and Parquet have the same rows, a row for each label where the view is split by them."""
    view = found(full, period="yesterday", split="label")
    rows = list(csv.DictReader(content(view, "csv").decode().splitlines()))
    assert len(rows) == 24 * len(LINES) * len(SHARES)
    assert sum(int(row["count"]) for row in rows) == view.whole.total
    told = json.loads(content(view, "json"))["intervals"]
    assert [str(row["count"]) for row in told] == [row["count"] for row in rows]
    (tmp_path / "counts.parquet").write_bytes(content(view, "parquet"))
    assert pq.read_table(tmp_path / "counts.parquet").to_pylist() == told


def test_one_direction_leaves_the_other_empty_in_the_file(full: CountStore) -> None:
    """Nothing is in the file that was not on the page."""
    rows = exported(found(full, period="yesterday", way="out"))
    assert all(row["in"] is None and row["count"] == row["out"] for row in rows)


def test_a_year_is_read_in_little_processor_time(full: CountStore) -> None:
    """The sums, which are shown first, take under a second of processor time; all days of two lines a few."""

    def took(call: Any) -> float:
        began = time.thread_time()
        call()
        return time.thread_time() - began

    since, until = NOW - timedelta(days=DAYS), NOW
    sums = min(took(lambda: full.totals(since=since, until=until)) for _ in range(3))
    whole = min(took(lambda: found(full, period="365d")) for _ in range(2))
    assert sums < 1.0
    assert whole < 6.0


# ------------------------------------------------------------------------------------------------------------ flows


def test_flows_go_from_line_to_line_and_from_zone_to_zone(database: Database, tmp_path: Path) -> None:
    """Counted by origin and destination, also of events that are in the archive."""
    store = CountStore(database, clock=lambda: NOON)

    def rest(number: int, seconds: float) -> dict[str, Any]:
        one = crossing(seconds)
        shared = {name: getattr(one, name) for name in ("camera_id", "label", "confidence", "reason", "point")}
        return shared | {"time_s": seconds, "time": NOON + timedelta(seconds=seconds), "track_id": number}

    events: list[Event] = [
        FlowCompleted(**rest(k, float(k)), origin="north", destination="south", travel_s=2.0) for k in range(3)
    ]
    events += [ZoneEntered(**rest(9, 10.0), zone="shop"), ZoneEntered(**rest(9, 20.0), zone="till")]
    events += [ZoneEntered(**rest(9, 30.0), zone="till"), ZoneEntered(**rest(8, 40.0), zone="till")]
    events += [Crossing(**rest(7, 50.0), line="north", direction="in")]
    store.commit(CountBatch(camera_id="door", events=tuple(events)))
    told = [(one.kind, one.origin, one.destination, one.count) for one in store.flows()]
    assert told == [("line", "north", "south", 3), ("zone", "shop", "till", 1)]
    assert store.flows(since=NOON + timedelta(seconds=15)) == []
    archive(database, tmp_path / "archive", timedelta(days=1), now=NOON + timedelta(days=9))
    assert [(one.kind, one.origin, one.destination, one.count) for one in store.flows()] == told


def test_a_flow_back_is_no_circle(database: Database) -> None:
    """Each place stands on both sides of the chart, for ECharts draws no circles."""
    store = CountStore(database)
    one = crossing(0.0)
    shared = {name: getattr(one, name) for name in ("camera_id", "label", "confidence", "reason", "point", "time")}
    there = [("a", "b"), ("b", "a")]
    store.commit(
        CountBatch(
            camera_id="door",
            events=tuple(
                FlowCompleted(**shared, time_s=float(k), track_id=k, origin=o, destination=d, travel_s=1.0)
                for k, (o, d) in enumerate(there)
            ),
        )
    )
    series = ways_between(store.flows(), several=False)["series"][0]
    assert len(series["data"]) == 4
    assert not {link["source"] for link in series["links"]} & {link["target"] for link in series["links"]}


# --------------------------------------------------------------------------------------------------------- the page


def figure(page: Page, name: str) -> Locator:
    """The value under a name."""
    return page.locator(".figure", has=page.get_by_text(SAID[f"counts.figure.{name}"], exact=True)).locator(
        ".figure-value"
    )


def test_the_page_shows_what_the_api_says_and_exports_it(server: Served, browser: Browser, tmp_path: Path) -> None:
    """The figures, the table and the exported CSV are the API's numbers of the same day."""
    with opened(browser, f"{server.url}/counts?period=yesterday") as page:
        expect(page.locator(".counts-chart svg").first).to_be_visible(timeout=30_000)
        expect(figure(page, "all")).not_to_have_text("–")
        total = int(figure(page, "all").inner_text().replace(",", ""))
        with page.expect_download() as download:
            page.get_by_role("button", name="CSV").click()
        download.value.save_as(tmp_path / "counts.csv")
        page.get_by_text(SAID["counts.as_table"]).first.click()
        expect(page.locator(".counts-table tbody tr")).to_have_count(24)
    with (tmp_path / "counts.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["line"] in LINES]
    since, until = rows[0]["start"], rows[-1]["end"]
    status, told = server.get(f"/api/v1/cameras/{CAMERA}/counts?step=1h&since={quote(since)}&until={quote(until)}")
    assert status == 200
    key = ("line", "start", "in", "out", "count", "low", "high")
    # the camera counts on at a line of its own, which may have got its first minute in between
    found = [row for row in told["intervals"] if row["line"] in LINES]
    api = [tuple("" if row[name] is None else str(row[name]) for name in key) for row in found]
    assert [tuple(row[name] for name in key) for row in rows] == api
    assert sum(int(row["count"] or 0) for row in rows) == total


def test_the_chart_follows_what_is_chosen(server: Served, browser: Browser) -> None:
    """Split by label, drawn as curves, compared with the week before; the address keeps it."""
    with opened(browser, f"{server.url}/counts?period=yesterday") as page:
        expect(page.locator(".counts-chart svg").first).to_be_visible(timeout=30_000)
        page.get_by_label(SAID["counts.split.name"]).select_option("label")
        page.get_by_label(SAID["counts.kind.name"]).select_option("curve")
        page.get_by_label(SAID["counts.compare.name"]).select_option("week")
        expect(page.locator(".counts-chart")).to_contain_text(SAID["counts.compare.week"], timeout=30_000)
        page.wait_for_function(f"({_CHART})()?.series.some(one => one.name === {json.dumps(SAID['counts.limits'])})")
        series = page.evaluate(_CHART)["series"]
        assert {one["name"] for one in series} >= {*SHARES, SAID["counts.compare.week"], SAID["counts.limits"]}
        assert all(one["type"] == "line" for one in series if one["name"] in SHARES)
        assert "compare=week" in page.url
        page.reload()
        expect(page.locator(".counts-chart")).to_contain_text(SAID["counts.compare.week"], timeout=30_000)


def test_a_gap_is_drawn_and_told(server: Served, browser: Browser) -> None:
    """Over a year: hatched in the chart, no zero in its bars, and said in the table."""
    with opened(browser, f"{server.url}/counts?period=365d", NARROW) as page:
        expect(page.locator(".counts-chart svg").first).to_be_visible(timeout=60_000)
        options = page.wait_for_function(_CHART).json_value()
        gaps = next(one["data"] for one in options["series"] if one["name"] == SAID["counts.gap"])
        assert len(gaps) >= len(GAP_DAYS) - 1
        bars = [one for one in options["series"] if one["type"] == "bar"]
        assert bars
        assert all(one["data"][at] is None for one in bars for at, _ in gaps)
        page.get_by_text(SAID["counts.as_table"]).first.click()
        expect(page.locator(".counts-table tr.gap").first).to_contain_text(SAID["counts.gap"])
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]


@pytest.mark.alone
def test_a_year_shows_its_choices_at_once(server: Served, browser: Browser) -> None:
    """The first content needs no query: what the server sends has it, and it comes as fast as for a day."""
    began = time.monotonic()
    with opened(browser, f"{server.url}/counts?period=yesterday") as page:
        expect(page.get_by_role("group", name=SAID["counts.period.name"])).to_be_visible()
        day = time.monotonic() - began
    began = time.monotonic()
    with opened(browser, f"{server.url}/counts?period=365d", WIDE) as page:
        expect(page.get_by_role("button", name=SAID["counts.period.365d"])).to_have_attribute("aria-pressed", "true")
        assert time.monotonic() - began < 2 * day + 1


def test_who_is_inside_and_where_they_are_is_shown(server: Served, browser: Browser) -> None:
    """The zone with a number, and the camera's picture with the places where objects were."""
    with opened(browser, f"{server.url}/counts") as page:
        expect(page.locator(".inside-row")).to_contain_text("square", timeout=60_000)
        expect(page.locator(".inside-row b")).to_have_text(re.compile(r"^\d+$"), timeout=30_000)
        expect(page.locator("img.heat")).to_have_attribute("src", re.compile("^data:image/jpeg"), timeout=60_000)


def test_nobody_counted_says_what_to_do(browser: Browser, tmp_path: Path) -> None:
    """An empty store leads to the cameras."""
    with demo_server(tmp_path, []) as server, opened(browser, f"{server.url}/counts") as page:
        page.get_by_role("link", name=SAID["counts.empty.link"]).click()
        page.wait_for_url(server.url + "/")


def test_gaps_of_a_few_minutes_are_found_too(database: Database) -> None:
    """Between two minutes that were seen, one that was not."""
    store = CountStore(database)
    frames = [float(k) for k in [*range(60), *range(120, 190)]]
    store.commit(CountBatch(camera_id="door", intervals=counted([crossing(130.0)], frames)))
    view = load(store, Asked(period="today", step="1m"), NOON + timedelta(minutes=3), UTC, NAMES)
    assert view.whole.values[-3:-1] == (0, None)
