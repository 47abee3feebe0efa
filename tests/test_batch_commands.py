"""``camcount batch`` and ``camcount site`` as a user types them, and as their documents say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from tests.test_commands import Terminal

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def desk(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the documents speak of: short real videos, pictures, weights."""
    monkeypatch.setenv("CAMCOUNT_HOME", str(tmp_path / "home"))
    videos = sorted((data / "videos" / "tfl").glob("*.mp4"))
    for name, video in {"hall": videos[0], "yard": videos[0], "annex": videos[1]}.items():
        (tmp_path / f"{name}.mp4").symlink_to(video)
    for folder in ("recordings", "photos", "archive/2026", "incoming"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("recordings", "archive/2026"):
        (tmp_path / folder / "street.mp4").symlink_to(videos[2])
    for picture in sorted((data / "images/coco128/images").iterdir())[:3]:
        (tmp_path / "photos" / picture.name).symlink_to(picture)
    (tmp_path / "more.txt").write_text("annex.mp4\n")
    (tmp_path / "yolox_nano.onnx").symlink_to(data / "weights/yolox_nano_416x416.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def camcount(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Terminal:
    """The command, typed."""
    return Terminal(monkeypatch, capfd)


def commands(document: str) -> list[str]:
    """The command lines of a document."""
    blocks = re.findall(r"```console\n(.*?)```", (DOCS / document).read_text(), re.DOTALL)
    return [line.removeprefix("camcount ") for block in blocks for line in block.splitlines()]


def test_the_site_of_the_documents_is_counted_as_written(camcount: Terminal, desk: Path) -> None:
    """Two cameras that see the same see nobody twice."""
    text = (DOCS / "sites.md").read_text()
    (desk / "site.yaml").write_text(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    *counts, site = commands("sites.md")
    for command in counts:
        assert camcount(*shlex.split(command)).status == 0
    said = camcount(*shlex.split(site), "--json")
    assert said.status == 0, said.err
    main = said.json["doors"]["main"]
    assert main["sightings"] == 2 * main["seen_twice"] == 2 * (main["entries"] + main["exits"]) > 0


def test_the_batches_of_the_documents_run_as_written(camcount: Terminal, desk: Path) -> None:
    """Videos and pictures, lists and globs; only so much of each video, to save time."""
    first, second, dry = commands("batch.md")[:3]
    shown = camcount(*shlex.split(dry))
    assert shown.out.split("\t")[:3] == ["to do", "video", "street.mp4"]
    said = camcount(*shlex.split(first), "--duration", "2s", "--json")
    assert said.status == 0, said.err
    assert said.json["state"] == "done"
    assert said.json["lines"]["gate"]["in"] + said.json["lines"]["gate"]["out"] > 0
    result = orjson.loads((desk / "results/items/street.mp4.json").read_bytes())
    rows = (desk / "results/items/street.mp4.events.jsonl").read_bytes().splitlines()
    assert sum(orjson.loads(row)["type"] == "crossing" for row in rows) == sum(
        result["lines"]["gate"][way] for way in ("in", "out")
    )
    said = camcount(*shlex.split(second), "--duration", "1s", "--json")
    assert said.status == 0, said.err
    assert (said.json["items"], said.json["done"]) == (5, 5)
    assert sum(said.json["objects"].values()) > 0
    boxes = (desk / "all/detections.csv").read_text().splitlines()
    assert len(boxes) == 1 + sum(said.json["objects"].values())
    assert camcount(*shlex.split(second), "--duration", "1s", "--json").json["kept"] == 5
    listed = camcount("batch", "list", "--json").json["runs"]
    assert [(run["state"], run["done"], run["items"]) for run in listed] == [("done", 5, 5), ("done", 1, 1)]


def test_pictures_need_a_model_and_a_run_a_place(camcount: Terminal, desk: Path) -> None:
    """Asked wrongly is status 2 and one line."""
    for arguments, complaint in [
        (("photos",), "--out"),
        ((), "Usage"),
        (("--out", "x"), "nothing to do"),
        (("photos", "--out", "x"), "nothing moves in a picture"),
        (("pause", "none"), "no run begins"),
        (("remove", "none"), "no schedule"),
        (("schedule", "* *", "photos", "--out", "x"), "no cron expression"),
        (("schedule", "@daily", "photos"), "--out"),
        (("schedule", "@daily", "photos", "--out", "x", "--modle", "y"), "--modle"),
    ]:
        said = camcount("batch", *arguments)
        assert said.status in ((0, 2) if complaint == "Usage" else (2,)), said.err
        assert complaint in said.err + said.out


def test_a_schedule_counts_what_has_come_since(camcount: Terminal, desk: Path) -> None:
    """The command of the documents, but for every minute in place of every night."""
    schedule = next(c for c in commands("batch.md") if c.startswith("batch schedule"))
    (desk / "incoming/new.mp4").symlink_to((desk / "hall.mp4").resolve())
    words = [word.replace("0 3 * * *", "* * * * *") for word in shlex.split(schedule)]
    said = camcount(*words, "--duration", "1s")
    assert said.out.startswith("schedule nightly: first at"), said.err
    listed = camcount("batch", "list").out
    assert "nightly" in listed
    environment = {**os.environ, "CAMCOUNT_HOME": str(desk / "home")}
    watch = subprocess.Popen([sys.executable, "-m", "camcount", "batch", "watch"], env=environment)
    until = time.monotonic() + 200
    while not (desk / "nightly/summary.json").exists():
        assert time.monotonic() < until
        time.sleep(0.2)
    watch.terminate()
    assert watch.wait(30) == 0
    assert orjson.loads((desk / "nightly/summary.json").read_bytes())["done"] == 1
    removed = camcount("batch", "remove", "nightly")
    assert removed.status == 0, removed.err
    assert camcount("batch", "list", "--json").json["schedules"] == []


def test_a_run_is_paused_and_continued_from_another_process(camcount: Terminal, desk: Path) -> None:
    """It says so, does nothing meanwhile, and ends as any other."""
    command = [sys.executable, "-m", "camcount", "batch", "recordings", "--out", "x", "--fps", "5", "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "CAMCOUNT_HOME": str(desk / "home")}
    )
    until = time.monotonic() + 60
    while not (runs := camcount("batch", "list", "--json").json["runs"]):
        assert time.monotonic() < until
    assert camcount("batch", "pause", runs[0]["run_id"][:6]).status == 0
    while camcount("batch", "list", "--json").json["runs"][0]["state"] != "paused":
        assert time.monotonic() < until
        assert process.poll() is None, "it was over before it could be paused"
    time.sleep(1.5)
    assert process.poll() is None
    assert camcount("batch", "continue", runs[0]["run_id"]).status == 0
    out, _ = process.communicate(timeout=120)
    assert orjson.loads(out)["state"] == "done"
    said = camcount("batch", "cancel", runs[0]["run_id"])
    assert (said.status, "is done" in said.err) == (2, True)
