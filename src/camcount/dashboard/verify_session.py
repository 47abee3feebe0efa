"""One review as it goes on: where it is, what was answered, what can be taken back; no page in here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from camcount.evaluation.review import Answer, Item, Verdict
from camcount.evaluation.review_folder import ReviewFolder
from camcount.evaluation.review_report import report
from camcount.events import Direction


class Session:
    """Goes on where the folder's answers end.

    Raises:
        UsageError: the answers in the folder are those of another review.
    """

    def __init__(self, folder: ReviewFolder) -> None:
        self.folder = folder
        self._answers = {answer.number: answer for answer in folder.answers()}
        self._given = [item.number for item in self.items if item.number in self._answers]

    @property
    def items(self) -> tuple[Item, ...]:
        """All that is looked at."""
        return self.folder.review.items

    @property
    def done(self) -> int:
        """How many are answered."""
        return len(self._answers)

    @property
    def current(self) -> Item | None:
        """The first without an answer; None where there is none left."""
        return next((item for item in self.items if item.number not in self._answers), None)

    @property
    def next(self) -> Item | None:
        """The one after the current one."""
        left = [item for item in self.items if item.number not in self._answers]
        return left[1] if len(left) > 1 else None

    @property
    def answers(self) -> list[Answer]:
        """In the order of the items."""
        return [self._answers[item.number] for item in self.items if item.number in self._answers]

    def judge(self, verdict: Verdict) -> bool:
        """Answers the current crossing; False where it is none."""
        item = self.current
        if item is None or item.crossing is None:
            return False
        self._give(Answer(number=item.number, verdict=verdict))
        return True

    def tell(self, missed: Mapping[Direction, int]) -> bool:
        """Answers the current moment: how many were missed each way; False where it is none."""
        item = self.current
        if item is None or item.crossing is not None:
            return False
        self._give(Answer(number=item.number, missed=dict(missed)))
        return True

    def undo(self) -> bool:
        """Takes the last answer back; False where there is none."""
        if not self._given:
            return False
        del self._answers[self._given.pop()]
        return True

    def result(self) -> dict[str, Any]:
        """See `camcount.evaluation.review_report.report`; takes milliseconds."""
        return report(self.folder.review, self.answers)

    def _give(self, answer: Answer) -> None:
        self._answers[answer.number] = answer
        self._given.append(answer.number)
