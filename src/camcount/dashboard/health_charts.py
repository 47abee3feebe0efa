"""What serving was like: charts over the last hour, day or week."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from nicegui import ui

from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, card, chart, tag

_PERIODS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
_LOOK_S = 10.0
_MUTED, _GRID = "#7d879a", "rgba(128,138,155,0.22)"
"""Readable on light and on dark."""
_COLOURS = ("#5b67e0", "#2f9e5f", "#d97a1e", "#b84fa0", "#1c8fb0", "#9a7b12")
_NAMES = (
    "requests_per_s",
    "latency_p50_s",
    "latency_p95_s",
    "latency_p99_s",
    "errors",
    "cpu_share",
    "memory_bytes",
)

Points = Sequence[Mapping[str, Any]]
Line = tuple[str, list[tuple[float, float | None]]]


class Charts:
    """Four charts of one model and one period, both to be chosen."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with ui.element("div").classes("row spread"):
            tag("h2", visit.say("health.history"))
            with ui.element("div").classes("row"):
                self._model = ui.select([], label=visit.say("health.model"))
                periods = {name: visit.say(f"health.{name}") for name in _PERIODS}
                self._period = ui.select(periods, value="hour", label=visit.say("health.period"))
        for choice in (self._model, self._period):
            choice.props("outlined dense options-dense").classes("health-choice")
            choice.on_value_change(self.look)
        self._model.set_visibility(False)
        with ui.element("div").classes("halves"):
            kinds = ("rate", "latencies", "codes", "machine")
            self._charts = {kind: _Chart(visit.say(f"health.{kind}"), visit.say("health.nothing")) for kind in kinds}
        ui.timer(_LOOK_S, self.look, immediate=False)

    async def begin(self) -> None:
        """Shows the first model, and which others there are: whoever has to be asked for that may take its time."""
        names = sorted({model.name for model in await asyncio.to_thread(self._visit.dashboard.plane.models)})
        self._model.set_visibility(len(names) > 1)
        self._model.set_options(names, value=names[0] if names else None)
        await self.look()

    async def look(self) -> None:
        """As it is now."""
        until = datetime.now(UTC)
        since = until - _PERIODS[str(self._period.value)]
        series = self._visit.dashboard.series
        points = await asyncio.to_thread(series.series, self._model.value or "", since, until, _NAMES)
        say, span = self._visit.say, (since, until)
        self._charts["rate"].show([(say("health.asked"), _values(points, "requests_per_s", 1))], "/s", span)
        latencies = [(f"p{n}", _values(points, f"latency_p{n}_s", 1000)) for n in (50, 95, 99)]
        self._charts["latencies"].show(latencies, "ms", span)
        codes = sorted({code for point in points for code in point["errors"] or {}})
        failed: list[Line] = [
            (code, [(_ms(point), (point["errors"] or {}).get(code, 0)) for point in points]) for code in codes
        ]
        self._charts["codes"].show(failed, "", span)
        used = [
            (say("health.processor"), _values(points, "cpu_share", 100)),
            (say("health.memory_gib"), _values(points, "memory_bytes", 100 / _memory())),
        ]
        self._charts["machine"].show(used, "%", span)


class _Chart:
    """Lines over time; where nothing was measured there is a gap.

    The chart is made when there is something to show: its library is larger than the rest of the page, which would
    wait for it.
    """

    def __init__(self, title: str, nothing: str) -> None:
        self._title, self._nothing_text = title, nothing
        self._chart: ui.echart | None = None
        with card(title):
            self._place = ui.element("div")
            self._nothing = tag("p", "", "note health-nothing")  # keeps the room until something is known

    def show(self, lines: Sequence[Line], unit: str, span: tuple[datetime, datetime]) -> None:
        """Other lines."""
        some = any(value is not None for _, points in lines for _, value in points)
        self._nothing.set_text(self._nothing_text)
        self._nothing.set_visibility(not some)
        self._place.set_visibility(some)
        if self._chart is None:
            if not some:
                return
            with self._place:
                self._chart = chart({}, self._title, classes="health-chart")
        self._chart.options.update(_options(lines, unit, span))
        self._chart.update()
        latest = [
            f"{name} {next((value for _, value in reversed(points) if value is not None), 0):.4g} {unit}".strip()
            for name, points in lines
        ]
        attributes(self._chart, aria_label=f"{self._title}: {', '.join(latest) or self._nothing_text}")


def _options(lines: Sequence[Line], unit: str, span: tuple[datetime, datetime]) -> dict[str, Any]:
    labels = {"color": _MUTED, "hideOverlap": True}
    axis = {"axisLabel": labels, "axisLine": {"lineStyle": {"color": _GRID}}, "axisTick": {"show": False}}
    return {
        "animation": False,
        "color": list(_COLOURS),
        "grid": {"left": 8, "right": 16, "top": 36, "bottom": 8, "containLabel": True},
        "legend": {"top": 0, "left": 0, "icon": "roundRect", "itemWidth": 10, "textStyle": {"color": _MUTED}},
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": {"type": "time", "min": span[0].timestamp() * 1000, "max": span[1].timestamp() * 1000, **axis},
        "yAxis": {
            "type": "value",
            "min": 0,
            **axis,
            "axisLabel": {**labels, "formatter": f"{{value}} {unit}".strip()},
            "splitLine": {"lineStyle": {"color": _GRID}},
        },
        "series": [
            {
                "name": name,
                "type": "line",
                "data": points,
                "showSymbol": len(points) < 3,
                "symbolSize": 5,
                "connectNulls": False,
                "lineStyle": {"width": 2},
            }
            for name, points in lines
        ],
    }


def _values(points: Points, name: str, factor: float) -> list[tuple[float, float | None]]:
    return [(_ms(point), None if (value := point[name]) is None else round(value * factor, 3)) for point in points]


def _ms(point: Mapping[str, Any]) -> float:
    return float(point["time"].timestamp() * 1000)


def _memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
