"""What all tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

collect_ignore = ["triton_http.py"]
"""A script for the environment of Triton's client: it cannot be imported in ours."""

# how long an example takes is no fact about what it shows, and other tests run beside it
settings.register_profile("beside others", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("beside others")

_DATA = Path(os.environ.get("CAMCOUNT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_collection_finish() -> None:
    """Unloading a model collects garbage: what tests have imported is none, and going through it takes longest."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real videos, truths and weights; a user's clone does not have it."""
    if not (_DATA / "README.md").exists():
        pytest.skip(f"no test data at {_DATA}: set CAMCOUNT_TEST_DATA to a folder that has it")
    return _DATA


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for all tests of a module: while it runs, `asyncio.run` cannot be used beside it."""
    from tests.browsers import started_browser

    with started_browser() as browser:
        yield browser


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Where CI says that nothing may be skipped, a skip is a failure."""
    report = yield
    if report.skipped and "CAMCOUNT_NO_SKIPS" in os.environ and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report
