"""Items done several at once, each failing by itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camcount.batch.gate import Gate
from camcount.batch.items import Item
from camcount.batch.journal import Journal
from camcount.errors import CamcountError, DiskFull

Tell = Callable[[int, float], None]
"""Is told of an item, again and again: frames so far, and the share of it that is done, 0..1."""

_log = logging.getLogger("camcount.batch")


@dataclass(frozen=True, slots=True)
class Done:
    """What was found out about one item: ``result`` for its file, ``short`` for the journal and the summary."""

    result: Mapping[str, Any]
    short: Mapping[str, Any]


Do = Callable[[Item, Path, Tell], Done | None]
"""Does one item; other files than the result go into the folder it is given. None: it was stopped in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a batch is.

    Attributes:
        items: all of them; ``kept`` had been done before, ``done`` and ``failed`` were now.
        share: of the work that there was to do now, 0..1.
        frames: seen now.
        elapsed_s: seconds of work, pauses left out.
    """

    items: int
    kept: int
    done: int
    failed: int
    share: float
    frames: int
    elapsed_s: float

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / max(self.elapsed_s, 1e-9)


class Batch:
    """Does the items that the journal does not have yet, ``workers`` at once.

    Args:
        do: does one item; called from the workers' threads.
        gate: pauses and stops; ``do`` asks it too.

    Raises:
        DiskFull: from `wait`; the batch stops, for no other item would fare better.
    """

    def __init__(self, items: Sequence[Item], do: Do, journal: Journal, *, workers: int, gate: Gate) -> None:
        self._do = do
        self._journal = journal
        self._gate = gate
        self._items = len(items)
        self._todo = [item for item in items if not journal.done(item)]
        self._lock = threading.Lock()
        self._under_way: dict[str, tuple[int, float]] = {}
        self._done = self._failed = self._frames = 0
        self._begun = time.perf_counter()
        self._paused_s = 0.0
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="batch")
        self._futures: list[Future[None]] = [self._pool.submit(self._one, item) for item in self._todo]

    def wait(self, timeout_s: float) -> bool:
        """Waits so long at most; whether all is over.

        Raises:
            DiskFull: no space was left.
        """
        begun = time.perf_counter()
        over, still = wait(self._futures, timeout_s, FIRST_EXCEPTION)
        for future in over:
            future.result()
        if self._gate.paused:
            self._paused_s += time.perf_counter() - begun
        return not still

    def close(self) -> None:
        """Sends home who is still at work, and waits for that."""
        self._gate.stop()
        self._pool.shutdown(cancel_futures=True)

    @property
    def progress(self) -> Progress:
        """How far it is at this moment."""
        with self._lock:
            ended = self._done + self._failed
            frames = self._frames + sum(frames for frames, _ in self._under_way.values())
            share = (ended + sum(share for _, share in self._under_way.values())) / max(len(self._todo), 1)
        return Progress(
            items=self._items,
            kept=self._items - len(self._todo),
            done=self._done,
            failed=self._failed,
            share=min(share, 1.0) if self._todo else 1.0,
            frames=frames,
            elapsed_s=time.perf_counter() - self._begun - self._paused_s,
        )

    def _one(self, item: Item) -> None:
        if not self._gate.passes():
            return
        begun = time.perf_counter()
        draft = self._journal.draft()
        stamp = item.stamp  # of before: a file that is written meanwhile is done anew the next time
        try:
            done = self._do(item, draft, lambda frames, share: self._told(item, frames, share))
            if done is not None:
                took_s = round(time.perf_counter() - begun, 3)
                with self._lock:
                    self._journal.keep(item, stamp, draft, done.result, {**done.short, "took_s": took_s})
            self._ended(item, done=int(done is not None))
        except DiskFull:
            self._gate.stop()
            raise
        except Exception as error:  # whatever is wrong with one file must not cost the others
            self._fail(item, error, round(time.perf_counter() - begun, 3))
        finally:
            self._journal.discard(draft)

    def _fail(self, item: Item, error: Exception, took_s: float) -> None:
        if isinstance(error, CamcountError):
            code, words = error.code, str(error)
        else:
            _log.debug("%s", item.source, exc_info=error)
            code, words = "SYS_001", f"internal error, {type(error).__name__}: {error}"
        with self._lock:
            self._journal.fail(item, code, " ".join(words.split()), took_s)
        self._ended(item, failed=1)

    def _told(self, item: Item, frames: int, share: float) -> None:
        with self._lock:
            self._under_way[item.name] = frames, min(max(share, 0.0), 1.0)

    def _ended(self, item: Item, *, done: int = 0, failed: int = 0) -> None:
        with self._lock:
            frames, _ = self._under_way.pop(item.name, (0, 0.0))
            self._frames += frames
            self._done += done
            self._failed += failed
