"""The review as a page: strips, three keys, undo, accuracy, and the form that the command line reads."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from camcount.batch.items import Item
from camcount.batch.journal import EVENTS, Journal, kept_videos
from camcount.dashboard.texts import texts
from camcount.dashboard.verify_session import Session
from camcount.errors import UsageError
from camcount.evaluation.review import plan
from camcount.evaluation.review_folder import ReviewFolder
from camcount.evaluation.review_report import report
from tests.browsers import CAMERA, NARROW, demo_server, opened
from tests.serving import Served
from tests.test_review import crossings

SAID = texts("en")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps its reviews."""
    return tmp_path_factory.mktemp("verify")


@pytest.fixture(scope="module")
def counted(home: Path) -> Path:
    """The events of the demo scene, as the command line counts them."""
    events = home / "crossings.jsonl"
    command = [sys.executable, "-m", "camcount", "count", "demo:street", "--duration", "30s", "--events", str(events)]
    subprocess.run([*command, "--line", "door=0.1,0.6,0.9,0.6"], check=True, capture_output=True)
    return events


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Served]:
    """A server whose camera plays the demo scene."""
    with demo_server(home, [CAMERA]) as served:
        yield served


def session(folder: Path, events: int = 6, moments: int = 2) -> Session:
    """A review of twenty crossings, with no strips."""
    return Session(ReviewFolder(folder, plan(crossings(20), ["gate"], 60.0, events=events, moments=moments)))


def test_answers_go_to_the_item_that_is_shown(tmp_path: Path) -> None:
    """A verdict to a crossing, numbers to a moment; each refuses the other's answer."""
    review = session(tmp_path)
    while (item := review.current) is not None:
        if item.crossing is not None:
            assert not review.tell({"in": 0, "out": 0})
            assert review.judge("yes")
        else:
            assert not review.judge("yes")
            assert review.tell({"in": 1, "out": 0})
    assert review.done == len(review.items) == 8
    assert not review.judge("yes")
    assert review.result() == report(review.folder.review, review.answers)


def test_undo_takes_back_one_answer_after_the_other(tmp_path: Path) -> None:
    """In the opposite order in which they were given, until there is none."""
    review = session(tmp_path, moments=0)
    review.judge("yes")
    review.judge("no")
    second = review.items[1]
    assert review.undo()
    assert review.current == second
    assert review.undo()
    assert not review.undo()
    assert review.answers == []


def test_a_review_goes_on_where_it_was_left(tmp_path: Path) -> None:
    """The folder has the answers, in the form of the command line; another sample is another review."""
    review = session(tmp_path, moments=0)
    review.judge("yes")
    review.judge("other")
    review.folder.keep(review.answers)
    again = session(tmp_path, moments=0)
    assert [answer.verdict for answer in again.answers] == ["yes", "other"]
    assert again.current == again.items[2]
    with pytest.raises(UsageError, match="another review"):
        session(tmp_path, events=2, moments=4)


def test_videos_of_a_batch_can_be_reviewed(tmp_path: Path) -> None:
    """Those that are done and have events, also while the batch goes on; another folder is refused."""
    journal = Journal(tmp_path, {"lines": {}})
    for name in ("a.mp4", "b.mp4"):
        item = Item(name=name, source=f"/videos/{name}", kind="video")
        if name == "a.mp4":
            draft = journal.draft()
            (draft / EVENTS).write_text("")
            journal.keep(item, "1", draft, {}, {})
        else:
            journal.fail(item, "SRC_001", "broken", 1.0)
    settings, videos = kept_videos(tmp_path)
    assert settings == {"lines": {}}
    assert [(one.name, one.source, one.events.is_file()) for one in videos] == [("a.mp4", "/videos/a.mp4", True)]
    journal.close()
    with pytest.raises(UsageError, match="no journal"):
        kept_videos(tmp_path / "elsewhere")


def test_ten_crossings_are_verified_by_keyboard(server: Served, browser: Browser, home: Path, counted: Path) -> None:
    """Ten keys and one undo; the accuracy with its interval is what the command line reports from the same form."""
    address = f"{server.url}/verify?source=demo:street&events={counted}&line=door%3D0.1,0.6,0.9,0.6"
    with opened(browser, address) as page:
        page.get_by_label(SAID["verify.sample.events"], exact=True).fill("10")
        page.get_by_label(SAID["verify.sample.moments"], exact=True).fill("0")
        page.get_by_role("button", name=SAID["verify.start"], exact=True).click()
        expect(page.locator(".review")).to_be_visible(timeout=120_000)
        items = int(page.locator("h2").first.inner_text().split("·")[0].split()[-1])
        assert items == 10
        for number, key in enumerate("yyynyyoyyy", 1):
            expect(page.locator("h2").first).to_contain_text(f"{number} of 10", timeout=20_000)
            assert page.locator(".strip").evaluate("img => img.decode().then(() => img.naturalWidth)") > 1000
            page.keyboard.press(key)
        expect(page.get_by_role("heading", name=SAID["verify.done"])).to_be_visible(timeout=20_000)
        page.keyboard.press("u")
        expect(page.locator("h2").first).to_contain_text("10 of 10", timeout=20_000)
        page.keyboard.press("y")
        expect(page.get_by_role("heading", name=SAID["verify.done"])).to_be_visible(timeout=20_000)
        precision = page.locator(".review-side tbody tr").last.locator("td").nth(3)
        command = page.locator(".review-command").inner_text()
        form = next(home.glob("reviews/*/answers.csv"))
        with form.open(newline="") as file:
            assert [row["verdict"] for row in csv.DictReader(file)] == [
                {"y": "yes", "n": "no", "o": "other"}[key] for key in "yyynyyoyyy"
            ]
        told = subprocess.run(
            [sys.executable, "-m", *command.split(), "--json"], capture_output=True, text=True, check=True
        )
        total = json.loads(told.stdout)["total"]
        expect(precision).to_contain_text(f"{total['precision']['estimate']:.0%}", timeout=20_000)
        expect(page.locator(".review-figures .figure-value").first).to_have_text(
            f"{total['accuracy']['estimate']:.0%}", timeout=20_000
        )
        assert page.locator(".review-figures .figure-note").first.inner_text().startswith("(")


def test_a_camera_that_plays_a_file_can_be_reviewed(server: Served, browser: Browser) -> None:
    """Its crossings come from the store; a moment asks how many were missed; nothing is wider than a telephone."""
    with opened(browser, server.url) as page:
        page.wait_for_function(
            f"fetch('/api/v1/cameras/{CAMERA}').then(a => a.json())"
            ".then(c => Object.values(c.totals).some(line => line.in + line.out > 0))",
            timeout=120_000,
            polling=500,
        )
    with opened(browser, f"{server.url}/verify", NARROW) as page:
        page.get_by_label(SAID["verify.sample.events"], exact=True).fill("1")
        page.get_by_label(SAID["verify.sample.moments"], exact=True).fill("2")
        page.get_by_role("button", name=f"{SAID['verify.start']}: {CAMERA}").click()
        expect(page.locator(".review")).to_be_visible(timeout=120_000)
        page.locator(".review-key").first.wait_for(timeout=20_000)
        if page.get_by_role("button", name=SAID["verify.go_on"]).count() == 0:  # a crossing comes first
            page.keyboard.press("y")
        expect(page.get_by_role("button", name=SAID["verify.go_on"])).to_be_visible(timeout=20_000)
        page.keyboard.press("i")
        expect(page.get_by_text(SAID["verify.missed"].format(way="In", n=1))).to_be_visible(timeout=20_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]


def test_what_cannot_be_reviewed_says_why(server: Served, browser: Browser) -> None:
    """No path, and a path that is not there: one line each, on the page."""
    with opened(browser, f"{server.url}/verify") as page:
        start = page.get_by_role("button", name=SAID["verify.start"], exact=True)
        start.click()
        expect(page.get_by_role("alert")).to_contain_text("both paths", timeout=20_000)
        page.get_by_label(SAID["verify.other.source"], exact=True).fill("/nowhere.mp4")
        page.get_by_label(SAID["verify.other.events"], exact=True).fill("/nowhere.jsonl")
        start.click()
        expect(page.locator(".empty")).to_contain_text("nowhere", timeout=20_000)
