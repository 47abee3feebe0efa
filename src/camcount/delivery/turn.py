"""One server at a time delivers to a sink: a lease on its position, kept alive by a thread of its own."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress

from camcount.errors import CamcountError
from camcount.storage.positions import Held, Positions

LEASE_S = 10.0
"""After so long without a word from the server that delivers, another one takes over."""
_OWN = 0.75
"""Share of the lease after which a server that could not renew it stops by itself, before another begins."""


class Turn:
    """Whether this server delivers under a name. All durations are by each server's own steady clock, which agree.

    Whoever delivers counts up a number in the row of the position, four times in a lease. Who waits takes over when
    the number has stood still for a whole lease: no two clocks are ever compared.

    Args:
        positions: where; the row of ``name`` must be there.
        lease_s: how long who is gone is waited for; the same for all servers.

    Attributes:
        unbroken: whether nobody else delivered before this turn was taken again.
    """

    def __init__(
        self,
        positions: Positions,
        name: str,
        *,
        lease_s: float = LEASE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner, self.unbroken = uuid.uuid4().hex, False
        self._positions, self._name, self._lease_s, self._clock = positions, name, lease_s, clock
        self._lock = threading.Lock()
        self._until = self._seen_at = float("-inf")
        self._seen = Held()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def mine(self) -> bool:
        """Whether this server delivers, for certain."""
        return self._clock() < self._until

    def take(self) -> bool:
        """Begins or goes on if nobody else delivers; asks the database only where this server does not.

        Raises:
            DatabaseUnavailable: it does not answer.
        """
        with self._lock:
            if self.mine:
                return True
            now, held = self._clock(), self._positions.held(self._name)
            if held != self._seen:
                self._seen, self._seen_at = held, now
            others = held.owner not in ("", self.owner)
            if (others and now - self._seen_at < self._lease_s) or not self._renewed(now, held):
                return False
            self.unbroken = held.owner == self.owner
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"camcount-turn-{self._name}", daemon=True)
            self._thread.start()
        return True

    def lose(self) -> None:
        """Another server was found to deliver."""
        self._until = float("-inf")

    def close(self) -> None:
        """Ends the turn, so that another server need not wait."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock, suppress(CamcountError):  # else the others wait for the lease
            if self.mine:
                self._positions.hold(self._name, "", self._seen)
            self.lose()

    def _run(self) -> None:
        while not self._ending.wait(self._lease_s / 4):
            with self._lock, suppress(CamcountError):  # the turn ends by itself if this lasts
                if self.mine and not self._renewed(self._clock(), self._seen):
                    self.lose()

    def _renewed(self, now: float, held: Held) -> bool:
        if not self._positions.hold(self._name, self.owner, held):
            return False
        self._seen, self._seen_at = Held(self.owner, held.beats + 1), now
        self._until = now + _OWN * self._lease_s
        return True
