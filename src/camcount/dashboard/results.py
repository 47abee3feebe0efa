"""What was counted in a video that was dropped into the pages."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from nicegui import ui

from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import Figure, attributes, button, card, chart, empty, picture_address, table, tag
from camcount.dashboard.results_files import address
from camcount.dashboard.videos import Video

_LOOK_S = 1.0
_LET_GO = "document.querySelectorAll('video').forEach(video => { video.removeAttribute('src'); video.load(); })"
"""Else a browser that has not all of a video yet goes on to ask for it while it is being deleted."""
_EXPORTS = {"events.csv": "CSV", "events.parquet": "Parquet", "events.jsonl": "JSON", "annotated.mp4": "MP4"}

_COLOURS = {"in": ["#1b8a4b", "#3f7fd0", "#7a5bc7"], "out": ["#d9692b", "#c2456f", "#9a7b1f"]}
_GREY = "#8b95a7"
_AXES: dict[str, Any] = {
    "animation": False,
    "grid": {"left": 36, "right": 8, "top": 36, "bottom": 28},
    "legend": {"top": 0, "left": 0, "textStyle": {"color": _GREY}, "icon": "roundRect"},
    "tooltip": {"trigger": "axis"},
    "xAxis": {
        "type": "category",
        "axisLabel": {"color": _GREY},
        "axisLine": {"lineStyle": {"color": _GREY}},
        "axisTick": {"show": False},
    },
    "yAxis": {
        "type": "value",
        "minInterval": 1,
        "axisLabel": {"color": _GREY},
        "splitLine": {"lineStyle": {"color": _GREY, "opacity": 0.22}},
    },
}
"""Read well in both themes."""


async def build(visit: Visit) -> None:
    """Its progress, then its result."""
    video = visit.dashboard.videos.get(visit.place["video"])
    if video is None:
        say = visit.say
        empty("movie", say("results.gone.title"), say("results.gone.text"), (say("results.gone.link"), "/add"))
        return
    _head(visit, video)
    if video.state == "done":
        _result(visit, video)
    elif video.state == "failed":
        empty("error_outline", visit.say("results.failed"), video.error, (visit.say("results.another"), "/add"))
    else:
        _progress(visit, video)


def _head(visit: Visit, video: Video) -> None:
    with ui.element("div").classes("row spread"):
        with ui.element("div").classes("row"):
            attributes(tag("a", f"← {visit.say('nav.add')}", "draw-back"), href="/add")
            tag("strong", video.name)
            tag("span", visit.say("results.model", model=video.model), "note")

        async def delete() -> None:
            with suppress(TimeoutError):  # the page may be gone
                await ui.run_javascript(_LET_GO)
            visit.dashboard.videos.delete(video.id)
            ui.navigate.to("/add")

        button(visit.say("results.delete"), delete, icon="delete_outline")


def _progress(visit: Visit, video: Video) -> None:
    with card(visit.say("results.counting"), classes="counting"):
        bar = ui.element("progress").classes("progress")
        attributes(bar, max="1", value="0", aria_label=visit.say("results.counting"))
        said = tag("p", "", "note num")
        picture = ui.element("img").classes("counting-picture")
        attributes(picture, alt=visit.say("results.picture"))
        picture.set_visibility(False)

    async def look() -> None:
        now = visit.dashboard.videos.get(video.id)
        if now is None or now.state in ("done", "failed"):
            ui.navigate.to(f"/results/{video.id}")
            return
        key = "results.waiting" if now.state == "waiting" else "results.so_far"
        said.set_text(visit.say(key, share=f"{100 * now.share:.0f}", frames=now.frames))
        attributes(bar, value=f"{now.share:.3f}")
        if seen := await asyncio.to_thread(visit.dashboard.videos.picture, video.id):
            attributes(picture, src=picture_address(seen))
            picture.set_visibility(True)

    ui.timer(_LOOK_S, look)


def _result(visit: Visit, video: Video) -> None:
    say, result = visit.say, video.result
    lines: dict[str, Any] = result["lines"]
    with ui.element("div").classes("figures"):
        for way in ("in", "out"):
            Figure(say(f"way.{way}"), str(sum(line[way] for line in lines.values())))
        Figure(say("results.length"), _clock(result["duration_s"]), say("results.frames", frames=result["frames"]))
        Figure(say("results.labels"), str(len({label for line in lines.values() for label in line["by_label"]})))
    with ui.element("div").classes("results"):
        with card(say("results.video")):
            shown = ui.element("video").classes("annotated")
            attributes(shown, controls="", playsinline="", preload="metadata", src=address(video.id, "annotated.mp4"))
            attributes(shown, aria_label=say("results.video"))
        with card(say("results.over_time"), note=say("results.per", width=result["bars"]["width_s"])):
            _chart(visit, result["bars"])
    with card(say("results.counted")):
        with ui.element("div").classes("row exports"):
            for file, kind in _EXPORTS.items():
                link = tag("a", say("results.export", kind=kind), "button")
                attributes(link, href=f"{address(video.id, file)}?download", download="")
        _table(visit, result)
    if "proposed_line" in result:
        tag("p", say("results.proposed", name=result["proposed_line"]["name"]), "note")
    for warning in result["warnings"]:
        if "--line" not in warning:  # which is said above, for people without a command line
            tag("p", warning, "note")


def _chart(visit: Visit, bars: dict[str, Any]) -> None:
    series = [
        {
            "type": "bar",
            "name": f"{name} · {visit.say(f'way.{way}')}",
            "stack": name,
            "data": ways[way],
            "itemStyle": {"color": _COLOURS[way][number % 3]},
            "barMaxWidth": 22,
        }
        for number, (name, ways) in enumerate(bars["lines"].items())
        for way in ("in", "out")
    ]
    spans = max((len(ways["in"]) for ways in bars["lines"].values()), default=0)
    times = [_clock(k * bars["width_s"]) for k in range(spans)]
    axes = _AXES | {"xAxis": _AXES["xAxis"] | {"data": times}}
    chart(axes | {"series": series}, visit.say("results.chart"), classes="chart")


def _table(visit: Visit, result: dict[str, Any]) -> None:
    say = visit.say
    rows = []
    for name, line in result["lines"].items():
        bounds = result["bounds"][name]
        rows.append([name, say("results.all"), *(_bounded(line[way], bounds[way]) for way in ("in", "out"))])
        for label, counts in line["by_label"].items():
            rows.append(["", label, str(counts["in"]), str(counts["out"])])
    columns = [say("results.line"), say("results.label"), say("way.in"), say("way.out")]
    table(columns, rows, name=say("results.counted"), numbers=(2, 3))


def _bounded(count: int, bounds: dict[str, Any]) -> str:
    low, high = bounds["low"], bounds["high"]
    return str(count) if low == high else f"{count}  ({low} – {high})"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


PAGE = Page("results", "insights", build, under="add")
