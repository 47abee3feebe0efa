"""Kill, power cut, outage: what was committed is there once, what was not can be committed again."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from camcount.errors import DatabaseUnavailable
from camcount.storage.counts import CountBatch, CountStore
from camcount.storage.database import open_database
from tests.counted import crossing
from tests.databases import new_server, new_url

BATCHES, EACH, KILLS = 400, 3, 10

_CAMERA = """
import sys
from camcount.storage.counts import CountBatch, CountStore
from camcount.storage.database import open_database
from tests.counted import crossing
store = CountStore(open_database(sys.argv[1]))
print("ready", flush=True)
for k in range(int(store.checkpoint("door") or 0), int(sys.argv[2])):
    events = tuple(crossing(3 * k + n, "out" if n else "in") for n in range(3))
    store.commit(CountBatch(camera_id="door", events=events, checkpoint=str(k + 1).encode(), occupancy={"hall": k}))
    print(k + 1, flush=True)
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_kills_in_mid_commit_lose_nothing_and_double_nothing(kind: str, tmp_path: Path) -> None:
    """A camera that goes on from its checkpoint after each ends with the totals of an undisturbed run.

    Whatever it was told is committed is there after the kill.
    """
    url = new_url(kind, tmp_path)
    store = CountStore(open_database(url))
    when = random.Random(kind)
    command = [sys.executable, "-c", _CAMERA, url, str(BATCHES)]
    kills = 0
    for _ in range(KILLS):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as camera:
            assert camera.stdout is not None
            assert camera.stdout.readline() == "ready\n"
            # by the work done, not by the clock: a slow machine is killed in mid-commit too
            for _ in range(when.randrange(1, BATCHES // KILLS)):
                camera.stdout.readline()
            time.sleep(when.random() * 0.005)
            camera.kill()
            told = camera.stdout.read().split()
        kills += camera.returncode == -9
        committed = int(store.checkpoint("door") or 0)
        assert committed >= int(told[-1] if told else 0)
        assert len(store.events(limit=10_000)) == EACH * committed
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0
    found = store.events(limit=10_000)
    assert kills == KILLS
    assert [one.number for one in found] == list(range(1, EACH * BATCHES + 1))
    assert [one.event.time_s for one in found] == [float(k) for k in range(EACH * BATCHES)]
    assert store.totals()["door"]["gate"] == {
        "in": BATCHES,
        "out": 2 * BATCHES,
        "by_label": {"person": {"in": BATCHES, "out": 2 * BATCHES}},
    }


# SQLAlchemy forgets a connection whose server goes just after it was made; the garbage collector closes it
@pytest.mark.filterwarnings("ignore:.*deleted while still open:ResourceWarning")
def test_a_database_that_is_stopped_and_started_under_four_cameras() -> None:
    """Each tries its batch again until it is written: every event once, whichever answers were lost."""
    server = new_server()
    database = open_database(server.url())
    store, refused = CountStore(database), [0] * 4

    def watch(camera: int) -> None:
        for k in range(150):
            events = tuple(crossing(2 * k + n, camera_id=f"c{camera}") for n in range(2))
            batch = CountBatch(camera_id=f"c{camera}", events=events, checkpoint=str(k).encode())
            while True:
                try:
                    store.commit(batch)
                    break
                except DatabaseUnavailable:
                    refused[camera] += 1
                    time.sleep(0.02)

    cameras = [threading.Thread(target=watch, args=(camera,)) for camera in range(4)]
    try:
        for thread in cameras:
            thread.start()
        for stop in range(2):
            while len(store.events(limit=2000)) < 300 * (stop + 1):
                time.sleep(0.01)
            server.stop()
            time.sleep(0.3)
            server.start()
        for thread in cameras:
            thread.join(timeout=120)
        assert not any(thread.is_alive() for thread in cameras)
        assert all(refused)
        found = store.events(limit=10_000)
        assert [one.number for one in found] == list(range(1, 1201))
        assert len({one.event.event_id for one in found}) == 1200
        assert {camera: lines["gate"]["in"] for camera, lines in store.totals().items()} == {
            f"c{camera}": 300 for camera in range(4)
        }
        database.close()
    finally:
        server.stop()
        gc.collect()
