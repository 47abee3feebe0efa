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
from camcount.dashboard.parts import TONES, Figure, Tone, Toned, card, table, tag
from camcount.dashboard.texts import texts
from camcount.models.home import home
from camcount.monitoring.rates import Performance
from camcount.stats import ModelGauges

_LOOK_S = 2.0
_FULL = 0.95
_ERRORS = 12
_BREAKERS = {"closed": "breaker_closed", "open": "breaker_open", "half-open": "breaker_half_open"}
_TONES: dict[str, Tone] = {"closed": "good", "open": "bad"}


async def build(visit: Visit) -> None:
    """Live figures above, what was above what is."""
    plane = visit.dashboard.plane
    figures = _Figures(visit)
    charts = Charts(visit)
    with ui.element("div").classes("halves"):
        replicas = _Rows(visit, "replicas", "replicas_none", ("replica", "doing", "breaker", "answered", "failures"))
        cameras = _Rows(
            visit, "cameras", "cameras_none", ("camera", "doing", "rate_of", "lag", "coverage", "dropped")
        )
    errors = _Rows(
        visit, "errors", "errors_none", ("when", "where", "code", "remedy"), visit.say("health.errors_note")
    )

    async def look() -> None:
        gauges = await asyncio.to_thread(plane.gauges)
        states = await visit.dashboard.states()
        await figures.look(gauges, states)
        replicas.show(_replicas(visit, gauges))
        cameras.show(_cameras(visit, states))
        errors.show(_errors(visit, states))

    ui.timer(_LOOK_S, look)
    ui.timer(0, charts.begin, once=True)


class _Figures:
    """The last minute in numbers."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with ui.element("div").classes("figures"):
            names = ("requests", "latency", "failed", "queue", "seen", "processor", "memory", "disk")
            self._figures = {name: Figure(visit.say(f"health.{name}")) for name in names}

    async def look(self, gauges: Sequence[ModelGauges], states: Sequence[CameraState]) -> None:
        """As it is now."""
        names = {model.name for model in await asyncio.to_thread(self._visit.dashboard.plane.models)}
        self._served(names, gauges)
        await self._machine(states)

    def _served(self, names: set[str], gauges: Sequence[ModelGauges]) -> None:
        visit, say = self._visit, self._visit.say
        names |= {gauge.model for gauge in gauges}
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
    database = visit.dashboard.database
    at = Path(database.url.database or "").absolute().parent if database.dialect == "sqlite" else home()
    return next(folder for folder in (at, *at.parents) if folder.exists())


Cells = Sequence[str | Toned]


class _Rows:
    """A card with a table, drawn anew only when something in it has changed: who reads it must not lose the place."""

    def __init__(self, visit: Visit, name: str, nothing: str, columns: Sequence[str], note: str = "") -> None:
        self._name, self._nothing = visit.say(f"health.{name}"), visit.say(f"health.{nothing}")
        self._columns = [visit.say(f"health.{column}") for column in columns]
        self._shown: Sequence[Cells] | None = None
        with card(self._name, note=note):
            self._box = ui.element("div")

    def show(self, rows: Sequence[Cells]) -> None:
        """As it is now."""
        if rows == self._shown:
            return
        self._shown = rows
        self._box.clear()
        with self._box:
            if rows:
                table(self._columns, rows, name=self._name)
            else:
                tag("p", self._nothing, "note")


def _replicas(visit: Visit, gauges: Sequence[ModelGauges]) -> list[Cells]:
    rows: list[Cells] = []
    for gauge in gauges:
        for replica in gauge.replicas:
            doing = "sick" if not replica.healthy else "busy" if replica.busy else "idle"
            named = f"{gauge.model}:{gauge.version}" if gauge.version else gauge.model
            rows.append(
                [
                    f"{named} · {replica.remote or replica.name}",
                    Toned(visit.say(f"health.{doing}"), "bad" if doing == "sick" else "quiet"),
                    Toned(visit.say(f"health.{_BREAKERS[replica.breaker]}"), _TONES.get(replica.breaker, "warn")),
                    f"{replica.answered:,}",
                    f"{replica.failed:,}",
                ]
            )
    return rows


def _cameras(visit: Visit, states: Sequence[CameraState]) -> list[Cells]:
    return [
        [
            state.name,
            Toned(visit.say(f"state.{state.state}"), TONES[state.state]),
            f"{state.fps:.1f}/s",
            Toned(f"{state.lag_s:.2f} s", "warn") if state.lag_s > 1 else f"{state.lag_s:.2f} s",
            f"{state.coverage:.1%}",
            f"{state.dropped:,}",
        ]
        for state in states
    ]


def _errors(visit: Visit, states: Sequence[CameraState]) -> list[Cells]:
    rows: list[Cells] = [
        [
            state.since.astimezone().strftime("%H:%M:%S"),
            state.name,
            Toned(visit.say(f"state.{state.state}"), TONES[state.state]),
            state.alarm or state.reason,
        ]
        for state in states
        if state.alarm or (state.reason and TONES[state.state] in ("bad", "warn"))
    ]
    for failed in visit.dashboard.failures.latest()[:_ERRORS]:
        where = f"{failed.model} · {failed.door}" if failed.door else failed.model
        remedy = texts(visit.language).get(f"remedy.{failed.code}", "")
        when = failed.ended.astimezone().strftime("%H:%M:%S")
        rows.append([when, where, Toned(failed.code, "bad"), remedy])
    return rows


PAGE = Page("health", "monitor_heart", build)
