"""The steps of preparation: each takes a draft of a model and gives another one, and says what became of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camcount.detection.buckets import BucketDetector
from camcount.detection.detector import ModelDetector
from camcount.detection.spec import ModelSpec
from camcount.detections import Detections
from camcount.engines.onnx import OnnxEngine
from camcount.engines.onnx_saving import simplified
from camcount.frame import Frame
from camcount.models.manifest import Size
from camcount.models.prepare_forms import chain_pools, convolve_before_stacking, join_stem
from camcount.models.prepare_graph import Graph
from camcount.models.prepare_narrow import Measured, narrow
from camcount.models.prepare_nodes import CannotChange, Nodes
from camcount.models.prepare_trim import trim

Form = Callable[[Nodes], int]

FORMS: dict[str, Form] = {
    "first layer joined": join_stem,
    "pools chained": chain_pools,
    "convolved before stacking": convolve_before_stacking,
}
"""Steps that leave every number as it is, by name."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A model on its way: its files by input size, the main one first, and the classes that are left."""

    spec: ModelSpec
    files: Mapping[Size, bytes]

    @property
    def main(self) -> Size:
        """The main input size."""
        return self.spec.width, self.spec.height

    def detector(self, size: Size | None = None) -> ModelDetector | BucketDetector:
        """The draft as a detector; in one input size only, if one is given."""
        if size is not None:
            return self._in(size)
        return BucketDetector(
            self._in(self.main), {at: partial(self._in, at) for at in self.files if at != self.main}
        )

    def _in(self, size: Size) -> ModelDetector:
        spec = replace(self.spec, width=size[0], height=size[1])
        return ModelDetector(OnnxEngine(self.files[size]), spec)


def rectangle(main: Size, step: int, width: int, height: int) -> Size:
    """The smallest input size in which a picture of that shape is as large as in the main one.

    >>> rectangle((416, 416), 32, 1920, 1080), rectangle((416, 416), 32, 640, 480)
    ((416, 256), (416, 320))
    """
    scale = min(main[0] / width, main[1] / height)
    sides = (round(side * scale) for side in (width, height))
    across, down = (min(-(-side // step) * step, limit) for side, limit in zip(sides, main, strict=True))
    return across, down


def alignment(spec: ModelSpec) -> int:
    """What both sides of an input size have to be multiples of, as far as the model's own size shows."""
    strides = spec.parameters.get("strides", (32,))
    return math.gcd(spec.width, spec.height, max(strides))


def free_batch(draft: Draft) -> tuple[Draft, str]:
    """Any number of pictures may go in at once."""

    def change(graph: Graph) -> None:
        if graph.batch_is_free:
            raise CannotChange("it takes any number of pictures already")
        graph.free_batch()

    changed = _changed(draft, change)
    _require_equal_batch(changed)
    return changed, "any number of pictures at once"


def _require_equal_batch(draft: Draft) -> None:
    engine = OnnxEngine(draft.files[draft.main])
    name, pair = _noise(engine, 2)
    both = engine.run({name: pair})
    single = [engine.run({name: pair[row : row + 1]}) for row in range(2)]
    for number, output in enumerate(both):
        if not np.allclose(output, np.concatenate([one[number] for one in single]), rtol=1e-3, atol=1e-2):
            raise CannotChange("pictures that go in together come out changed")


def _noise(engine: OnnxEngine, pictures: int) -> tuple[str, NDArray[Any]]:
    """The name of an engine's input and something to put in."""
    info = next(iter(engine.inputs.values()))
    sides = (pictures, *(side or 1 for side in info.shape[1:]))
    return info.name, np.random.default_rng(0).random(sides, np.float32).astype(info.dtype)


def keep_labels(draft: Draft, labels: Sequence[str]) -> tuple[Draft, str]:
    """All other classes are cut out of the last layers."""
    names = draft.spec.labels
    kept = [number for number, name in enumerate(names) if name in labels]
    if len(kept) == len(names):
        raise CannotChange("it has no other classes")
    changed = _changed(draft, lambda graph: graph.keep_classes(kept, len(names)))
    spec = replace(draft.spec, labels=tuple(names[number] for number in kept))
    return replace(changed, spec=spec), f"{len(names)} classes cut to {len(kept)}"


def add_size(draft: Draft, size: Size) -> tuple[Draft, str]:
    """A file for another input size beside those that there are."""
    graph = Graph(draft.files[draft.main])
    graph.resize(*size)
    share = size[0] * size[1] / (draft.main[0] * draft.main[1])
    return replace(draft, files={**draft.files, size: graph.content}), f"{share:.0%} of the pixels"


def simplify(draft: Draft) -> tuple[Draft, str]:
    """What every runtime would do on opening the files is done."""
    files = {size: simplified(content) for size, content in draft.files.items()}
    counts = [Graph(content).nodes for content in (draft.files[draft.main], files[draft.main])]
    return replace(draft, files=files), f"{counts[0]} nodes to {counts[1]}"


def in_cheaper_form(draft: Draft, form: Form) -> tuple[Draft, str]:
    """The same numbers from quicker operations."""
    files, counts = {}, []
    for size, content in draft.files.items():
        nodes = Nodes(content)
        counts.append(form(nodes))
        files[size] = nodes.content
        _require_equal_numbers(content, files[size])
    return replace(draft, files=files), f"{counts[0]} operation{'s' if counts[0] > 1 else ''} changed"


def trimmed(draft: Draft, frames: Sequence[Frame], found: Sequence[Detections]) -> tuple[Draft, str]:
    """The first layer looks at fewer pixels at a time, fitted to sample pictures."""
    files, detail = trim(draft.files, draft.spec, frames, found)
    return replace(draft, files=files), detail


def narrower(draft: Draft, measured: Callable[[], Measured], share: float) -> tuple[Draft, str]:
    """Layers that serve nothing but the classes' scores keep a share of their channels, fitted to sample pictures."""
    files, layers = narrow(draft.files, len(draft.spec.labels), measured(), share)
    return replace(draft, files=files), f"{layers} layers with {share:.0%} of the channels"


def _require_equal_numbers(before: bytes, after: bytes) -> None:
    engines = [OnnxEngine(content) for content in (before, after)]
    name, picture = _noise(engines[0], 1)
    for old, new in zip(*(engine.run({name: picture}) for engine in engines), strict=True):
        if not np.allclose(old, new, rtol=1e-3, atol=1e-3):
            raise CannotChange("the same picture comes out changed")


def _changed(draft: Draft, change: Callable[[Graph], object]) -> Draft:
    files = {}
    for size, content in draft.files.items():
        graph = Graph(content)
        change(graph)
        files[size] = graph.content
    return replace(draft, files=files)
