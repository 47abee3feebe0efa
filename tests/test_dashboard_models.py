"""The models page in a real browser, over a real registry with two versions of a model."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from camcount.dashboard.models_compare import difference
from camcount.dashboard.texts import texts
from camcount.detections import Detections
from tests.browsers import NARROW, demo_server, opened
from tests.registries import PHOTO, WEIGHTS, a_package, empty_database, registry_in, two_versions
from tests.serving import Served, camcount_serve

DATA = Path(__file__).parents[2] / "shared" / "data"
SAID = texts("en")
SLOW = 60_000
STATUS = "/api/v1/models/street:1.0.0/status"

pytestmark = pytest.mark.skipif(not PHOTO.exists(), reason="no models and pictures in ../shared/data")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose registry has two versions of a model, the first of them champion."""
    home = tmp_path_factory.mktemp("models")
    two_versions(home)
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Served]:
    """A server that may be asked for all that is registered, and has a camera."""
    with demo_server(home, more="registry: true\n") as served:
        yield served


def version_in(page: Page, version: str) -> Locator:
    """What the page shows of a version of the model."""
    return page.locator("li.version").filter(has=page.get_by_text(version, exact=True))


def dropped(page: Page, content: bytes, name: str, kind: str) -> None:
    """Drags a file from the desktop onto the page and lets it go."""
    transfer = page.evaluate_handle(
        """([text, name, type]) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, {type}));
            return transfer;
        }""",
        [base64.b64encode(content).decode(), name, kind],
    )
    page.locator(".q-uploader").dispatch_event("dragover", {"dataTransfer": transfer})
    page.locator(".q-uploader__dnd").dispatch_event("drop", {"dataTransfer": transfer})


def test_a_model_is_loaded_and_unloaded(server: Served, browser: Browser) -> None:
    """The page, and every other door, tell what the button did."""
    with opened(browser, server.url + "/models") as page:
        row = version_in(page, "1.0.0")
        row.get_by_role("button", name="Load street:1.0.0", exact=True).click(timeout=SLOW)
        expect(row.locator(".standing .chip")).to_have_text(SAID["models.state.ready"], timeout=SLOW)
        expect(row.locator(".standing .note")).to_contain_text("MB", timeout=SLOW)
        assert server.get(STATUS)[1]["state"] == "ready"
        row.get_by_role("button", name="Unload street:1.0.0").click()
        expect(row.locator(".standing .chip")).to_have_text(SAID["models.state.registered"], timeout=SLOW)
        assert server.get(STATUS)[1]["state"] == "registered"


def test_a_load_by_another_door_is_seen(server: Served, browser: Browser) -> None:
    """Nobody has to reload the page to see what an API client did."""
    with opened(browser, server.url + "/models/street") as page:
        chip = version_in(page, "1.1.0").locator(".standing .chip")
        expect(chip).to_have_text(SAID["models.state.registered"], timeout=SLOW)
        assert server.post("/api/v1/models/street:1.1.0/load")[0] == 200
        expect(chip).to_have_text(SAID["models.state.ready"], timeout=SLOW)


def test_an_alias_is_moved_with_a_reason(server: Served, browser: Browser, home: Path) -> None:
    """Without a reason nothing moves; with one the registry has it and the history tells from what to what."""
    why = "Finds <b>more</b> people & is as fast"
    with opened(browser, server.url + "/models/street") as page:
        page.get_by_role("button", name="Move an alias to street:1.1.0").click(timeout=SLOW)
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text("champion: 1.0.0 → 1.1.0")).to_be_visible()
        move = dialog.get_by_role("button", name=SAID["models.alias.do"])
        expect(move).to_be_disabled()
        dialog.get_by_label(SAID["models.alias.why"]).fill(why)
        move.click()
        newest = page.locator("li.move").first
        expect(newest.locator(".move-why")).to_have_text(why, timeout=SLOW)
        expect(newest.locator(".move-way")).to_have_text("1.0.0→1.1.0")
        expect(version_in(page, "1.1.0").locator(".alias")).to_have_text("champion")
    registry = registry_in(home)
    told = registry.history("street")[-1]
    assert registry.find("street@champion").version == "1.1.0"
    assert (told.alias, told.before, told.after, told.why, told.outcome) == (
        "champion",
        "1.0.0",
        "1.1.0",
        why,
        "done",
    )
    with opened(browser, server.url + "/models") as page:
        expect(page.locator("li.move").first).to_contain_text(told.who, timeout=SLOW)


def test_a_move_is_taken_back_in_two_clicks(server: Served, browser: Browser, home: Path) -> None:
    """What the history offers is the version before, with a reason that may be written on."""
    registry = registry_in(home)
    registry.promote("street:1.0.0", "challenger", "to be compared")
    registry.promote("street:1.1.0", "challenger", "a mistake")
    with opened(browser, server.url + "/models/street") as page:
        newest = page.locator("li.move").first
        newest.get_by_role("button", name="Back to 1.0.0").click(timeout=SLOW)
        page.get_by_role("dialog").get_by_role("button", name=SAID["models.alias.do"]).click()
        expect(page.locator("li.move").first.locator(".move-way")).to_have_text("1.1.0→1.0.0", timeout=SLOW)
    assert registry.find("street@challenger").version == "1.0.0"


def test_two_versions_look_at_a_dropped_picture(server: Served, browser: Browser) -> None:
    """Each shows as many boxes as the API finds, and the parts of the difference add up to them."""
    with opened(browser, server.url + "/models/street") as page:
        expect(page.locator(".drop")).to_be_visible(timeout=SLOW)
        dropped(page, PHOTO.read_bytes(), "people.jpeg", "image/jpeg")
        looks = page.locator("figure.look")
        expect(looks).to_have_count(2, timeout=SLOW)
        shown = {look.locator(".look-name").inner_text(): look.locator(".found").count() for look in looks.all()}
        for reference, count in shown.items():
            status, answer = server.post(f"/api/v1/models/{reference}/inference", PHOTO.read_bytes())
            assert status == 200
            assert count == len(answer["results"]["detections"]) > 0
        table = page.get_by_role("region", name=SAID["models.try.differs"])
        cells = np.array(table.locator("td.number").all_inner_texts(), int).reshape(-1, 3)
        both, only_a, only_b = cells.sum(axis=0).tolist()
        assert [both + only_a, both + only_b] == list(shown.values())
        alone = [look.locator(".found[data-alone=true]").count() for look in looks.all()]
        assert alone == [only_a, only_b]
        times = page.get_by_role("region", name=SAID["models.try.times"]).locator("td.number").all_inner_texts()
        assert all(float(time) >= 0 for time in times)
        assert min(float(time) for time in times[2:4]) > 0.5


def test_what_is_no_picture_is_said_to_be_none(server: Served, browser: Browser) -> None:
    """A damaged file, and one of another kind, leave a sentence and nothing else."""
    with opened(browser, server.url + "/models/street", NARROW) as page:
        expect(page.locator(".drop")).to_be_visible(timeout=SLOW)
        dropped(page, PHOTO.read_bytes()[:2000], "cut.jpeg", "image/jpeg")
        expect(page.locator(".trial-state")).to_contain_text("cut off", timeout=SLOW)
        dropped(page, b"hello", "notes.txt", "text/plain")
        expect(page.locator(".trial-state")).to_have_text(SAID["models.try.rejected"], timeout=SLOW)


def test_the_card_tells_where_a_version_comes_from(server: Served, browser: Browser) -> None:
    """Measured figures, notes and lineage at once, the rest when it is asked for."""
    with opened(browser, server.url + "/models/street") as page:
        row = version_in(page, "1.1.0")
        expect(row).to_contain_text(f"Made of {WEIGHTS['1.1.0']}", timeout=SLOW)
        expect(row.locator(".facts").first).to_contain_text("street:1.0.0")
        expect(row.locator(".measured")).to_contain_text(re.compile(r"\d ms"), timeout=SLOW)
        row.get_by_text(SAID["models.card.more"]).click()
        expect(row.locator(".whole-box")).to_contain_text("320 × 320", timeout=SLOW)


def test_an_unknown_model_leads_back_to_all(server: Served, browser: Browser) -> None:
    """A wrong address ends nowhere."""
    with opened(browser, server.url + "/models/nobody") as page:
        expect(page.get_by_text("There is no model nobody")).to_be_visible(timeout=SLOW)


def test_an_empty_server_tells_the_first_commands(browser: Browser, tmp_path: Path) -> None:
    """The page says what to type, makes no registry by looking, and shows the first model when it is registered."""
    (tmp_path / "camcount.yaml").write_text("registry: true\n")
    with (
        camcount_serve(tmp_path, "--config", str(tmp_path / "camcount.yaml")) as server,
        opened(browser, server.url + "/models") as page,
    ):
        expect(page.get_by_text(SAID["models.empty.command.pull"])).to_be_visible(timeout=SLOW)
        assert not (tmp_path / "registry").exists()
        (tmp_path / "made").mkdir()
        shutil.copy(empty_database(), tmp_path / "made" / "mlflow.db")
        (tmp_path / "made").rename(tmp_path / "registry")
        registry_in(tmp_path).register(a_package(tmp_path))
        expect(page.locator("section.model h2")).to_have_text("tiny", timeout=SLOW)


def test_a_registry_that_is_away_leaves_what_is_configured(browser: Browser, tmp_path: Path) -> None:
    """The page says which registry does not answer, and shows the models that need none."""
    away = "http://127.0.0.1:9"
    config = tmp_path / "camcount.yaml"
    config.write_text(f"models: {{plain: {DATA / 'weights' / WEIGHTS['1.0.0']}}}\n")
    with (
        camcount_serve(tmp_path, "--config", str(config), CAMCOUNT_REGISTRY_URL=away) as server,
        opened(browser, server.url + "/models") as page,
    ):
        expect(page.get_by_role("alert")).to_contain_text(away, timeout=SLOW)
        expect(page.locator("section.model h2")).to_have_text("plain")


def test_boxes_of_one_label_over_each_other_are_one_find() -> None:
    """The better overlap wins, another label is no match, and a box is in one pair only."""
    names = ("person", "car")
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]])
    first = Detections(boxes, np.full(3, 0.9), np.array([0, 0, 1]), names)
    second = Detections(boxes[[1, 2]], np.full(2, 0.8), np.array([0, 0]), names)
    found = difference(first, second)
    assert found.pairs == ((1, 0),)
    assert found.alone == (frozenset({0, 2}), frozenset({1}))
    assert found.by_label() == [("person", 1, 1, 1), ("car", 0, 1, 0)]
