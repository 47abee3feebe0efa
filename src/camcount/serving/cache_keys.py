"""What answers are kept under."""

from __future__ import annotations

import hashlib

from camcount.protocols import Thresholds


def model_prefix(model: str, version: str = "") -> str:
    """What the keys of one model, or of one version of it, begin with, and no other model's keys do.

    >>> model_prefix("yolox-nano"), model_prefix("yolox-nano", "1.0.0")
    ('yolox-nano:', 'yolox-nano:1.0.0:')
    """
    return f"{_part(model)}:{_part(version)}:" if version else f"{_part(model)}:"


def inference_key(model: str, version: str, config: str, thresholds: Thresholds, content: bytes) -> str:
    """The key of one picture's answer: it changes with everything that the answer depends on.

    Args:
        model, version: what answers.
        config: a digest of how it is set up (engine, labels, sizes, whatever changes its answers).
        thresholds: what the request wants.
        content: the picture's file. SHA-256 of it: where the processor has instructions for it, as servers' do, it
            takes half the time of BLAKE2b.

    >>> inference_key("yolox-nano", "1.0.0", "c0ffee", Thresholds(0.5), b"picture")[:43]
    'yolox-nano:1.0.0:c0ffee:0.5/None/None:2cea2'
    """
    wanted = f"{thresholds.confidence}/{thresholds.nms_iou}/{thresholds.max_detections}"
    return f"{model_prefix(model, version)}{_part(config)}:{wanted}:{hashlib.sha256(content).hexdigest()}"


def _part(text: str) -> str:
    return text.replace("%", "%25").replace(":", "%3A")
