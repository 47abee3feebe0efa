"""Real data planes over fake models, for the tests of doors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import camcount.serving.models
from camcount.api.v2_statistics import Tally
from camcount.serving.dataplane import DataPlane
from camcount.serving.options import ServedModel, ServingOptions
from camcount.serving.requests import DetectionRequest, TensorRequest
from tests.fake_models import FakeFound, Faults

Opened = tuple[DataPlane, Tally, Faults]


def fake_plane(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *, faults: Faults | None = None, **options: Any
) -> Opened:
    """A plane with one loaded model, ``fake``, which does as its faults say."""
    shared = faults or Faults()
    monkeypatch.setattr(camcount.serving.models, "find_model", lambda source, **_: FakeFound(shared))
    weights = folder / "fake.onnx"
    weights.touch()
    tally = Tally()
    served = {"fake": ServedModel(model=str(weights))}
    plane = DataPlane(served, options=ServingOptions(**{"replicas": 1, **options}), recorders=[tally])
    plane.start(["fake"])
    return plane, tally, shared


Make = Callable[..., Opened]


def futures_of(plane: DataPlane) -> list[Future[Any]]:
    """Everything that is submitted from now on, to see when it is called off."""
    seen: list[Future[Any]] = []
    submit = plane.submit

    def noted(request: DetectionRequest | TensorRequest) -> Future[Any]:
        seen.append(submit(request))
        return seen[-1]

    plane.submit = noted  # type: ignore[method-assign] # only watched
    return seen


def until(true: Callable[[], bool]) -> None:
    """Waits for something that another thread does."""
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    assert true()


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Make]:
    """Makes such planes and closes them."""
    made: list[Opened] = []

    def make(**given: Any) -> Opened:
        made.append(fake_plane(monkeypatch, tmp_path, **given))
        return made[-1]

    yield make
    for plane, _, faults in made:
        faults.hold.set()
        plane.close(2)
