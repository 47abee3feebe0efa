"""The trackers by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from camcount.errors import UsageError
from camcount.protocols import Tracker
from camcount.tracking.bytetrack import ByteTracker
from camcount.tracking.camcount import CamcountTracker
from camcount.tracking.ocsort import OcSortTracker
from camcount.tracking.sort import SortTracker

TRACKERS: dict[str, Callable[..., Tracker]] = {
    "camcount": CamcountTracker,
    "bytetrack": ByteTracker,
    "ocsort": OcSortTracker,
    "sort": SortTracker,
}
"""Every tracker that ``--tracker`` knows, the default first."""


def tracker_for(name: str = "camcount", **options: Any) -> Tracker:
    """A new tracker for one camera; ``options`` go to its constructor.

    Raises:
        UsageError: there is no tracker of that name, or it does not know an option.
    """
    if name not in TRACKERS:
        raise UsageError(f"no tracker is called {name!r}: choose one of {', '.join(TRACKERS)}")
    try:
        return TRACKERS[name](**options)
    except TypeError as error:
        raise UsageError(f"tracker {name!r}: {error}") from None
