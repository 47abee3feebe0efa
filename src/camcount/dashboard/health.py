"""How serving is going: requests, latencies, replicas, cameras, errors, and what the machine has left."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from nicegui import ui

from camcount.cameras.states import CameraState, State
from camcount.dashboard.health_charts import Charts
from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import TONES, Figure, attributes, card, tag
from camcount.dashboard.texts import texts
from camcount.models.home import home
from camcount.monitoring.rates import Performance
from camcount.stats import ModelGauges

_LOOK_S = 2.0
_FULL = 0.95
_ERRORS = 12
_BREAKERS = {"closed": "breaker_closed", "open": "breaker_open", "half-open": "breaker_half_open"}


async def build(visit: Visit) -> None:
    """Live figures above, what was above what is."""
    figures = _Figures(visit)
    charts = Charts(visit)
    with ui.element("div").classes("halves"):
        with card(visit.say("health.replicas")):
            replicas = ui.element("div")
        with card(visit.say("health.cameras")):
            cameras = ui.element("div")
    with card(visit.say("health.errors"), note=visit.say("health.errors_note")):
        errors = ui.element("div")

    async def look() -> None:
        gauges = await asyncio.to_thread(visit.dashboard.plane.gauges)
        states = await visit.dashboard.states()
        await figures.look(gauges, states)
        _shown(replicas, visit.say("health.replicas_none"), _replicas_head(visit), _replicas(visit, gauges))
        _shown(cameras, visit.say("health.cameras_none"), _cameras_head(visit), _cameras(visit, states))
        _shown(errors, visit.say("health.errors_none"), _errors_head(visit), _errors(visit, states))

    await look()
    await charts.look()
    ui.timer(_LOOK_S, look, immediate=False)


class _Figures:
    """The last minute in numbers."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with ui.element("div").classes("figures"):
            names = ("requests", "latency", "failed", "queue", "seen", "processor", "memory", "disk")
            self._figures = {name: Figure(visit.say(f"health.{name}")) for name in names}

    async def look(self, gauges: Sequence[ModelGauges], states: Sequence[CameraState]) -> None:
        """As it is now."""
        self._served(gauges)
        await self._machine(states)

    def _served(self, gauges: Sequence[ModelGauges]) -> None:
        visit, say = self._visit, self._visit.say
        names = {gauge.model for gauge in gauges} | {model.name for model in visit.dashboard.plane.models()}
        measured = [visit.dashboard.rates.performance(name) for name in sorted(names)]
        figures = self._figures
        figures["requests"].set(f"{sum(one.requests_per_s for one in measured):.1f}/s", say("health.minute"))
        slowest = max((one.latency_p95_s for one in measured if one.latency_p95_s is not None), default=None)
        figures["latency"].set("–" if slowest is None else f"{slowest * 1000:,.0f} ms", say("health.p95"))
        figures["failed"].set(f"{_error_share(measured):.1%}", say("health.minute"))
        queued, running = sum(one.queued for one in gauges), sum(one.in_flight for one in gauges)
        figures["queue"].set(str(queued), say("health.running", n=running))

    async def _machine(self, states: Sequence[CameraState]) -> None:
        visit, say, figures = self._visit, self._visit.say, self._figures
        lag = max((state.lag_s for state in states), default=0.0)
        running = sum(state.state is State.RUNNING for state in states)
        figures["seen"].set(f"{running}/{len(states)}", say("health.slowest", lag=f"{lag:.1f}"))
        resources = visit.dashboard.rates.performance("").resources
        figures["processor"].set(f"{resources.cpu_share:.0%}", say("health.of_all"))
        figures["memory"].set(f"{resources.memory_bytes / 2**20:,.0f} MiB", say("health.resident"))
        disk = await asyncio.to_thread(lambda: shutil.disk_usage(_kept(visit)))
        low = disk.used / disk.total > _FULL
        figures["disk"].set(f"{disk.free / 2**30:,.1f} GiB", say("health.nearly_full" if low else "health.free"))


def _error_share(measured: Sequence[Performance]) -> float:
    asked = sum(one.requests for one in measured)
    return sum(one.error_share * one.requests for one in measured) / asked if asked else 0.0


def _kept(visit: Visit) -> Path:
    """Where what is counted is written, as far as it is on this machine."""
    scheme, _, path = (visit.dashboard.settings.database_url or "").partition(":///")
    at = Path(path).parent if scheme.startswith("sqlite") and path else home()
    return next(folder for folder in (at, *at.parents) if folder.exists())


Cell = tuple[str, str]
"""A text, and the tone of the chip that it stands in; none is plain text."""


def _shown(box: ui.element, nothing: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Fills a card's table anew, when it has changed: who reads it must not lose the place."""
    state = repr((columns, rows))
    if box.props.get("data-shown") == state:
        return
    box.props["data-shown"] = state
    box.clear()
    with box:
        if not rows:
            tag("p", nothing, "note")
            return
        with ui.element("div").classes("table-box") as scrolled:
            attributes(scrolled, tabindex="0", role="region", aria_label=columns[0])
            with ui.element("table").classes("table"):
                with ui.element("thead"), ui.element("tr"):
                    for column in columns:
                        tag("th", column).props('scope="col"')
                with ui.element("tbody"):
                    for row in rows:
                        _row(row)


def _row(cells: Sequence[Cell]) -> None:
    with ui.element("tr"):
        for text, tone in cells:
            with ui.element("td"):
                word = tag("span", text, "chip" if tone else "num")
                if tone:
                    attributes(word, data_tone=tone)


def _replicas_head(visit: Visit) -> list[str]:
    return [visit.say(f"health.{name}") for name in ("replica", "doing", "breaker", "answered", "failures")]


def _replicas(visit: Visit, gauges: Sequence[ModelGauges]) -> list[list[Cell]]:
    rows = []
    for gauge in gauges:
        for replica in gauge.replicas:
            doing = "sick" if not replica.healthy else "busy" if replica.busy else "idle"
            tone = {"closed": "good", "open": "bad"}.get(replica.breaker, "warn")
            named = f"{gauge.model}:{gauge.version}" if gauge.version else gauge.model
            rows.append(
                [
                    (f"{named} · {replica.remote or replica.name}", ""),
                    (visit.say(f"health.{doing}"), "bad" if doing == "sick" else "quiet"),
                    (visit.say(f"health.{_BREAKERS[replica.breaker]}"), tone),
                    (f"{replica.answered:,}", ""),
                    (f"{replica.failed:,}", ""),
                ]
            )
    return rows


def _cameras_head(visit: Visit) -> list[str]:
    return [visit.say(f"health.{name}") for name in ("camera", "doing", "rate_of", "lag", "coverage", "dropped")]


def _cameras(visit: Visit, states: Sequence[CameraState]) -> list[list[Cell]]:
    return [
        [
            (state.name, ""),
            (visit.say(f"state.{state.state}"), TONES[state.state]),
            (f"{state.fps:.1f}/s", ""),
            (f"{state.lag_s:.2f} s", "warn" if state.lag_s > 1 else ""),
            (f"{state.coverage:.1%}", ""),
            (f"{state.dropped:,}", ""),
        ]
        for state in states
    ]


def _errors_head(visit: Visit) -> list[str]:
    return [visit.say(f"health.{name}") for name in ("when", "where", "code", "remedy")]


def _errors(visit: Visit, states: Sequence[CameraState]) -> list[list[Cell]]:
    rows = [
        [
            (state.since.astimezone().strftime("%H:%M:%S"), ""),
            (state.name, ""),
            (visit.say(f"state.{state.state}"), TONES[state.state]),
            (state.alarm or state.reason, ""),
        ]
        for state in states
        if state.alarm or (state.reason and TONES[state.state] in ("bad", "warn"))
    ]
    for failed in visit.dashboard.failures.latest()[:_ERRORS]:
        where = f"{failed.model} · {failed.door}" if failed.door else failed.model
        remedy = texts(visit.language).get(f"remedy.{failed.code}", "")
        when = failed.ended.astimezone().strftime("%H:%M:%S")
        rows.append([(when, ""), (where, ""), (failed.code, "bad"), (remedy, "")])
    return rows


PAGE = Page("health", "monitor_heart", build)
