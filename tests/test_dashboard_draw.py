"""Drawing lines and zones over a camera's picture, in a real browser."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from camcount.cameras.lately import Lately
from camcount.counting.doctor_causes import CauseKind
from camcount.dashboard.draw_doctor import CAUSES
from camcount.dashboard.draw_shapes import Drawn, drawn_of, entry_of
from camcount.dashboard.texts import texts
from camcount.detections import Tracks
from camcount.errors import UsageError
from camcount.server_settings import ShapesEntry
from camcount.settings import LineSettings, ZoneSettings
from tests.browsers import CAMERA, NARROW, demo_server, opened
from tests.serving import Served

SAID = texts("en")
DRAW = f"/cameras/{CAMERA}/draw"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one camera."""
    with demo_server(tmp_path_factory.mktemp("draw"), [CAMERA]) as served:
        yield served


def tracks(*numbers: int, confirmed: bool = True) -> Tracks:
    """People of these numbers, all at one place."""
    n = len(numbers)
    boxes = np.tile(np.array([[10, 10, 20, 40]], np.float32), (n, 1))
    sure, kinds = np.full(n, 0.9, np.float32), np.arange(n, dtype=np.int32) % 2
    return Tracks(boxes, sure, kinds, np.array(numbers), np.full(n, confirmed), ("person", "car"))


def test_what_a_camera_saw_lately_is_bounded_in_time_and_in_frames() -> None:
    """Frames older than the span are forgotten, and more than so many too; another size of picture begins anew."""
    lately = Lately(span_s=10.0, most=50)
    assert lately.size is None
    for k in range(300):
        lately.add(tracks(1), k * 0.5, (640, 360))
    assert len(lately.recording().frames) == 21
    for k in range(300):
        lately.add(tracks(1, 2), 200 + k * 0.01, (640, 360))
    assert len(lately.recording().frames) == 50
    lately.add(tracks(1), 204.0, (1280, 720))
    recording = lately.recording("centre")
    assert (recording.width, recording.height, len(recording.frames)) == (1280, 720, 1)


def test_what_a_camera_saw_lately_can_be_limited_to_labels() -> None:
    """A line for cars is judged by cars; labels come in order of how often they were seen."""
    lately = Lately()
    for k in range(3):
        lately.add(tracks(1, 2, 3), float(k), (640, 360))
    assert lately.labels() == ("person", "car")
    (_, seen), *_ = lately.recording(labels=("car",)).frames
    assert seen.track_id.tolist() == [2]


def test_what_was_not_moved_is_saved_as_it_was() -> None:
    """Pixels and `reverse` stay, so that a camera that counts does not notice; what is moved is in shares."""
    entry = ShapesEntry(
        lines={"gate": LineSettings(points=((64, 180), (576, 180)), reverse=True)},
        zones={"hall": ZoneSettings(points=((0.1, 0.1), (0.9, 0.1), (0.5, 0.9)), labels=("car",))},
    )
    gate, hall = drawn_of(entry, (640, 360))
    assert gate.points == ((0.9, 0.5), (0.1, 0.5))
    assert entry_of([gate, hall]) == entry
    gate.points = ((0.1, 0.25), (0.9, 0.25))
    saved = entry_of([gate, hall])
    assert saved.lines is not None
    assert saved.zones == entry.zones
    assert saved.lines["gate"].named("gate").points == ((0.1, 0.25), (0.9, 0.25))


def test_names_are_there_and_differ() -> None:
    """Nothing is saved under no name, or over something else."""
    points = ((0.1, 0.5), (0.9, 0.5))
    with pytest.raises(UsageError, match="no name"):
        entry_of([Drawn("a", "line", " ", points)])
    with pytest.raises(UsageError, match="two lines or zones are called 'gate'"):
        entry_of([Drawn("a", "line", "gate", points), Drawn("b", "line", "gate", points)])


def test_points_in_pixels_need_a_picture() -> None:
    """Where they are in the picture cannot be said before its size is known."""
    with pytest.raises(UsageError, match="no picture yet"):
        drawn_of(ShapesEntry(lines={"gate": LineSettings(points=((64, 180), (576, 180)))}), None)


def ready(page: Page) -> None:
    """The board is there with the camera's picture."""
    page.wait_for_selector(".board.seen[data-ready]", timeout=30_000)


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where on the page a point of the picture is, given in shares."""
    page.locator(".board svg").scroll_into_view_if_needed()
    box = page.locator(".board svg").bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def definition(server: Served) -> dict[str, dict[str, Any]]:
    """The camera's lines and zones over the interface."""
    answer = server.get(f"/api/v1/cameras/{CAMERA}")[1]["definition"]
    return {**answer["lines"], **answer["zones"]}


def save(page: Page) -> None:
    """Saves, and sees that it was."""
    page.get_by_role("button", name=SAID["draw.save"], exact=True).click()
    expect(page.get_by_text(SAID["draw.saved"])).to_be_visible(timeout=15_000)


def test_a_line_is_drawn_by_mouse_flipped_named_and_counts(server: Served, browser: Browser) -> None:
    """Dragged, flipped with one click, named, saved without a restart: its count rises as the interface says."""
    with opened(browser, server.url + DRAW) as page:
        ready(page)
        since = server.get(f"/api/v1/cameras/{CAMERA}")[1]["since"]
        page.get_by_role("button", name=SAID["draw.tool.line"], exact=True).click()
        page.mouse.move(*at(page, 0.1, 0.7))
        page.mouse.down()
        page.mouse.move(*at(page, 0.5, 0.7), steps=4)
        page.mouse.move(*at(page, 0.9, 0.7), steps=4)
        page.mouse.up()
        page.get_by_label(SAID["draw.name"]).fill("kerb")
        expect(page.locator(".shape-row", has_text="kerb")).to_be_visible()
        save(page)
        drawn = np.array(definition(server)["kerb"]["points"])
        assert np.allclose(drawn, [[0.1, 0.7], [0.9, 0.7]], atol=0.02)
        page.get_by_role("button", name="Flip in and out of kerb").click()
        save_flipped = page.get_by_role("button", name=SAID["draw.save"], exact=True)
        expect(save_flipped).to_be_enabled()
        save_flipped.click()
        expect(save_flipped).to_be_disabled(timeout=15_000)
        assert np.allclose(definition(server)["kerb"]["points"], drawn[::-1])
        row = page.locator(".shape-row", has_text="kerb")
        expect(row).to_contain_text("in ", timeout=30_000)
        expect(row).not_to_contain_text("in 0 · out 0", timeout=90_000)
        assert server.get(f"/api/v1/cameras/{CAMERA}")[1]["since"] == since
        server.post(f"/api/v1/cameras/{CAMERA}/stop", b"")
        totals = server.get(f"/api/v1/cameras/{CAMERA}")[1]["totals"]["kerb"]
        expect(row).to_contain_text(f"in {totals['in']} · out {totals['out']}", timeout=15_000)
        server.post(f"/api/v1/cameras/{CAMERA}/start", b"")


def test_a_zone_is_drawn_point_by_point_and_deleted(server: Served, browser: Browser) -> None:
    """Clicks set corners, Enter ends, Escape cancels, Delete deletes; the other shapes stay."""
    with opened(browser, server.url + DRAW) as page:
        ready(page)
        before = definition(server)
        tool = page.get_by_role("button", name=SAID["draw.tool.zone"], exact=True)
        tool.click()
        for point in ((0.2, 0.2), (0.4, 0.2)):
            page.mouse.click(*at(page, *point))
        page.keyboard.press("Escape")
        expect(page.locator(".shape-row")).to_have_count(len(before))
        tool.click()
        for point in ((0.2, 0.2), (0.4, 0.2), (0.4, 0.4), (0.2, 0.4)):
            page.mouse.click(*at(page, *point))
        page.keyboard.press("Enter")
        expect(page.locator(".handle")).to_have_count(4)
        save(page)
        assert definition(server).keys() == before.keys() | {"zone 1"}
        page.locator('.shape[aria-label="zone 1, zone"]').focus()
        page.keyboard.press("Delete")
        expect(page.locator(".shape-row")).to_have_count(len(before))
        save_button = page.get_by_role("button", name=SAID["draw.save"], exact=True)
        save_button.click()
        expect(save_button).to_be_disabled(timeout=15_000)
        assert definition(server) == before


def test_the_keyboard_alone_draws(server: Served, browser: Browser) -> None:
    """A tool chosen by key puts a line into the middle; arrow keys move the point that has the focus."""
    with opened(browser, server.url + DRAW) as page:
        ready(page)
        page.get_by_role("button", name=SAID["draw.tool.line"], exact=True).focus()
        page.keyboard.press("Enter")
        expect(page.locator(".handle:focus")).to_have_attribute("aria-label", "line 1: point 1/2, 25 %, 50 %")
        for _ in range(2):
            page.keyboard.press("Shift+ArrowUp")
        page.keyboard.press("ArrowLeft")
        expect(page.locator(".handle:focus")).to_have_attribute("aria-label", "line 1: point 1/2, 25 %, 45 %")
        page.keyboard.press("Tab")
        expect(page.locator(".handle:focus")).to_have_attribute("aria-label", "line 1: point 2/2, 75 %, 50 %")
        expect(page.get_by_text(SAID["draw.unsaved"])).to_be_visible()


def test_fingers_draw_on_a_narrow_screen(server: Served, browser: Browser) -> None:
    """At 390 pixels a point is dragged, and the page is not wider than the window."""
    with opened(browser, server.url + DRAW, NARROW) as page:
        ready(page)
        page.locator(".shape-row", has_text="door").click()
        handle = page.locator(".handle").first
        expect(handle).to_be_visible()  # the page draws it anew when the row is chosen
        box = handle.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 40
        page.mouse.move(*at(page, 0.1, 0.6))
        page.mouse.down()
        page.mouse.move(*at(page, 0.2, 0.8), steps=3)
        page.mouse.up()
        expect(page.locator(".handle").first).to_have_attribute("aria-label", "door: point 1/2, 20 %, 80 %")
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]


def test_the_doctor_judges_and_its_better_line_is_taken(server: Served, browser: Browser) -> None:
    """Of a line in the sky it says that objects pass elsewhere, and one click puts it where they do."""
    shapes = json.dumps({"lines": {"door": [0.1, 0.6, 0.9, 0.6], "sky": [0.1, 0.03, 0.9, 0.03]}}).encode()
    address = f"{server.url}/api/v1/cameras/{CAMERA}/shapes"
    asked = urllib.request.Request(address, shapes, {"Content-Type": "application/json"}, method="PATCH")
    urllib.request.urlopen(asked, timeout=30).close()
    with opened(browser, server.url + DRAW) as page:
        ready(page)
        page.locator(".shape-row", has_text="sky").click()
        expect(page.locator(".doctor-causes")).to_contain_text(SAID["draw.cause.elsewhere"], timeout=90_000)
        accept = page.get_by_role("button", name=SAID["draw.accept"])
        expect(accept).to_be_visible(timeout=90_000)
        expect(page.locator(".proposed")).to_be_attached()
        before = page.locator(".shape.selected .stroke").get_attribute("points")
        accept.click()
        expect(page.locator(".shape.selected .stroke")).not_to_have_attribute("points", before or "")
        expect(page.get_by_text(SAID["draw.unsaved"])).to_be_visible()
        expect(page.locator(".doctor-verdict .chip")).not_to_have_text(SAID["draw.grade.unknown"], timeout=90_000)


def test_every_cause_has_words() -> None:
    """Whatever the doctor finds can be said in both languages."""
    assert CAUSES.keys() == set(get_args(CauseKind))
    assert set(CAUSES.values()) <= texts("en").keys()


def test_a_camera_that_is_not_there_is_said(server: Served, browser: Browser) -> None:
    """A friendly card instead of a board."""
    with opened(browser, server.url + "/cameras/nowhere/draw") as page:
        expect(page.get_by_text("nowhere")).to_be_visible()
