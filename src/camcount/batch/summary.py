"""What a whole batch came to: totals, and a table with a row per item and line."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from camcount.batch.items import Item
from camcount.batch.journal import Journal
from camcount.errors import writing

COLUMNS = (
    *("item", "kind", "source", "ok", "error", "took_s", "frames", "duration_s"),
    *("line", "in", "out", "low", "high", "coverage", "objects"),
)
BOXES = ("item", "label", "confidence", "left", "top", "right", "bottom")


def summary(items: Sequence[Item], entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The totals of what is done of the items, ready for JSON.

    Lines of one name are added up over the videos, ``low`` and ``high`` too: wider than need be, as if all videos
    erred to the same side.
    """
    rows = [entries[item.name] for item in items if item.name in entries]
    done = [row for row in rows if row["ok"]]
    failed = [row for row in rows if not row["ok"]]
    objects: Counter[str] = Counter()
    for row in done:
        objects.update(row.get("objects", {}))
    return {
        "items": len(items),
        "done": len(done),
        "failed": [{name: row[name] for name in ("item", "source", "code", "error")} for row in failed],
        "open": len(items) - len(rows),
        "frames": sum(row["frames"] for row in done),
        "duration_s": round(sum(row.get("duration_s", 0.0) for row in done), 3),
        "lines": _lines(done),
        "objects": dict(objects.most_common()),
    }


def write_summary(items: Sequence[Item], journal: Journal) -> dict[str, Any]:
    """Writes ``summary.json``, ``summary.csv`` and, for pictures, ``detections.csv`` beside the results.

    Raises:
        DiskFull, UsageError: one of them cannot be written.
    """
    totals = summary(items, journal.entries)
    _replace(journal.folder / "summary.json", orjson.dumps(totals, option=orjson.OPT_INDENT_2))
    done = [journal.entries[item.name] for item in items if item.name in journal.entries]
    _table(journal.folder / "summary.csv", COLUMNS, (row for entry in done for row in _rows(entry)))
    pictures = [entry["item"] for entry in done if entry["kind"] == "picture" and entry["ok"]]
    if pictures:
        _table(journal.folder / "detections.csv", BOXES, _boxes(journal, pictures))
    return totals


def _lines(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    lines: dict[str, Any] = {}
    for row in done:
        for name, counts in row.get("lines", {}).items():
            line = lines.setdefault(name, {"in": 0, "out": 0, "low": 0, "high": 0, "by_label": {}})
            bounds = row["bounds"][name]["total"]
            for way in ("in", "out"):
                line[way] += counts[way]
            line["low"] += bounds["low"]
            line["high"] = None if None in (line["high"], bounds["high"]) else line["high"] + bounds["high"]
            for label, both in counts["by_label"].items():
                sums = line["by_label"].setdefault(label, {"in": 0, "out": 0})
                for way in ("in", "out"):
                    sums[way] += both[way]
    return lines


def _rows(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    row = {name: entry.get(name) for name in COLUMNS}
    row["ok"] = int(entry["ok"])
    row["objects"] = " ".join(f"{label}={count}" for label, count in entry.get("objects", {}).items())
    for name, counts in entry.get("lines", {}).items():
        bounds = entry["bounds"][name]
        yield row | {
            "line": name,
            **{way: counts[way] for way in ("in", "out")},
            **{end: bounds["total"][end] for end in ("low", "high")},
            "coverage": bounds["coverage"],
        }
    if not entry.get("lines"):
        yield row


def _boxes(journal: Journal, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        for found in orjson.loads(journal.result(name).read_bytes())["detections"]:
            box = dict(zip(BOXES[3:], found["box"], strict=True))
            yield {"item": name, "label": found["label"], "confidence": found["confidence"], **box}


def _table(path: Path, columns: Sequence[str], rows: Iterator[dict[str, Any]]) -> None:
    draft = path.with_name(f".{path.name}")
    with writing(path, "summary"):
        with draft.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, columns)
            table.writeheader()
            table.writerows(rows)
        draft.replace(path)


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}")
    with writing(path, "summary"):
        draft.write_bytes(content)
        draft.replace(path)
