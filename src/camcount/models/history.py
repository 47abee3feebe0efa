"""The promotion history: one MLflow run per move, begun before it and finished after it, then never changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from camcount.models.home import user
from camcount.models.records import OURS, promotion, promotion_tags
from camcount.models.registered import Action, Promotion, RegisteredVersion


@dataclass(frozen=True, slots=True)
class Move:
    """A promotion that is under way; if it is cut off, its run tells so by having no outcome."""

    run_id: str
    entry: Promotion


class History:
    """What is written down of promotions and removals.

    Args:
        client: an `MlflowClient`.
        experiment: the id of the experiment that keeps the history.
    """

    def __init__(self, client: Any, experiment: str) -> None:
        self._client = client
        self._experiment = experiment

    def begin(self, of: RegisteredVersion, action: Action, *, alias: str, before: str, after: str, why: str) -> Move:
        """Writes down what is about to be done."""
        entry = Promotion(
            model=of.name,
            action=action,
            alias=alias,
            before=before,
            after=after,
            who=user(),
            when=datetime.now(UTC),
            why=why,
            outcome="unknown",
            digest=of.digest,
        )
        run = self._client.create_run(self._experiment, tags=promotion_tags(entry))
        return Move(run.info.run_id, entry)

    def finish(self, move: Move, when: datetime, outcome: str = "done") -> Promotion:
        """Writes down what became of it, and when that was certain."""
        self._client.set_tag(move.run_id, f"{OURS}at", when.isoformat())
        self._client.set_tag(move.run_id, f"{OURS}outcome", outcome)
        self._client.set_terminated(move.run_id)
        return replace(move.entry, when=when, outcome=outcome)


def in_order(runs: Iterable[Any]) -> list[Promotion]:
    """What the runs tell, the oldest first."""
    return sorted((promotion(run) for run in runs), key=lambda one: one.when)
