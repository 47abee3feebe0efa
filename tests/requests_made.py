"""Requests that have ended, for the tests of what is measured of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from camcount.stats import RequestStats, Stages


def ended(**fields: Any) -> RequestStats:
    """One request to ``people:1.0.0``, answered after 60 ms with two objects, unless ``fields`` say otherwise."""
    usual: dict[str, Any] = {
        "model": "people",
        "version": "1.0.0",
        "door": "rest",
        "request_id": "req-1",
        "replica": "r0",
        "queue_s": 0.010,
        "stages": Stages(preprocess_s=0.005, inference_s=0.040, postprocess_s=0.001),
        "total_s": 0.060,
        "confidences": np.array([0.9, 0.4], np.float32),
    }
    return RequestStats(**usual | fields)
