"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_DATA = Path(os.environ.get("CAMCOUNT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real videos, truths and weights; a user's clone does not have it."""
    if not (_DATA / "README.md").exists():
        pytest.skip(f"no test data at {_DATA}: set CAMCOUNT_TEST_DATA to a folder that has it")
    return _DATA
