"""``camcount report`` and ``camcount events`` on a database with two days, a gap and two lines in it."""

from __future__ import annotations

import csv
import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from camcount.errors import UsageError
from camcount.geometry import Line
from camcount.outputs import read_crossings
from camcount.storage.counts import CountBatch, CountStore
from camcount.storage.database import open_database
from camcount.storage.periods import moment, period, span, zone_of
from camcount.video.chart import Bar, Panel, draw_panel, write_chart
from tests.counted import GATE, counted, crossing
from tests.databases import sqlite_url
from tests.test_commands import Terminal

PAGE = (Path(__file__).parents[1] / "docs" / "reports.md").read_text()
PARIS = ZoneInfo("Europe/Paris")
MONDAY = datetime(2026, 3, 2, tzinfo=PARIS).astimezone(UTC)
DAYS = ("--since", "2026-03-02", "--until", "2026-03-04", "--zone", "Europe/Paris")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two days: a person in every ten minutes and a car out every half an hour; from 10 to 12 on Monday no frames."""
    url = sqlite_url(tmp_path_factory.mktemp("reports"))
    database = open_database(url)
    people = [crossing(600 * k, start=MONDAY) for k in range(288)]
    cars = [crossing(1800 * k + 60, "out", label="car", start=MONDAY) for k in range(96)]
    gone = range(10 * 3600, 12 * 3600)
    events = [event for event in (*people, *cars) if int(event.time_s) not in gone]
    frames = [second for second in range(2 * 86400 + 1) if second not in gone]
    lines = [GATE, Line("back", ((0, 0.2), (1, 0.2)))]
    intervals = counted(events, frames, start=MONDAY, lines=lines)
    batch = CountBatch(camera_id="door", events=tuple(events), intervals=intervals)
    CountStore(database, clock=lambda: MONDAY + timedelta(days=2)).commit(batch)
    database.close()
    return url


@pytest.fixture
def desk(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the database where the commands look for it."""
    monkeypatch.setenv("CAMCOUNT_DATABASE_URL", url)
    monkeypatch.chdir(tmp_path)
    sites = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert sites is not None
    (tmp_path / "sites.yaml").write_text(sites[1])
    return tmp_path


@pytest.fixture
def camcount(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Terminal:
    """The command, typed."""
    return Terminal(monkeypatch, capfd)


def rows(text: str) -> list[dict[str, str]]:
    """Of a CSV file."""
    return list(csv.DictReader(text.splitlines()))


def test_the_commands_of_the_page_run_as_written(desk: Path, camcount: Terminal) -> None:
    """Every one, and each writes the file that it names."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
    assert len(lines) >= 12
    for line in lines:
        words = shlex.split(line)
        said = camcount(*words[1:])
        assert said.status == 0, f"{line}: {said.err}"
        for flag in ("--out", "--chart"):
            if flag in words:
                assert Path(words[words.index(flag) + 1]).exists(), line


def test_gaps_are_gaps_in_every_format(desk: Path, camcount: Terminal) -> None:
    """Empty or null or the word itself, with coverage 0, between hours that were counted."""
    hours = ("report", *DAYS, "--every", "1h", "--line", "gate")
    table = rows(camcount(*hours, "--format", "csv").out)
    assert [row["count"] for row in table[9:14]] == ["8", "", "", "8", "8"]
    assert [row["coverage"] for row in table[9:14]] == ["1.0", "0.0", "0.0", "1.0", "1.0"]
    told = camcount(*hours, "--format", "json").json["intervals"]
    assert [one["count"] for one in told[9:13]] == [8, None, None, 8]
    assert told[9]["low"] <= 8 <= told[9]["high"]
    assert (told[10]["low"], told[10]["high"], told[10]["in"]) == (None, None, None)
    screen = camcount(*hours).out
    assert sum("gap" in line for line in screen.splitlines()) == 2
    assert re.search(r"Mon 2026-03-02 09:00\s*│\s*6 \(\d–\d+\)", screen)
    camcount(*hours, "--format", "parquet", "--out", "hours.parquet")
    stored = pq.read_table("hours.parquet").to_pylist()
    assert [row["count"] for row in stored[9:13]] == [8, None, None, 8]
    assert stored[0]["start"] == MONDAY


def test_days_labels_and_lines_are_chosen(desk: Path, camcount: Terminal) -> None:
    """Sums are those of what was put in; a line where nobody came is there with zeros."""
    days = camcount("report", *DAYS, "--every", "1d", "--format", "json").json["intervals"]
    assert [(one["line"], one["in"], one["out"]) for one in days] == [
        ("back", 0, 0),
        ("back", 0, 0),
        ("gate", 132, 44),
        ("gate", 144, 48),
    ]
    assert days[2]["coverage"] == pytest.approx(22 / 24, abs=0.001)
    cars = rows(camcount("report", *DAYS, "--every", "1d", "--label", "car", "--line", "gate", "--format", "csv").out)
    assert [(one["in"], one["out"], one["low"]) for one in cars] == [("0", "44", ""), ("0", "48", "")]


def test_who_is_inside_is_told(desk: Path, camcount: Terminal) -> None:
    """Months later nobody came since the reset."""
    said = camcount("report", *DAYS, "--format", "json", "--reset", "04:00").json
    assert said["occupancy"]["inside"] == 0
    assert "inside now: 0 (0 in, 0 out since" in camcount("report", *DAYS, "--reset", "04:00").out


def test_the_french_files_are_those_of_the_schema(desk: Path, camcount: Terminal) -> None:
    """Columns, links between the files, vocabulary, empty counts in gaps and zeros where nobody came."""
    assert camcount("report", *DAYS, "--format", "french", "--sites", "sites.yaml", "--out", "fr").status == 0
    site, channel, measure = (rows(Path(f"fr/{name}.csv").read_text()) for name in ("site", "channel", "measure"))
    assert [(one["site_id"], one["xlong"], one["ylat"]) for one in site] == [("door", "2.352200", "48.856600")]
    assert site[0]["fr_insee_code"] == "75104"
    by_id = {one["channel_id"]: one for one in channel}
    assert len(by_id) == len(channel) == 6
    assert by_id["door-gate-car-out"]["mobility_type"] == "CAR"
    assert {one["counter_type"] for one in channel} == {"VIDEO SENSOR"}
    assert {one["time_step"] for one in channel} == {"900"}
    assert {one["channel_id"] for one in measure} == set(by_id)
    cars = {one["start_datetime"]: one["count"] for one in measure if one["channel_id"] == "door-gate-car-out"}
    assert len(cars) == 2 * 96
    assert cars["2026-03-01T23:00:00Z"] == "1"
    assert cars["2026-03-01T23:15:00Z"] == "0"
    assert cars["2026-03-02T09:30:00Z"] == ""
    assert sum(int(count or 0) for count in cars.values()) == 92


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_exported_events_are_read_by_what_reads_events(desk: Path, camcount: Terminal, suffix: str) -> None:
    """The same crossings as were stored, chosen by time and label; no other file is left."""
    out = desk / f"cars{suffix}"
    said = camcount("events", "export", *DAYS[:2], "--zone", "Europe/Paris", "--label", "car", "--out", out, "--json")
    assert said.json == {"out": str(out), "events": 92}
    found = read_crossings(out)
    assert len(found) == 92
    assert found[0] == crossing(60, "out", label="car", start=MONDAY)
    assert sorted(path.name for path in desk.iterdir()) == sorted([out.name, "sites.yaml"])


def test_lines_on_the_map_carry_their_counts(desk: Path, camcount: Terminal) -> None:
    """One feature for each line that counted, with its points as they are in the sites file."""
    camcount("events", "export", *DAYS, "--sites", "sites.yaml", "--out", "lines.geojson")
    (feature,) = json.loads(Path("lines.geojson").read_text())["features"]
    assert feature["geometry"] == {"type": "LineString", "coordinates": [[2.3522, 48.8566], [2.3523, 48.8567]]}
    assert (feature["properties"]["line"], feature["properties"]["in"]) == ("gate", 276)


def test_archived_events_are_exported_too(desk: Path, camcount: Terminal, tmp_path: Path) -> None:
    """After the archive has taken all of them."""
    url = sqlite_url(tmp_path)
    database = open_database(url)
    events = tuple(crossing(60 * k) for k in range(30))
    CountStore(database, clock=lambda: MONDAY).commit(CountBatch(camera_id="door", events=events))
    database.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMCOUNT_DATABASE_URL", url)
        said = camcount("events", "archive", "old", "--older-than", "1", "--json")
        assert said.json == {"folder": "old", "files": 1, "events": 30}
        assert camcount("events", "export", "--out", "all.jsonl", "--json").json["events"] == 30


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("report --period someday", "no period: write today"),
        ("report --period today --since 2026-03-01", "either --period or"),
        ("report --since yesterday", "no time: write it as 2026-03-01"),
        ("report --since 2026-03-02 --until 2026-03-01", "ends before it begins"),
        ("report --until 2026-03-02", "--until needs --since"),
        ("report --every 5m", "choose from 1m, 15m, 1h, 1d"),
        ("report --format pdf", "choose from table, csv"),
        ("report --format parquet", "give --out"),
        ("report --format french --out fr", "give --sites FILE.yaml"),
        ("report --zone Mars/Base", "no time zone"),
        ("report --reset noon", "as 04:00"),
        ("report --camera nobody", "nothing was counted by camera 'nobody'"),
        ("report --chart chart.jpg", "a chart is a .png file"),
        ("events export --out events.txt", "csv, parquet, jsonl or geojson"),
        ("events export --out lines.geojson", "needs coordinates of the cameras"),
        ("events export --out lines.geojson --sites none.yaml", "cannot read none.yaml"),
        ("events export --out lines.geojson --sites bad.yaml", "is no sites file"),
        ("events export --out lines.geojson --sites other.yaml", "no coordinates of camera 'door'"),
        ("events export --out lines.geojson --sites bare.yaml", "no coordinates of line 'gate'"),
        ("events export --out nowhere/events.csv", "cannot write"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(desk: Path, camcount: Terminal, words: str, expected: str) -> None:
    """Status 2, what would be right, and no half a file."""
    (desk / "bad.yaml").write_text("sites: {door: {longitude: 200, latitude: 1}}")
    (desk / "other.yaml").write_text("sites: {yard: {longitude: 2, latitude: 1}}")
    (desk / "bare.yaml").write_text("sites: {door: {longitude: 2, latitude: 1}}")
    said = camcount(*shlex.split(words))
    assert said.status == 2
    assert expected in said.err
    assert said.err.count("\n") == 1
    assert not [path for path in desk.iterdir() if path.suffix != ".yaml"]


NOW = datetime(2026, 3, 29, 12, 34, tzinfo=PARIS)


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("today", "2026-03-29T00:00+01:00", "2026-03-29T12:34+02:00"),
        ("yesterday", "2026-03-28T00:00+01:00", "2026-03-29T00:00+01:00"),
        ("7d", "2026-03-23T00:00+01:00", "2026-03-29T12:34+02:00"),
        ("24h", "2026-03-28T12:00+01:00", "2026-03-29T12:34+02:00"),
        ("2026-02", "2026-02-01T00:00+01:00", "2026-03-01T00:00+01:00"),
        ("2025-12", "2025-12-01T00:00+01:00", "2026-01-01T00:00+01:00"),
        ("2026-03", "2026-03-01T00:00+01:00", "2026-03-29T12:34+02:00"),
        ("2026-03-28", "2026-03-28T00:00+01:00", "2026-03-29T00:00+01:00"),
    ],
)
def test_periods_are_those_of_the_clock(text: str, since: str, until: str) -> None:
    """On the day on which it was changed; none ends after now."""
    found = period(text, NOW, PARIS)
    assert found == (datetime.fromisoformat(since), datetime.fromisoformat(until))


def test_times_without_a_zone_are_the_cameras() -> None:
    """And those with one are what they say; a period that has not begun is refused."""
    assert moment("2026-07-01", PARIS, "--since") == datetime(2026, 7, 1, tzinfo=PARIS)
    assert moment("2026-07-01T12:00Z", PARIS, "--since") == datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert span(None, "2026-03-01", None, NOW, PARIS)[1] == NOW
    with pytest.raises(UsageError, match="has not begun"):
        period("2026-04", NOW, PARIS)
    with pytest.raises(UsageError, match="no period"):
        period("2026-13", NOW, PARIS)


def test_the_machines_zone_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the environment says it; one that it misspells is no reason to fail."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    assert zone_of(None) == ZoneInfo("Asia/Kathmandu")
    monkeypatch.setenv("TZ", ":/nonsense")
    assert zone_of(None) is UTC


def colours(picture: Any, left: int, right: int) -> set[tuple[int, ...]]:
    """That are between these columns above the axis."""
    return {tuple(pixel) for pixel in picture[70:270, left:right].reshape(-1, 3).tolist()}


def test_the_chart_tells_a_gap_from_nobody() -> None:
    """Hatched where nothing was seen, white where nobody came, bars as high as the count elsewhere."""
    bars = [Bar("a", (30, 10), None, None, 1.0), Bar("b", None, None, None, 0.0), Bar("c", (0, 0), None, None, 1.0)]
    picture = draw_panel(Panel("door", bars), 84 + 40 + 300)
    came, went, hatch = (158, 98, 30), (74, 152, 240), (200, 194, 190)
    assert {came, went} <= colours(picture, 90, 180)
    assert hatch in colours(picture, 190, 280)
    assert not {came, went, hatch} & colours(picture, 290, 380)
    column = picture[:, 130]
    high_in, high_out = (int(np.all(column == colour, axis=1).sum()) for colour in (came, went))
    assert high_in == pytest.approx(3 * high_out, abs=2)


def test_bounds_are_drawn_where_they_are_known() -> None:
    """From low to high beside the same bar without; upwards out of the chart where nothing is known."""
    plain, sure, open_ended = (
        draw_panel(Panel("x", [Bar("", (20, 0), low, high, 1.0)]), 424)[66:276, 234].mean(axis=1)
        for low, high in ((None, None), (15, 38), (15, None))
    )
    dark = [np.flatnonzero(column < 80) for column in (plain, sure, open_ended)]
    assert dark[1].size > 0
    assert dark[2].size > dark[0].size


def test_a_chart_of_nothing_or_far_too_much_is_refused(tmp_path: Path) -> None:
    """And one that is written is a PNG that opens."""
    bar = Bar("x", (1, 1), 1, 3, 1.0)
    for panels, words in (
        ([], "1 to 20"),
        ([Panel("x", [bar])] * 21, "1 to 20"),
        ([Panel("x", [bar] * 9000)], "longer"),
    ):
        with pytest.raises(UsageError, match=words):
            write_chart(tmp_path / "chart.png", panels)
    write_chart(tmp_path / "chart.png", [Panel("x", [bar] * 30)] * 2)
    picture = cv2.imread(str(tmp_path / "chart.png"))
    assert picture is not None
    assert picture.shape == (680, 1200, 3)
