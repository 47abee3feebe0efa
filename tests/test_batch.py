"""Batches: which items, what is kept, what a fault or a kill costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from camcount.batch.gate import Gate
from camcount.batch.items import Item, items_of
from camcount.batch.journal import EVENTS, Journal
from camcount.batch.summary import summary, write_summary
from camcount.batch.work import Batch, Done, Tell
from camcount.errors import DiskFull, SourceError, SourceNotFound, UsageError

LENGTH = {"in": 1, "out": 2, "by_label": {"car": {"in": 1, "out": 2}}}
SHORT = {
    "frames": 10,
    "duration_s": 1.0,
    "lines": {"gate": LENGTH},
    "bounds": {"gate": {"total": {"low": 2, "high": 4}, "coverage": 1.0}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files as they lie about."""
    place = tmp_path / "in"
    for name in ("b.mp4", "a.jpg", "north/b.mp4", "notes.txt", ".hidden/c.mp4", "north/.c.mp4"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    return place


def video(name: str, folder: Path) -> Item:
    """An item with a file."""
    (folder / name).write_text(name)
    return Item(name=name, source=str(folder / name), kind="video")


def run(items: list[Item], do: Any, out: Path, *, workers: int = 2) -> dict[str, Any]:
    """A batch from beginning to end; its summary."""
    journal, gate = Journal(out, {"model": "m"}), Gate()
    batch = Batch(items, do, journal, workers=workers, gate=gate)
    try:
        assert batch.wait(30)
        return write_summary(items, journal)
    finally:
        batch.close()
        journal.close()


def test_folders_give_videos_and_pictures_and_nothing_hidden(folder: Path) -> None:
    """Other files are passed over, sub-folders are part of the name."""
    assert [(i.name, i.kind) for i in items_of([str(folder)])] == [
        ("a.jpg", "picture"),
        ("b.mp4", "video"),
        ("north/b.mp4", "video"),
    ]


def test_globs_and_lists_name_each_file_once(folder: Path) -> None:
    """Also where several sources give it; lines are relative to their list."""
    (folder / "list.txt").write_text("# ours\nb.mp4\n\nnorth/*.mp4\n")
    items = items_of([f"{folder}/**/*.mp4", f"@{folder}/list.txt"])
    assert len(items) == len({item.name for item in items}) == 2
    assert all(Path(item.source).name == "b.mp4" and item.name.startswith("b-") for item in items)


@pytest.mark.parametrize(
    ("source", "error"),
    [("*.avi", SourceNotFound), ("@none.txt", SourceNotFound), ("rtsp://host/1", UsageError), ("usb:0", UsageError)],
)
def test_sources_that_give_nothing_are_refused_at_once(source: str, error: type[Exception], tmp_path: Path) -> None:
    """A camera never ends; the rest is a slip of the pen."""
    with pytest.raises(error):
        items_of([source if "://" in source or source[0] in "@u" else f"{tmp_path}/{source}"])


def test_one_bad_item_does_not_stop_the_others(tmp_path: Path) -> None:
    """It is named with its code in the summary, whatever it raised."""
    items = [video(name, tmp_path) for name in ("a", "b", "c", "d")]

    def do(item: Item, draft: Path, tell: Tell) -> Done:
        if item.name == "b":
            raise SourceError("b is broken")
        if item.name == "c":
            raise ZeroDivisionError("nought")
        return Done({"x": 1}, SHORT)

    totals = run(items, do, tmp_path / "out")
    assert totals["done"] == 2
    assert [(row["item"], row["code"]) for row in totals["failed"]] == [("b", "SRC_002"), ("c", "SYS_001")]
    assert totals["lines"]["gate"] | {"by_label": {}} == {"in": 2, "out": 4, "low": 4, "high": 8, "by_label": {}}


def test_what_is_done_is_not_done_again_and_what_failed_is(tmp_path: Path) -> None:
    """Nor is a result taken for that of a file that has changed since."""
    items = [video(name, tmp_path) for name in ("a", "b", "c")]
    asked: list[str] = []

    def do(item: Item, draft: Path, tell: Tell) -> Done:
        asked.append(item.name)
        if item.name == "b" and len(asked) <= 3:
            raise SourceError("not yet")
        return Done({}, SHORT)

    run(items, do, tmp_path / "out", workers=1)
    (tmp_path / "c").write_text("longer than before")
    totals = run(items, do, tmp_path / "out", workers=1)
    assert asked == ["a", "b", "c", "b", "c"]
    assert (totals["done"], totals["failed"]) == (3, [])


def test_an_item_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """Its draft goes, and it is open in the summary."""
    item = video("a", tmp_path)
    journal, gate, begun = Journal(tmp_path / "out", {}), Gate(), threading.Event()

    def do(item: Item, draft: Path, tell: Tell) -> Done | None:
        (draft / EVENTS).write_text("half")
        begun.set()
        while gate.passes():
            time.sleep(0.01)
        return None

    batch = Batch([item], do, journal, workers=1, gate=gate)
    assert begun.wait(10)
    batch.close()
    assert summary([item], journal.entries)["open"] == 1
    journal.close()
    assert {path.name for path in (tmp_path / "out").rglob("*")} == {"journal.jsonl"}


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    """What a kill leaves of a line costs its item, and only that."""
    items = [video(name, tmp_path) for name in ("a", "b")]
    run(items, lambda item, draft, tell: Done({}, SHORT), tmp_path / "out")
    path = tmp_path / "out" / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    journal = Journal(tmp_path / "out", {"model": "m"})
    assert sorted(journal.done(item) for item in items) == [False, True]
    journal.close()


def test_a_folder_serves_one_process_and_one_set_of_settings(tmp_path: Path) -> None:
    """Results of two models side by side would be nobody's."""
    first = Journal(tmp_path, {"model": "m"})
    with pytest.raises(UsageError, match="another camcount batch"):
        Journal(tmp_path, {"model": "m"})
    first.close()
    with pytest.raises(UsageError, match=r"other settings \(model\)"):
        Journal(tmp_path, {"model": "n"})
    Journal(tmp_path, {"model": "n"}, anew=True).close()
    Journal(tmp_path, {"model": "n"}).close()


def test_a_full_disk_stops_the_batch(tmp_path: Path) -> None:
    """The rest would only fail too; nothing of the item is noted."""
    items = [video(f"{k}", tmp_path) for k in range(20)]

    def do(item: Item, draft: Path, tell: Tell) -> Done:
        raise DiskFull("the disk is full")

    journal, gate = Journal(tmp_path / "out", {}), Gate()
    batch = Batch(items, do, journal, workers=1, gate=gate)
    with pytest.raises(DiskFull):
        batch.wait(30)
    batch.close()
    assert journal.entries == {}
    journal.close()


def test_a_paused_batch_does_nothing_until_it_goes_on(tmp_path: Path) -> None:
    """And its clock stands still, so that the rate stays true."""
    items = [video(f"{k}", tmp_path) for k in range(3)]
    journal, gate = Journal(tmp_path / "out", {}), Gate()
    gate.pause()
    batch = Batch(items, lambda item, draft, tell: Done({}, SHORT), journal, workers=2, gate=gate)
    assert not batch.wait(0.3)
    assert batch.progress.done == 0
    assert batch.progress.elapsed_s < 0.2
    gate.go_on()
    assert batch.wait(10)
    assert batch.progress.done == 3
    batch.close()
    journal.close()


def clips(data: Path, folder: Path) -> list[Path]:
    """Four real videos of ten seconds."""
    folder.mkdir()
    found = sorted((data / "videos" / "tfl").glob("*.mp4"))[:4]
    for clip in found:
        (folder / clip.name).symlink_to(clip)
    return found


def start(folder: Path, out: Path, home: Path) -> subprocess.Popen[bytes]:
    """``camcount batch`` in a process of its own."""
    line = ("--line", "gate=0.1,0.5,0.9,0.5", "--duration", "3s")
    command = [
        sys.executable,
        "-m",
        "camcount",
        "batch",
        str(folder),
        "--out",
        str(out),
        "--workers",
        "1",
        *line,
        "--json",
    ]
    environment = {**os.environ, "CAMCOUNT_HOME": str(home)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finished(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What it printed."""
    out, said = process.communicate(timeout=240)
    assert process.returncode == 0, said.decode()
    totals: dict[str, Any] = orjson.loads(out)
    return totals


def until_done(out: Path, many: int) -> None:
    """Waits until so many items are in the journal."""
    journal = out / "journal.jsonl"
    until = time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b"\n") < many + 1:
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_batch_goes_on_where_it_was(data: Path, tmp_path: Path, number: signal.Signals) -> None:
    """The counts are those of an undisturbed run, and what was done is not done again."""
    clips(data, tmp_path / "in")
    whole = finished(start(tmp_path / "in", tmp_path / "whole", tmp_path / "home"))
    process = start(tmp_path / "in", tmp_path / "out", tmp_path / "home")
    until_done(tmp_path / "out", 1)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGTERM else -number)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "items").glob("*.json")}
    assert kept
    again = finished(start(tmp_path / "in", tmp_path / "out", tmp_path / "home"))
    assert again["lines"] == whole["lines"]
    assert again["kept"] >= 1
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())
    for path in (tmp_path / "whole" / "items").iterdir():
        if path.name.endswith(EVENTS):
            assert path.read_bytes() == (tmp_path / "out" / "items" / path.name).read_bytes()
