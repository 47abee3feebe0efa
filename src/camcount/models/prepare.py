"""Preparing a model for the cameras it will serve: each step is kept only if the boxes stay the same.

The plain artifact stays in the package: every step can be undone, and its check be run again at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path, PurePosixPath

from camcount.detection.buckets import BucketDetector, best_size
from camcount.detection.detector import ModelDetector
from camcount.detections import Detections
from camcount.errors import ModelError, UsageError
from camcount.frame import Frame
from camcount.models.agreement import Agreement, agreement, answers, only, times_as_fast
from camcount.models.manifest import Manifest, Plain, Size, Step
from camcount.models.package import Package, seal
from camcount.models.packaged import detector_of
from camcount.models.prepare_narrow import measure
from camcount.models.prepare_nodes import CannotChange
from camcount.models.prepare_steps import (
    FORMS,
    Draft,
    add_size,
    alignment,
    free_batch,
    in_cheaper_form,
    keep_labels,
    narrower,
    rectangle,
    simplify,
    trimmed,
)

LEAST = 0.99
_ENOUGH = 10
"""Fewer sure boxes than this prove nothing."""
_ENOUGH_UNSEEN = 100
"""And fewer than this nothing of what was fitted to other pictures."""

TRIMMED = "first layer trimmed"
"""The step that leaves pixels of the first layer out."""

NARROWER = {0.5: "class branches halved", 0.75: "class branches narrowed"}
"""Shares of their channels that class branches may keep, the boldest first, and what the step is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What to prepare a model for.

    Attributes:
        labels: cut all other classes out; ``None``: keep all.
        sizes: further input sizes; ``None``: those that the shapes of the sample pictures call for.
        least: recall and precision below which a step is undone.
        rounds: how often the speed is measured.
    """

    labels: tuple[str, ...] | None = None
    sizes: tuple[Size, ...] | None = None
    least: float = LEAST
    rounds: int = 5


@dataclass(slots=True)
class Preparation:
    """The steps over one model and its sample pictures."""

    plain: Draft
    frames: Sequence[Frame]
    wishes: Wishes
    report: Callable[[Step], None] = lambda step: None
    steps: list[Step] = field(default_factory=list)
    _answers: list[Detections] = field(default_factory=list)

    def run(self) -> Draft:
        """All steps, one after the other; what the last kept one left."""
        self._answers = answers(self.plain.detector(), self.frames)
        draft = self._try("free batch axis", self.plain, free_batch)
        if self.wishes.labels is not None:
            draft = self._try("fewer classes", draft, partial(keep_labels, labels=self.wishes.labels))
        for size in self._sizes():
            draft = self._try(f"input {size[0]}x{size[1]}", draft, partial(add_size, size=size), size)
        draft = self._try("constants folded", draft, simplify)
        for name, form in FORMS.items():
            draft = self._try(name, draft, partial(in_cheaper_form, form=form))
        return self._fitted(draft)

    def _fitted(self, draft: Draft) -> Draft:
        """Fitted to every other picture, judged by the rest: what was learned by heart would not hold elsewhere."""
        unseen = range(1, len(self.frames), 2)
        pictures = self.frames[::2], [only(found, draft.spec.labels) for found in self._answers[::2]]
        trim = partial(trimmed, frames=pictures[0], found=pictures[1])
        draft = self._try(TRIMMED, draft, trim, unseen=unseen)
        if self.wishes.labels is None:
            return draft
        measured = cache(partial(measure, draft.files, draft.spec, *pictures))
        for share, name in NARROWER.items():
            after = self._try(name, draft, partial(narrower, measured=measured, share=share), unseen=unseen)
            if after is not draft:
                return after
        return draft

    def _sizes(self) -> Iterator[Size]:
        main = self.plain.main
        wanted = self.wishes.sizes
        if wanted is None:
            step = alignment(self.plain.spec)
            wanted = tuple(
                rectangle(main, step, *shape) for shape in sorted({(f.width, f.height) for f in self.frames})
            )
        yield from (size for size in dict.fromkeys(wanted) if size != main)

    def _try(
        self,
        name: str,
        before: Draft,
        change: Callable[[Draft], tuple[Draft, str]],
        size: Size | None = None,
        unseen: Sequence[int] | None = None,
    ) -> Draft:
        try:
            after, detail = change(before)
            rows, least = (self._rows(after, size), _ENOUGH) if unseen is None else (unseen, _ENOUGH_UNSEEN)
            kept, step = self._judge(name, before, after, detail, size, rows, least)
        except (CannotChange, ModelError) as error:
            kept, step = before, Step(name=name, kept=False, detail=f"not possible: {error}")
        self.steps.append(step)
        self.report(step)
        return kept

    def _judge(
        self, name: str, before: Draft, after: Draft, detail: str, size: Size | None, rows: Sequence[int], least: int
    ) -> tuple[Draft, Step]:
        if not rows:
            lacking = "has this shape" if size else "is left to judge it by"
            return before, Step(name=name, kept=False, detail=f"{detail}; no sample picture {lacking}")
        frames = [self.frames[row] for row in rows]
        changed = after.detector(size)
        found = agreement([self._answers[row] for row in rows], answers(changed, frames), after.spec.labels)
        holds = min(found.recall, found.precision) >= self.wishes.least
        enough = found.plain_sure >= least
        speed = times_as_fast(before.detector(), changed, _spread(frames, 16), self.wishes.rounds)
        if not enough:
            detail += f"; only {found.plain_sure} sure boxes in the sample pictures: give a video with more in it"
        step = Step(
            name=name,
            kept=holds and enough,
            detail=detail,
            recall=found.recall,
            precision=found.precision,
            speed=round(speed, 3),
        )
        return (after if step.kept else before), step

    def _rows(self, draft: Draft, size: Size | None) -> list[int]:
        """The sample pictures that a step is about."""
        if size is None:
            return list(range(len(self.frames)))
        sizes = list(draft.files)
        return [
            row
            for row, frame in enumerate(self.frames)
            if best_size(sizes, draft.spec.fit, frame.width, frame.height) == size
        ]


def prepare(
    package: Package, frames: Sequence[Frame], wishes: Wishes, report: Callable[[Step], None] = lambda step: None
) -> Package:
    """Prepares a package in its own folder, beginning with the plain model again if it was prepared before.

    Raises:
        UsageError: a model that is not prepared here, or a label that it does not have.
        ModelLoadFailed: the package is damaged.
    """
    package = undo(package)
    manifest = package.manifest
    _require_preparable(manifest, wishes)
    plain = Draft(manifest.spec(), {manifest.input.size: package.artifact.read_bytes()})
    work = Preparation(plain, frames, wishes, report)
    draft = work.run()
    if draft is plain:
        return seal(package.root, manifest.changed(preparation=work.steps))
    return _write(package, draft, work.steps)


def _require_preparable(manifest: Manifest, wishes: Wishes) -> None:
    if manifest.engine not in ("onnx", "openvino") or not manifest.artifact.endswith(".onnx"):
        raise UsageError(f"{manifest.reference} is no ONNX file: only those are prepared, others serve as they are")
    if manifest.encryption is not None:
        raise UsageError(f"{manifest.reference} is encrypted: prepare it first, encrypt it then")
    if strays := set(wishes.labels or ()) - set(manifest.labels.values()):
        raise UsageError(
            f"{manifest.reference} has no label {min(strays)!r}: it has {', '.join(manifest.labels.values())}"
        )


def _write(package: Package, draft: Draft, steps: list[Step]) -> Package:
    manifest, root = package.manifest, package.root
    plain = PurePosixPath("plain") / manifest.artifact
    (root / plain).parent.mkdir(parents=True, exist_ok=True)
    package.artifact.rename(root / plain)
    buckets = []
    for (width, height), content in draft.files.items():
        name = manifest.artifact
        if (width, height) != draft.main:
            name = str(PurePosixPath(name).with_suffix("")) + f"-{width}x{height}.onnx"
            buckets.append({"size": (width, height), "artifact": name})
        (root / name).write_bytes(content)
    labels = dict(enumerate(draft.spec.labels))
    thresholds = manifest.thresholds.model_dump()
    thresholds["labels"] = {label: value for label, value in thresholds["labels"].items() if label in labels.values()}
    return seal(
        root,
        manifest.changed(
            input={**manifest.input.model_dump(), "buckets": buckets},
            labels=labels,
            thresholds=thresholds,
            plain=Plain(
                artifact=str(plain),
                size=manifest.input.size,
                labels=manifest.labels,
                thresholds=manifest.thresholds,
            ).model_dump(),
            preparation=[step.model_dump() for step in steps],
        ),
    )


def undo(package: Package) -> Package:
    """The package as it was before it was prepared, in its own folder."""
    manifest, root = package.manifest, package.root
    plain = manifest.plain
    if plain is None:
        return package
    for name in set(manifest.sizes.values()):
        (root / name).unlink()
    (root / plain.artifact).rename(root / manifest.artifact)
    for folder in Path(plain.artifact).parents[:-1]:
        (root / folder).rmdir()
    return seal(
        root,
        manifest.changed(
            input={**manifest.input.model_dump(), "buckets": ()},
            labels=plain.labels,
            thresholds=plain.thresholds.model_dump(),
            plain=None,
            preparation=(),
        ),
    )


def plain_detector(package: Package) -> ModelDetector | BucketDetector:
    """The model as it was before it was prepared, for the labels that are left.

    Raises:
        UsageError: the package was not prepared, so that there is nothing to compare.
        ModelLoadFailed: a file is damaged.
    """
    manifest = package.manifest
    if manifest.plain is None:
        raise UsageError(
            f"{manifest.reference} is as it was made: prepare it first, then there is something to check"
        )
    as_made = manifest.changed(
        artifact=manifest.plain.artifact,
        engine="onnx",
        engine_options={},
        input={**manifest.input.model_dump(), "buckets": ()},
        labels=manifest.plain.labels,
    )
    return detector_of(Package(package.root, as_made), labels=list(manifest.labels.values()))


def check(package: Package, frames: Sequence[Frame], rounds: int = 5) -> tuple[Agreement, float]:
    """The prepared model against the plain one in its package, over all pictures: agreement, and times as fast.

    Raises:
        UsageError, ModelLoadFailed: as `plain_detector`.
    """
    plain = plain_detector(package)
    prepared = detector_of(package)
    found = agreement(answers(plain, frames), answers(prepared, frames), prepared.labels)
    return found, times_as_fast(plain, prepared, _spread(frames, 32), rounds)


def _spread(frames: Sequence[Frame], count: int) -> Sequence[Frame]:
    """About so many of them, from all over."""
    return frames[:: max(1, len(frames) // count)]
