"""Adding a camera, and having a dropped video counted, in a real browser."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, expect

from camcount.dashboard.add_camera import tried
from camcount.dashboard.texts import texts
from camcount.dashboard.videos import FILES, Videos
from camcount.dashboard.videos_watch import Watch
from camcount.errors import CamcountError, Overloaded
from camcount.events import Crossing
from camcount.geometry import Line
from camcount.protocols import Detector
from tests.browsers import NARROW, demo_clip, demo_server, opened
from tests.serving import Served

SAID = texts("en")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one camera."""
    with demo_server(tmp_path_factory.mktemp("add"), ["high-street"]) as served:
        yield served


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of the demo scene as a small video."""
    return demo_clip(tmp_path_factory.mktemp("clip") / "market.mp4")


def no_model(reference: str) -> Detector:
    """A server without models."""
    raise AssertionError(reference)


def counted(videos: Videos, clip: Path) -> str:
    """The id of a clip that was counted."""
    video_id, path = videos.place(clip.name)
    path.write_bytes(clip.read_bytes())
    video = videos.add(video_id, path, clip.name)
    until = time.monotonic() + 180
    while video.state in ("waiting", "counting"):
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.3)
    return video_id


def test_a_source_is_tested_with_its_picture_or_a_reason(tmp_path: Path) -> None:
    """Size, rate and a JPEG; a dead address says what is wrong, and shows no secret."""
    found = tried("demo:street", {})
    assert (found.info.width, found.info.height) == (1280, 720)
    assert found.picture[:2] == b"\xff\xd8"
    with pytest.raises(CamcountError, match=r"not there|no such|cannot"):
        tried(str(tmp_path / "nothing.mp4"), {})
    with pytest.raises(CamcountError) as told:
        tried("rtsp://guard:${PW}@127.0.0.1:9/x", {"PW": "s3cret"})
    assert "s3cret" not in str(told.value)


def test_a_video_is_counted_and_survives_a_restart(tmp_path: Path, clip: Path) -> None:
    """All files are there, they agree, the upload is gone, and another process of the same home still knows it."""
    videos = Videos(no_model, folder=tmp_path)
    video_id = counted(videos, clip)
    video = videos.get(video_id)
    assert video is not None
    assert (video.state, video.error) == ("done", "")
    paths = {file: videos.path(video_id, file) for file in FILES}
    assert all(paths.values())
    assert not list(tmp_path.glob("*/video.mp4"))
    videos.close()
    with (tmp_path / video_id / "events.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["type"] == Crossing.type]
    assert len(rows) == sum(line["in"] + line["out"] for line in video.result["lines"].values()) > 0
    assert pq.read_table(tmp_path / video_id / "events.parquet").num_rows >= len(rows)
    bars = video.result["bars"]["lines"]
    assert sum(sum(ways["in"]) + sum(ways["out"]) for ways in bars.values()) == len(rows)
    again = Videos(no_model, folder=tmp_path)
    again.start()
    known = again.get(video_id)
    assert known is not None
    assert known.result == video.result
    again.delete(video_id)
    assert again.path(video_id, "events.csv") is None
    assert not list(tmp_path.iterdir())
    again.close()


def test_what_is_no_video_fails_with_a_reason(tmp_path: Path) -> None:
    """It is kept as failed, in words, and its upload is gone."""
    text = tmp_path / "notes.mp4"
    text.write_text("no video")
    videos = Videos(no_model, folder=tmp_path / "videos")
    video = videos.get(counted(videos, text))
    videos.close()
    assert video is not None
    assert video.state == "failed"
    assert re.search(r"\((SRC|CFG)_\d+\)", video.error)
    assert not list((tmp_path / "videos").glob("*/video.mp4"))


def test_old_results_give_way_and_too_many_waiting_are_refused(tmp_path: Path) -> None:
    """The disk stays bounded, whatever is dropped."""
    text = tmp_path / "notes.mp4"
    text.write_text("no video")
    videos = Videos(no_model, folder=tmp_path / "videos", most=2)
    for _ in range(4):
        counted(videos, text)
    assert len(videos.all()) == len(list((tmp_path / "videos").iterdir())) == 2
    videos.close()
    full = Videos(no_model, folder=tmp_path / "full")
    full.close()  # nothing is taken from the queue any more
    for _ in range(8):
        video_id, path = full.place("a.mp4")
        path.write_bytes(b"")
        full.add(video_id, path, "a.mp4")
        full.get(video_id).state = "waiting"  # type: ignore[union-attr] # it was just added
    with pytest.raises(Overloaded):
        full.place("b.mp4")


def test_crossings_become_at_most_some_sixty_bars() -> None:
    """Bars are as wide as the length asks, and all crossings are in one."""
    watch = Watch()
    watch.lines = [Line("gate", ((0, 0.5), (1, 0.5)))]
    for second in (0.5, 59.9, 3599.0):
        watch.close([crossing(second)])
    assert watch.bars(30.0)["width_s"] == 1
    bars = watch.bars(3600.0)
    assert bars["width_s"] == 60
    ins = bars["lines"]["gate"]["in"]
    assert (len(ins), ins[0], ins[-1], sum(ins)) == (60, 2, 1, 3)


def crossing(time_s: float) -> Crossing:
    """Somebody comes in."""
    return Crossing(
        camera_id="a",
        time_s=time_s,
        time=None,
        track_id=1,
        label="person",
        confidence=0.9,
        reason="",
        point=(0.0, 0.0),
        line="gate",
        direction="in",
    )


def test_a_camera_is_added_in_three_steps(server: Served, browser: Browser) -> None:
    """A dead address says so; a living one shows its picture; then it counts under its name."""
    with opened(browser, server.url + "/add") as page:
        address = page.get_by_label(SAID["add.address_label"])
        address.fill("/nowhere/video.mp4")
        page.get_by_role("button", name=SAID["add.test"]).click()
        expect(page.get_by_role("alert")).to_contain_text("SRC_001", timeout=30_000)
        page.get_by_role("button", name="demo:street", exact=True).click()
        page.get_by_role("button", name=SAID["add.test"]).click()
        page.wait_for_selector(".board.seen[data-ready]", timeout=30_000)
        expect(page.get_by_role("alert")).to_be_hidden()
        page.get_by_role("button", name=re.compile("^Flip in and out of")).click()
        name = page.get_by_label(SAID["add.name"], exact=True)
        name.fill("no good")
        page.get_by_role("button", name=SAID["add.start"]).click()
        expect(page.get_by_text(SAID["add.name_wrong"])).to_be_visible()
        name.fill("market")
        page.get_by_role("button", name=SAID["add.start"]).click()
        page.wait_for_url("**/cameras/market", timeout=30_000)
    status, answer = server.get("/api/v1/cameras/market")
    assert status == 200
    assert answer["definition"]["lines"][SAID["add.first_line"]]["points"] == [[0.9, 0.6], [0.1, 0.6]]


def test_a_dropped_video_is_counted_shown_and_exported(
    server: Served, browser: Browser, clip: Path, tmp_path: Path
) -> None:
    """Progress, then figures, chart, table, a video that Chromium plays, and a CSV that agrees with them."""
    with opened(browser, server.url + "/add") as page:
        page.locator("input[type=file]").set_input_files(clip)
        page.wait_for_url("**/results/*", timeout=60_000)
        page.reload()
        expect(page.locator("table")).to_be_visible(timeout=180_000)
        total = sum(int(page.locator(".figure-value").nth(k).inner_text()) for k in (0, 1))
        expect(page.locator(".chart canvas, .chart svg").first).to_be_visible()
        page.wait_for_function("document.querySelector('video').readyState >= 1")
        assert page.evaluate("document.querySelector('video').videoWidth") == 640
        page.evaluate(
            "(async () => { const v = document.querySelector('video'); v.muted = true; await v.play(); })()"
        )
        page.wait_for_function("document.querySelector('video').currentTime > 0.2")
        with page.expect_download() as download:
            page.get_by_role("link", name=SAID["results.export"].format(kind="CSV")).click()
        assert download.value.suggested_filename == "market-events.csv"
        download.value.save_as(tmp_path / "events.csv")
        with (tmp_path / "events.csv").open(newline="") as file:
            assert sum(row["type"] == Crossing.type for row in csv.DictReader(file)) == total > 0
        address = page.url
        page.goto(server.url + "/add")
        expect(page.locator(".videos a")).to_contain_text("market.mp4", timeout=15_000)
    with opened(browser, address, NARROW) as page:
        expect(page.locator("table")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
        page.get_by_role("button", name=SAID["results.delete"]).click()
        page.wait_for_url("**/add")
    assert (
        server.get(address.removeprefix(server.url).replace("/results", "/_dashboard/videos") + "/events.csv")[0]
        == 404
    )
