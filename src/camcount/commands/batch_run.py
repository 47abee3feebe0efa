"""A batch under way: progress, signals, and what it says at the end."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from camcount.commands import console

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from camcount.batch.gate import Gate
    from camcount.batch.items import Item
    from camcount.batch.record import Record
    from camcount.batch.work import Batch, Progress
    from camcount.settings import Settings
    from camcount.storage.batch_runs import State


def print_items(items: Sequence[Item], settings: Settings, out: Path | None, *, as_json: bool) -> None:
    """Lists what would be done, and what is done already."""
    from camcount.app_batch import dependent
    from camcount.batch.journal import Journal

    kept: set[str] = set()
    if out is not None and (out / "journal.jsonl").is_file():
        journal = Journal(out, dependent(settings))
        kept = {item.name for item in items if journal.done(item)}
        journal.close()
    if as_json:
        rows = [{"item": i.name, "kind": i.kind, "source": i.source, "done": i.name in kept} for i in items]
        console.print_json({"items": rows})
        return
    for item in items:
        typer.echo(f"{'done' if item.name in kept else 'to do'}\t{item.kind}\t{item.name}\t{item.source}")


def work(
    items: Sequence[Item], settings: Settings, out: Path, *, workers: int | None, anew: bool, as_json: bool
) -> None:
    """Does all items and prints the summary.

    Raises:
        CamcountError: the folder, the model or the database cannot be used.
        typer.Exit: 1 where items failed or the run was cancelled, 130 where it was stopped.
    """
    from camcount.app_batch import ItemCounter, dependent
    from camcount.batch.gate import Gate
    from camcount.batch.journal import Journal
    from camcount.batch.record import Record
    from camcount.batch.summary import write_summary
    from camcount.batch.work import Batch
    from camcount.serving.options import cores
    from camcount.storage.batch_runs import Runs
    from camcount.storage.database import open_database

    gate, many = Gate(), min(workers or settings.threads or cores(), len(items))
    begun = time.perf_counter()
    with ExitStack() as stack:
        journal = Journal(out, dependent(settings), anew=anew)
        stack.callback(journal.close)
        database = open_database()
        stack.callback(database.close)
        todo = [item for item in items if not journal.done(item)]
        count = ItemCounter(settings, todo, workers=many, gate=gate)
        stack.callback(count.close)
        record = Record(Runs(database), journal.run_id, gate)
        kept = len(items) - len(todo)
        Runs(database).begin(journal.run_id, str(journal.folder), items=len(items), done=kept)
        with _stopping(gate), console.progress(as_json) as bar:
            progress, state = _watched(Batch(items, count, journal, workers=many, gate=gate), record, gate, bar)
        record.end(state, progress)
        totals: dict[str, Any] = {"run": journal.run_id, "state": state, "folder": str(journal.folder)}
        totals |= {"kept": progress.kept, "took_s": round(time.perf_counter() - begun, 3)}
        totals |= write_summary(items, journal)
    console.warn(record.warnings)
    _tell(totals, state, as_json=as_json)


def _watched(batch: Batch, record: Record, gate: Gate, bar: Bar) -> tuple[Progress, State]:
    task = bar.add_task(f"{batch.progress.items} items", total=1.0, state="")
    over = False
    try:
        while not over and not gate.stopped:
            over = batch.wait(0.2)
            progress = batch.progress
            record.update(progress)
            bar.update(task, completed=progress.share, state=_state(progress, paused=gate.paused))
    except KeyboardInterrupt:
        gate.stop()
    finally:
        batch.close()
    batch.wait(0)  # what stopped it by itself, a full disk, is said
    progress = batch.progress
    if progress.kept + progress.done + progress.failed < progress.items:
        return progress, "cancelled" if record.cancelled else "stopped"
    return progress, "failed" if progress.failed else "done"


def _state(progress: Progress, *, paused: bool) -> str:
    done = progress.kept + progress.done + progress.failed
    words = f"{done} of {progress.items}  {progress.rate:.0f} frames/s"
    if progress.failed:
        words += f"  {progress.failed} failed"
    return words + "  paused" if paused else words


@contextmanager
def _stopping(gate: Gate) -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does; SIGUSR1 pauses it and SIGUSR2 lets it go on."""
    does = {signal.SIGTERM: gate.stop, signal.SIGUSR1: gate.pause, signal.SIGUSR2: gate.go_on}
    before = {number: signal.signal(number, lambda *_, act=act: act()) for number, act in does.items()}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _tell(totals: dict[str, Any], state: State, *, as_json: bool) -> None:
    if as_json:
        console.print_json(totals)
    else:
        from camcount.commands.tables import print_batch

        print_batch(totals)
    for row in totals["failed"]:
        sys.stderr.write(f"camcount: {row['item']} failed: {row['error']} ({row['code']})\n")
    if state in ("cancelled", "stopped"):
        sys.stderr.write(f"camcount: {state} with {totals['open']} items open: the same command goes on from here\n")
    if state != "done":
        raise typer.Exit(130 if state == "stopped" else 1)
