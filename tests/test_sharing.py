"""One loaded model for all replicas of it, as long as it works."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from camcount.detections import Detections
from camcount.errors import ModelLoadFailed
from camcount.frame import Frame
from camcount.serving.sharing import SharedModel


class Model:
    """Knows whether it was closed."""

    labels: tuple[str, ...] = ("person",)

    def __init__(self, concurrency: int = 0) -> None:
        self.concurrency = concurrency
        self.closed = 0

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Finds nothing."""
        return [Detections.empty(self.labels) for _ in frames]

    def close(self) -> None:
        """Counts."""
        self.closed += 1


class Shelf:
    """Loads models, and keeps what it has loaded."""

    def __init__(self, concurrency: int = 0) -> None:
        self.loaded: list[Model] = []
        self.concurrency = concurrency

    def load(self) -> Model:
        """One more."""
        self.loaded.append(Model(self.concurrency))
        return self.loaded[-1]


def test_loaded_once_and_closed_by_the_last() -> None:
    """Three replicas, one model; it goes with the third."""
    shelf = Shelf()
    model = SharedModel(shelf.load)
    workers = [model.worker() for _ in range(3)]
    assert len(shelf.loaded) == 1
    for worker in workers[:2]:
        worker.close()
        worker.close()  # twice is once
    assert shelf.loaded[0].closed == 0
    workers[2].close()
    assert shelf.loaded[0].closed == 1


def test_loaded_anew_after_the_last_was_closed() -> None:
    """What is closed is not handed out again."""
    shelf = Shelf()
    model = SharedModel(shelf.load)
    model.worker().close()
    model.worker().close()
    assert [one.closed for one in shelf.loaded] == [1, 1]


@pytest.mark.parametrize(("concurrency", "apart"), [(1, False), (0, True)])
def test_each_has_its_own_where_threads_may_not_share(concurrency: int, apart: bool) -> None:
    """Models with a memory of earlier frames, and models on a GPU."""
    shelf = Shelf(concurrency)
    model = SharedModel(shelf.load, apart=apart)
    first, second = model.worker(), model.worker()
    first.close()
    assert [one.closed for one in shelf.loaded] == [1, 0]
    second.close()
    assert [one.closed for one in shelf.loaded] == [1, 1]


def test_who_follows_a_lost_replica_has_a_model_of_its_own() -> None:
    """Whatever hangs in there hangs without the newcomer; the old model goes with its last user."""
    shelf = Shelf()
    model = SharedModel(shelf.load)
    lost, other = model.worker(), model.worker()
    lost.lose()
    fresh = model.worker()
    assert fresh.detector is not other.detector
    assert model.worker().detector is fresh.detector
    other.close()
    assert shelf.loaded[0].closed == 0
    lost.close()
    assert [one.closed for one in shelf.loaded] == [1, 0]


def test_a_model_that_cannot_be_loaded_is_tried_again() -> None:
    """The error reaches who asked, and nothing is kept of it."""
    shelf = Shelf()

    def load() -> Model:
        if not shelf.loaded:
            shelf.load()
            raise ModelLoadFailed("no")
        return shelf.load()

    model = SharedModel(load)
    with pytest.raises(ModelLoadFailed):
        model.worker()
    assert id(model.worker().detector) == id(shelf.loaded[1])


def test_a_server_without_cameras_does_without_scipy() -> None:
    """It takes 30 MB."""
    program = (
        "import sys, camcount.server, camcount.dashboard.mounting; print([m for m in sys.modules if m == 'scipy'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
