"""A review on disk: a strip for each item, and the form with the answers, kept as they are given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from camcount.errors import writing
from camcount.evaluation.review import Answer, Item, Review, read_answers, write_answers
from camcount.geometry import Points
from camcount.protocols import Source
from camcount.video.strips import compose, strips
from camcount.video.writer import save_picture

FORM = "answers.csv"


class ReviewFolder:
    """The folder of one review; made if it is not there, and answers that are in it are kept.

    Args:
        suffix: of the strips, ``.png`` or ``.jpg``.

    Raises:
        UsageError, DiskFull: it cannot be written.
    """

    def __init__(self, path: Path, review: Review, *, suffix: str = ".png") -> None:
        self.path, self.review, self._suffix = path, review, suffix
        with writing(path, "review"):
            (path / "strips").mkdir(parents=True, exist_ok=True)
        if not self.form.exists():
            self.keep(())

    @property
    def form(self) -> Path:
        """Where the answers are."""
        return self.path / FORM

    def strip(self, item: Item) -> Path:
        """Where the pictures of an item are."""
        return self.path / "strips" / f"{item.number:04d}{self._suffix}"

    def cut(self, source: Source, lines: Mapping[str, Points]) -> Iterator[Item]:
        """Writes the strips in one pass over ``source``, which is open; gives each item that is done.

        Args:
            lines: of the video in pixels, by name; what is not in it is not drawn.

        Raises:
            DiskFull, SourceError: the other strips are missing then.
        """
        items = self.review.items
        for k, frames in strips(source, [(item.start_s, item.end_s) for item in items]):
            item = items[k]
            shown = [item.crossing] if item.crossing else item.counted
            marks = [(c.time_s, *c.point) for c in shown if c]
            save_picture(self.strip(item), compose(frames, lines.get(item.line), marks))
            yield item

    def answers(self) -> list[Answer]:
        """Those given so far.

        Raises:
            UsageError: the form is of another review, or was filled in otherwise.
        """
        return read_answers(self.review, self.form)

    def keep(self, answers: Iterable[Answer]) -> None:
        """Writes the form, whole or not at all.

        Raises:
            UsageError, DiskFull: it cannot be written; the one before stays.
        """
        part = self.form.with_suffix(".part")
        with writing(self.form, "answers"):
            write_answers(self.review, part, answers)
            part.replace(self.form)
