"""The folder of a batch: results that are there whole or not at all, and the journal of what is done."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from camcount.batch.items import Item
from camcount.errors import DiskFull, UsageError, writing

EVENTS = "events.jsonl"
RESULT = "result.json"
NAME = "journal.jsonl"


class Journal:
    """What became of each item, a line each in ``journal.jsonl``; a killed process leaves at most a torn last line.

    An item's files are written into a folder of drafts. `keep` moves them to ``items/NAME.json`` and
    ``items/NAME.events.jsonl`` and only then writes the line: an item without a line is done anew. One process
    at a time works in a folder.

    Args:
        folder: made if it is not there.
        settings: what the results depend on; those of another time must be the same.
        anew: lets go of all results of other times.

    Raises:
        UsageError: another process works there, its results are of other settings, or it cannot be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, anew: bool = False) -> None:
        self.folder = folder.absolute()
        self.entries: dict[str, dict[str, Any]] = {}
        path = self.folder / NAME
        with writing(path, "journal"):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = path.open("a+b", buffering=0)
        try:
            self._lock()
            if anew:
                self._file.truncate(0)
                shutil.rmtree(self.folder / "items", ignore_errors=True)
            self.run_id = self._begin(orjson.loads(orjson.dumps(settings)))
        except BaseException:
            self._file.close()
            raise
        self._drafts = self.folder / ".unfinished"
        shutil.rmtree(self._drafts, ignore_errors=True)

    def done(self, item: Item) -> bool:
        """Whether there is a result of this very file."""
        entry = self.entries.get(item.name)
        return (
            bool(entry and entry["ok"] and (entry["source"], entry["stamp"]) == (item.source, item.stamp))
            and self.result(item.name).is_file()
        )

    def result(self, name: str) -> Path:
        """Where the result of an item is."""
        return self._place(name, "json")

    def draft(self) -> Path:
        """A new folder for the files of one item."""
        folder = self._drafts / uuid.uuid4().hex
        with writing(folder, "results"):
            folder.mkdir(parents=True)
        return folder

    def keep(self, item: Item, stamp: str, draft: Path, result: Mapping[str, Any], short: Mapping[str, Any]) -> None:
        """Files what was found out about an item, and notes ``short`` of it.

        Raises:
            DiskFull, UsageError: it is not done then.
        """
        target = self.result(item.name)
        with writing(target, "results"):
            (draft / RESULT).write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
            target.parent.mkdir(parents=True, exist_ok=True)
            if (draft / EVENTS).exists():
                (draft / EVENTS).replace(self._place(item.name, EVENTS))
            (draft / RESULT).replace(target)
        self._note(item, {"stamp": stamp, "ok": True, **short})

    def fail(self, item: Item, code: str, error: str, took_s: float) -> None:
        """Notes that an item could not be done; it is tried again the next time."""
        self._note(item, {"stamp": item.stamp, "ok": False, "code": code, "error": error, "took_s": took_s})

    def discard(self, draft: Path) -> None:
        """Lets a draft go."""
        shutil.rmtree(draft, ignore_errors=True)

    def close(self) -> None:
        """Lets others work in the folder."""
        shutil.rmtree(self._drafts, ignore_errors=True)
        self._file.close()

    def _place(self, name: str, suffix: str) -> Path:
        return self.folder / "items" / f"{name}.{suffix}"

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"another camcount batch works in {self.folder}: wait, or give another --out") from None

    def _begin(self, settings: dict[str, Any]) -> str:
        self._file.seek(0)
        lines = self._file.read().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        self._file.truncate(sum(map(len, whole)))
        try:
            rows = [orjson.loads(line) for line in whole]
            head, entries = (rows[0], rows[1:]) if rows else (None, [])
            self.entries = {entry["item"]: entry for entry in entries}
            if head is None:
                head = {"run": uuid.uuid4().hex[:12], "settings": settings}
                self._write(head)
            changed = sorted(k for k in {*head["settings"], *settings} if head["settings"].get(k) != settings.get(k))
            run_id = str(head["run"])
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            raise UsageError(f"{self._file.name} is no journal of a batch: give another --out") from None
        if changed:
            raise UsageError(
                f"{self.folder} holds results with other settings ({', '.join(changed)}): "
                "give another --out, or --anew to do all again"
            )
        return run_id

    def _note(self, item: Item, more: Mapping[str, Any]) -> None:
        entry = {"item": item.name, "kind": item.kind, "source": item.source, **more}
        self._write(entry)
        self.entries[item.name] = entry

    def _write(self, row: Mapping[str, Any]) -> None:
        line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        end = os.fstat(self._file.fileno()).st_size
        with writing(Path(self._file.name), "journal"):
            if self._file.write(line) != len(line):
                self._file.truncate(end)
                raise DiskFull(f"the disk is full: {self._file.name} holds what was done up to here, free some space")


@dataclass(frozen=True, slots=True)
class KeptVideo:
    """A video that a batch has counted: its name in the batch, where it is, and where its events are."""

    name: str
    source: str
    events: Path


def kept_videos(folder: Path) -> tuple[dict[str, Any], list[KeptVideo]]:
    """What a batch was asked for, and the videos that are done; also while a process works in the folder.

    Raises:
        UsageError: there is no journal of a batch.
    """
    path = folder / NAME
    try:
        rows = [orjson.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        last = {row["item"]: row for row in rows[1:]}
        videos = [row for row in last.values() if row["ok"] and row["kind"] == "video"]
        found = [KeptVideo(r["item"], r["source"], folder / "items" / f"{r['item']}.{EVENTS}") for r in videos]
        return rows[0]["settings"], [one for one in found if one.events.is_file()]
    except (OSError, orjson.JSONDecodeError, KeyError, IndexError, TypeError) as error:
        raise UsageError(f"{path} is no journal of a batch ({type(error).__name__})") from None
