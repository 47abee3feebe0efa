"""Results as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from camcount.storage.counts import StoredInterval
    from camcount.storage.occupancy import Occupancy


def print_result(result: Mapping[str, Any], took_s: float, written: Sequence[str] = ()) -> None:
    """The counts of one run on standard output."""
    console = Console(highlight=False)
    console.print(
        f"\n[bold]{result['source']}[/bold]: {result['frames']} frames, {result['duration_s']:.1f} s of video, "
        f"counted in {took_s:.1f} s ({result['frames'] / max(took_s, 1e-9):.0f} frames/s)"
    )
    if result["lines"]:
        console.print(_lines(result["lines"], result.get("bounds", {})))
    if result["zones"]:
        console.print(_zones(result["zones"]))
    if result.get("flows"):
        console.print(_flows(result["flows"]))
    if result.get("speed"):
        console.print(_speeds(result["speed"]))
    if result.get("intervals"):
        console.print(_intervals(result["intervals"]))
    if result.get("appearance"):
        looked = result["appearance"]
        console.print(
            f"looked at {looked['embeddings']} boxes, {looked['per_frame']:.2f} a frame, to tell who is who"
        )
    if result.get("dropped_frames"):
        console.print(f"{result['dropped_frames']} frames were dropped to keep up with the camera")
    for path in written:
        console.print(f"wrote {path}")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _lines(lines: Mapping[str, Any], bounds: Mapping[str, Any]) -> Table:
    table = _table("Lines", "line", "in", "out", "total")
    for name, line in lines.items():
        table.add_row(name, *_sure(line, bounds.get(name)), style="bold")
        for label, by in sorted(line["by_label"].items()):
            table.add_row(f"  {label}", str(by["in"]), str(by["out"]), str(by["in"] + by["out"]))
    return table


def _sure(counts: Mapping[str, int], bounds: Mapping[str, Any] | None) -> list[str]:
    """In, out and total, each with its bounds: ``12 (11–14)``."""
    both = {"in": counts["in"], "out": counts["out"], "total": counts["in"] + counts["out"]}
    return [str(n) if bounds is None else f"{n} ({_limits(bounds[way])})" for way, n in both.items()]


def _limits(bounds: Mapping[str, int | None]) -> str:
    low, high = bounds["low"], bounds["high"]
    return f"{low}–?" if high is None else f"{low}–{high}" if high != low else f"{low}"


def _zones(zones: Mapping[str, Any]) -> Table:
    table = _table("Zones", "zone", "entries", "exits", "inside now", "median dwell", "longest dwell")
    for name, zone in zones.items():
        dwell = zone["dwell_s"]
        seconds = [f"{dwell[k]:.1f} s" if dwell.get(k) is not None else "–" for k in ("median", "max")]
        table.add_row(name, str(zone["entries"]), str(zone["exits"]), str(zone["occupancy"]), *seconds)
    return table


def _flows(flows: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("Flows", "from", "to", "count")
    for flow in flows:
        table.add_row(flow["from"], flow["to"], str(flow["count"]))
    return table


def _speeds(speeds: Mapping[str, Any]) -> Table:
    unit = next(iter(speeds.values()))["unit"]
    table = _table("Speed", "label", f"median {unit}", f"85 % below {unit}", "tracks")
    for label, speed in speeds.items():
        table.add_row(label, f"{speed['median']:.1f}", f"{speed['p85']:.1f}", str(speed["tracks"]))
    return table


def _intervals(intervals: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("Intervals", "from", "line", "in", "out", "total", "seen")
    for row in intervals:
        sure = _sure(row, row.get("bounds"))
        table.add_row(str(row["start"]), row["line"], *sure, f"{row['coverage']:.0%}")
    return table


def print_counting_score(score: Mapping[str, Any]) -> None:
    """Counted beside true, line by line, and overall."""
    table = _table("Counting", "line", "counted in/out", "true in/out", "precision", "recall", "F1")
    for name, line in score["lines"].items():
        table.add_row(name, _both(line["counted"]), _both(line["true"]), *_ratios(line))
    table.add_section()
    table.add_row("overall", "", "", *_ratios(score["overall"]), style="bold")
    console = Console(highlight=False)
    console.print(table)
    error = score["overall"]["weighted_error"]
    console.print(f"weighted error {error:.1%}" if error is not None else "weighted error: nothing to count")


def _both(counts: Mapping[str, int]) -> str:
    return f"{counts['in']} / {counts['out']}"


def _ratios(score: Mapping[str, Any]) -> list[str]:
    return ["–" if score[k] is None else f"{score[k]:.3f}" for k in ("precision", "recall", "f1")]


def print_figures(title: str, figures: Mapping[str, Any]) -> None:
    """Name and number, a row each; nested mappings as rows of their own."""
    table = _table(title, "measure", "value")
    for name, value in _walk(figures):
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    Console(highlight=False).print(table)


def _walk(figures: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in figures.items():
        if isinstance(value, Mapping):
            rows += _walk(value, f"{prefix}{name} ")
        else:
            rows.append((prefix + name, value))
    return rows


def print_demo(counted: Mapping[str, Any], true: Mapping[str, Any], written: Sequence[str]) -> None:
    """The demo street's counts beside its truth."""
    table = _table("Demo street", "line", "direction", "counted", "true")
    sums = [0, 0]
    for name in counted:
        for direction in ("in", "out"):
            table.add_row(name, direction, str(counted[name][direction]), str(true[name][direction]))
            sums[0] += counted[name][direction]
            sums[1] += true[name][direction]
    table.add_section()
    table.add_row("all", "", str(sums[0]), str(sums[1]), style="bold")
    console = Console(highlight=False)
    console.print(table)
    console.print(f"counted {sums[0]} of {sums[1]} true crossings ({sums[0] / max(sums[1], 1):.0%})")
    for path in written:
        console.print(f"wrote {path}")


def print_counts(cameras: Sequence[Mapping[str, Any]]) -> None:
    """What cameras have counted since they first started, and how they are."""
    table = _table("Counted", "camera", "state", "line", "in", "out", "coverage")
    for camera in cameras:
        coverage = f"{camera['coverage']:.0%}"
        for line, ways in camera["totals"].items() or [("–", {"in": "–", "out": "–"})]:
            table.add_row(camera["name"], camera["state"], line, str(ways["in"]), str(ways["out"]), coverage)
    Console(highlight=False).print(table)


def print_review(result: Mapping[str, Any]) -> None:
    """Accuracy of a count, with its 95 % interval."""
    table = _table(
        "How right is the count? (95 % interval)", "", "counted", "true", "accuracy", "precision", "recall"
    )
    for name, figures in [("total", result["total"]), *result["directions"].items()]:
        ratios = [_range(figures[k], percent=True) for k in ("accuracy", "precision", "recall")]
        table.add_row(name, str(figures["counted"]), _range(figures["true"], percent=False), *ratios)
    console = Console(highlight=False)
    console.print(table)
    looked = result["looked_at"]
    console.print(f"from {looked['events']} crossings and {looked['moments']} moments looked at")
    spans = _table("By interval", "from", "to", "counted", "true", "accuracy", "looked at")
    for row in result["intervals"]:
        true = "–" if row["true"] is None else f"{row['true']:g}"
        accuracy = "–" if row["accuracy"] is None else f"{row['accuracy']:.0%}"
        spans.add_row(
            f"{row['start_s']:g} s", f"{row['end_s']:g} s", str(row["counted"]), true, accuracy, str(row["looked_at"])
        )
    console.print(spans)


def _range(bounds: Mapping[str, float] | None, *, percent: bool) -> str:
    if bounds is None:
        return "–"
    low, middle, high = (f"{bounds[k]:.0%}" if percent else f"{bounds[k]:g}" for k in ("low", "estimate", "high"))
    return middle if low == high else f"{middle} ({low.rstrip('%')}–{high.rstrip('%')})"


def print_loading(rows: Sequence[Mapping[str, Any]], states: Sequence[str]) -> None:
    """What became of each model, and every change of state in order."""
    table = _table("Models loaded", "model", "labels", "seconds", "memory", "in memory then")
    for row in rows:
        memory = f"{row['memory_mb']:+.1f} MB"
        table.add_row(row["model"], str(row["labels"]), f"{row['loaded_s']:.2f}", memory, str(row["in_memory"]))
    console = Console(highlight=False)
    console.print(table)
    for state in states:
        console.print(f"  {state}")


def print_batch(totals: Mapping[str, Any]) -> None:
    """What a batch came to."""
    console = Console(highlight=False)
    seconds, frames = totals["took_s"], totals["frames"]
    console.print(
        f"\n[bold]{totals['done']} of {totals['items']} items done[/bold], {totals['kept']} of them before: "
        f"{frames} frames in all, {totals['duration_s']:.1f} s of video; this run took {seconds:.1f} s"
    )
    if totals["lines"]:
        table = _table("Lines, all videos together", "line", "in", "out", "total (bounds)")
        for name, line in totals["lines"].items():
            table.add_row(name, str(line["in"]), str(line["out"]), f"{line['in'] + line['out']} ({_limits(line)})")
        console.print(table)
    if totals["objects"]:
        table = _table("Objects, all pictures together", "label", "objects")
        for label, count in totals["objects"].items():
            table.add_row(label, str(count))
        console.print(table)
    console.print(f"results in {totals['folder']} (run {totals['run']})")


def print_batches(runs: Sequence[Mapping[str, Any]], schedules: Sequence[Mapping[str, Any]]) -> None:
    """Runs and schedules."""
    console = Console(highlight=False)
    table = _table("Runs", "run", "state", "done", "failed", "items", "last heard of", "folder")
    for run in runs:
        numbers = [str(run[name]) for name in ("done", "failed", "items")]
        table.add_row(run["run_id"], run["state"], *numbers, run["updated"][:19], run["folder"])
    console.print(table)
    table = _table("Schedules", "name", "when", "next", "last time", "what")
    for row in schedules:
        last = "running" if row["running"] else row["outcome"] or "–"
        when = f"{row['cron']} {row['zone']}".strip()
        table.add_row(row["name"], when, f"{row['next_run']:%Y-%m-%d %H:%M %Z}", last, " ".join(row["arguments"]))
    console.print(table)


def print_site(report: Mapping[str, Any]) -> None:
    """Doors, occupancy, days and journeys of a site on standard output."""
    console = Console(highlight=False)
    doors = _table("Doors", "door", "entries", "exits", "seen by two cameras", "sightings")
    for name, door in report["doors"].items():
        doors.add_row(name, *(str(door[key]) for key in ("entries", "exits", "seen_twice", "sightings")))
    console.print(doors)
    inside = _table("Occupancy", "from", "entries", "exits", "inside at the end", "peak")
    for row in report["occupancy"]:
        inside.add_row(str(row["start"]), *(str(row[key]) for key in ("entries", "exits", "inside", "peak")))
    console.print(inside)
    if report["days"]:
        days = _table("Days", "closed at", "entries", "exits", "came in unseen", "left over", "peak")
        for day in report["days"]:
            numbers = (str(day[key]) for key in ("entries", "exits", "unseen", "left_over", "peak"))
            days.add_row(str(day["end"]), *numbers)
        console.print(days)
    if report["journeys"]:
        ways = _table("Journeys", "from", "to", "count", "of them likely right", "median time")
        for way in report["journeys"]:
            seconds = "–" if way["median_travel_s"] is None else f"{way['median_travel_s']:.1f} s"
            ways.add_row(way["from"], way["to"], str(way["count"]), f"{way['expected']:g}", seconds)
        console.print(ways)


def print_report(found: Sequence[StoredInterval], inside: Occupancy | None) -> None:
    """What each line counted, span by span; a gap is called one."""
    console = Console(highlight=False)
    lines: dict[tuple[str, str], list[StoredInterval]] = {}
    for one in found:
        lines.setdefault((one.camera_id, one.line), []).append(one)
    for (camera, line), rows in lines.items():
        table = _table(f"{camera} · {line}", "from", "in", "out", "total", "seen")
        for one in rows:
            start = f"{one.start:%a %Y-%m-%d %H:%M}"
            if one.counts is None:
                table.add_row(start, "gap", "gap", "gap", "0%", style="dim")
                continue
            found_bounds = one.bounds
            bounds = {way: limits.as_dict() for way, limits in found_bounds.items()} if found_bounds else None
            table.add_row(start, *_sure(one.counts, bounds), f"{one.coverage:.0%}")
        table.add_section()
        sums = {way: sum(one.counts[way] for one in rows if one.counts) for way in ("in", "out")}
        length = [(one.end.astimezone(UTC) - one.start.astimezone(UTC)).total_seconds() for one in rows]
        seen = sum(one.coverage * s for one, s in zip(rows, length, strict=True)) / sum(length)
        table.add_row("all", *_sure(sums, None), f"{seen:.0%}", style="bold")
        console.print(table)
    if inside is not None:
        since = f"{inside.since:%Y-%m-%d %H:%M} UTC" if inside.since else "the first event"
        console.print(
            f"inside now: {inside.inside} ({inside.entered} in, {inside.left} out since {since}, "
            f"{inside.corrected} of them came in unseen)"
        )
