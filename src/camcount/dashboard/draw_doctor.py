"""What the line doctor says of the line that is being drawn, from what the running camera saw in the last minute."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from nicegui import ui

from camcount.cameras.lately import Lately
from camcount.counting.doctor import Diagnosis, Ledger
from camcount.counting.doctor_causes import Cause, CauseKind, nearest_edge
from camcount.counting.doctor_proposal import better_line
from camcount.dashboard.draw_board import Board
from camcount.dashboard.draw_shapes import Drawn
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import Chip, Tone, button, card, tag
from camcount.errors import GeometryError
from camcount.geometry import Anchor

_LOOK_S = 0.7
_AGAIN_S = 15.0
_FEW = 10
_MOST_CAUSES = 3
_TONES: dict[str, Tone] = {"good": "good", "fair": "warn", "poor": "bad", "unknown": "quiet"}
CAUSES: dict[CauseKind, str] = {
    "empty": "draw.cause.empty",
    "elsewhere": "draw.cause.elsewhere",
    "edge": "draw.cause.edge",
    "broken": "draw.cause.broken",
    "short_before": "draw.cause.short",
    "short_after": "draw.cause.short",
    "rate": "draw.cause.rate",
    "small": "draw.cause.small",
    "unsure": "draw.cause.unsure",
    "crowd": "draw.cause.crowd",
    "hidden": "draw.cause.hidden",
}
_SIDES = {"left": "draw.side.left", "right": "draw.side.right", "top": "draw.side.top", "bottom": "draw.side.bottom"}
_one = asyncio.Semaphore(1)
"""One line is looked at at a time, whoever draws: cameras need the processor too."""


@dataclass(frozen=True, slots=True)
class _Seen:
    ledger: Ledger
    diagnosis: Diagnosis

    @property
    def objects(self) -> int:
        return len(self.ledger.confirmed)


class Doctor:
    """A card beside the board.

    Args:
        lately: what the camera saw. anchor, labels: the camera's own.
    """

    def __init__(
        self, visit: Visit, board: Board, lately: Lately, anchor: Anchor, labels: tuple[str, ...] | None
    ) -> None:
        self._visit, self._board, self._lately = visit, board, lately
        self._anchor: Anchor = anchor
        self._labels = labels
        self._asked: object = None
        self._at = 0.0
        self._busy = False
        self._better: Diagnosis | None = None
        with card(visit.say("draw.doctor"), classes="doctor") as section:
            section.props('aria-live="polite"')
            with ui.element("div").classes("row doctor-verdict"):
                self._chip = Chip()
                self._said = tag("p", visit.say("draw.choose"))
            self._causes = ui.element("ul").classes("doctor-causes")
            self._proposal = ui.element("div").classes("doctor-proposal")
            with self._proposal:
                self._words = tag("p", "", "note")
                button(visit.say("draw.accept"), self.accept, icon="auto_fix_high", primary=True)
            self._watched = tag("p", "", "note")
        self._chip.hide()
        self._proposal.set_visibility(False)
        ui.timer(_LOOK_S, self._look)

    def accept(self) -> None:
        """Puts the line where the doctor would have it."""
        shape, better = self._board.chosen, self._better
        if shape is not None and better is not None:
            self._offer(None)
            self._board.move(shape, better.line.points)

    async def _look(self) -> None:
        shape = self._board.chosen
        if shape is None or shape.kind != "line" or len(shape.points) < 2:
            self._nothing()
            return
        asked = shape.id, shape.points, shape.labels, shape.anchor
        if self._busy or (asked == self._asked and time.monotonic() - self._at < _AGAIN_S):
            return
        if asked != self._asked:
            self._offer(None)
            self._said.set_text(self._visit.say("draw.looking"))
        fresh, self._asked, self._at, self._busy = asked != self._asked, asked, time.monotonic(), True
        try:
            async with _one:
                seen = await asyncio.to_thread(self._examined, shape)
            if seen is None:
                self._nothing()
                return
            self._tell(seen)
            if not self._board.moving and self._board.selected == shape.id and (fresh or self._better is None):
                async with _one:
                    better = await asyncio.to_thread(better_line, seen.ledger, seen.diagnosis)
                if self._board.selected == shape.id and shape.points == asked[1]:
                    self._offer(better)
        finally:
            self._busy = False

    def _examined(self, shape: Drawn) -> _Seen | None:
        recording = self._lately.recording(shape.anchor or self._anchor, shape.labels or self._labels)
        if not recording.frames:
            return None
        ledger = Ledger(recording)
        try:
            return _Seen(ledger, ledger.diagnose([shape.line()])[0])
        except GeometryError:
            return None

    def _nothing(self) -> None:
        if self._asked is None:
            return
        self._asked = None
        self._chip.hide()
        self._causes.clear()
        self._offer(None)
        self._said.set_text(self._visit.say("draw.choose"))

    def _tell(self, seen: _Seen) -> None:
        say, diagnosis = self._visit.say, seen.diagnosis
        self._chip.show()
        self._chip.set(say(f"draw.grade.{diagnosis.grade}"), _TONES[diagnosis.grade])
        share = f"{100 * (diagnosis.loss or 0.0):.0f}"
        self._said.set_text(say("draw.nobody") if diagnosis.loss is None else say("draw.miss", share=share))
        self._causes.clear()
        with self._causes:
            for cause in diagnosis.causes[:_MOST_CAUSES]:
                tag("li", self._why(cause, seen))
        recording = seen.ledger.recording
        seconds = f"{recording.end_s - recording.begin_s:.0f}"
        key = "draw.few" if seen.objects < _FEW else "draw.watched"
        self._watched.set_text(say(key, n=seen.objects, seconds=seconds, crossed=diagnosis.counted))

    def _why(self, cause: Cause, seen: _Seen) -> str:
        recording, line = seen.ledger.recording, seen.diagnosis.line
        size = recording.width, recording.height
        share, side = nearest_edge(line.at(*size), *size)
        return self._visit.say(CAUSES[cause.kind], side=self._visit.say(_SIDES[side]), share=f"{100 * share:.0f}")

    def _offer(self, better: Diagnosis | None) -> None:
        if better is None and self._better is None:
            return
        self._better = better
        self._board.propose(None if better is None else better.line.points)
        self._proposal.set_visibility(better is not None)
        if better is not None:
            share = f"{100 * (better.loss or 0.0):.0f}"
            self._words.set_text(self._visit.say("draw.better", share=share))
