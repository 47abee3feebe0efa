"""What was counted, over any period: charts, figures, tables and files."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from urllib.parse import urlencode

from nicegui import ui
from nicegui.events import GenericEventArguments

from camcount.cameras.settings import zone_named
from camcount.dashboard.counts_asked import Asked
from camcount.dashboard.counts_charts import over_time
from camcount.dashboard.counts_controls import Controls
from camcount.dashboard.counts_files import FORMATS, content
from camcount.dashboard.counts_found import Found, Limits, limits, load
from camcount.dashboard.counts_places import flow_card, heat_card, inside_card
from camcount.dashboard.counts_table import counts_table
from camcount.dashboard.counts_words import labels, number, percent, period
from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import Figure, attributes, card, chart, empty, tag
from camcount.errors import CamcountError, coded
from camcount.storage.periods import zone_of

_AGAIN_S = 15.0
_PATIENCE_S = 0.3
"""How long a chart waits for its bounds, rather than being drawn twice."""
_STORED = timedelta(seconds=75)
"""Minutes are stored when they are over; what is younger is no gap."""
_WAYS = ("var(--in)", "var(--out)")


class _Counts:
    """The page of one visit: what is asked for, and the parts that change with it."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._asked = Asked.of(visit.query)
        self._turn = 0
        self._open = False
        self._found: Found | None = None
        self._controls = Controls(visit, self._asked, self._change)
        with ui.element("div").classes("figures counts-figures"):
            say = visit.say
            self._figures = {
                name: Figure(say(f"counts.figure.{name}")) for name in ("all", "in", "out", "busiest", "seen")
            }
        self._main = ui.element("div").classes("counts-main")
        with self._main, card(say("counts.title")):
            attributes(ui.element("div").classes("counts-wait"), aria_hidden="true")
        self._more = ui.element("div").classes("counts-more")

    async def start(self) -> None:
        """Shows the counts, then what takes longer."""
        await self._known()
        await self.show()
        with self._more:
            inside_card(self._visit, await self._visit.dashboard.states())
            await heat_card(self._visit)
        await self._flows()

    async def show(self) -> None:
        """Loads and draws; what was asked for in between is left to the next turn."""
        self._turn += 1
        turn, asked, visit = self._turn, self._asked, self._visit
        say = visit.say
        names = {name: say(f"way.{name}") for name in ("in", "out")} | {"all": say("counts.figure.all")}
        names |= {name: say(f"counts.compare.{name}") for name in ("yesterday", "week")}
        try:
            if asked.period == "365d" and not self._found:
                await self._totals()
            found = await asyncio.to_thread(
                load, visit.dashboard.site.store, asked, datetime.now(UTC) - _STORED, await self._zone(), names
            )
        except CamcountError as error:
            if turn == self._turn:
                self._trouble(error)
            return
        if turn != self._turn:
            return
        known, self._found = self._found, found
        if known is not None and known.asked == asked and known.rows == found.rows and known.starts == found.starts:
            return
        self._tell(found)
        bounding = asyncio.create_task(asyncio.to_thread(limits, found))
        if not (await asyncio.wait({bounding}, timeout=_PATIENCE_S))[0]:
            self._draw(found, None)
        bounds = await bounding
        if turn == self._turn:
            self._draw(found, bounds)

    async def again(self) -> None:
        """The same a little later, while the period goes on."""
        if self._asked.period == "today" and self._found is not None:
            await self.show()

    async def _change(self, asked: Asked) -> None:
        before, self._asked = self._asked, asked
        place = asked.camera != before.camera
        ui.run_javascript(f"history.replaceState(null, '', {json.dumps('?' + urlencode(asked.query()))})")
        if place:
            await self._known()
        await self.show()
        if place or (asked.period, asked.since, asked.until) != (before.period, before.since, before.until):
            await self._flows()

    async def _known(self) -> None:
        """What can be chosen: all that was ever counted, and lines that have counted nothing yet."""
        totals = await asyncio.to_thread(self._visit.dashboard.site.store.totals)
        known: dict[tuple[str, str], list[str]] = {
            (camera, line): list(counts["by_label"])
            for camera, lines in totals.items()
            for line, counts in lines.items()
        }
        for state in await self._visit.dashboard.states():
            for line in state.totals:
                known.setdefault((state.name, line), [])
        self._controls.fill(dict(sorted(known.items())), sorted({label for some in known.values() for label in some}))

    async def _zone(self) -> tzinfo:
        """The clock of the camera, of all cameras if they have the same, else this machine's."""
        entries = self._visit.dashboard.site.entries
        camera, _ = self._asked.place
        zones = {entry.time_zone for name, entry in entries.items() if camera in (None, name)}
        return zone_named(zones.pop()) if len(zones) == 1 else zone_of(None)

    async def _totals(self) -> None:
        """The sums alone, which are known long before a year of spans is read."""
        begin, end = self._asked.span(datetime.now(UTC), await self._zone())
        totals = await asyncio.to_thread(self._visit.dashboard.site.store.totals, since=begin, until=end)
        if self._asked != Asked(period=self._asked.period, split=self._asked.split, kind=self._asked.kind):
            return
        sums = {way: sum(line[way] for lines in totals.values() for line in lines.values()) for way in ("in", "out")}
        for name, value in (sums | {"all": sum(sums.values())}).items():
            self._figures[name].set(number(self._visit, value))

    def _tell(self, found: Found) -> None:
        visit, figures = self._visit, self._figures
        values = found.whole.values
        figures["all"].set(number(visit, found.whole.total), self._change_of(found))
        for way, many in found.ways.items():
            shown = found.asked.way in ("", way)
            share = many / total if (total := sum(found.ways.values())) else 0
            figures[way].set(number(visit, many if shown else None), percent(share) if shown and total else "")
        known = [(value, k) for k, value in enumerate(values) if value]
        if known:
            most, at = max(known, key=lambda one: (one[0], -one[1]))
            when = labels(visit, found.starts, found.step)[at]
            figures["busiest"].set(when, number(visit, most))
        else:
            figures["busiest"].set("–")
        seen = sum(found.seen) / len(found.seen) if found.seen else 0.0
        note = visit.say("counts.gaps", n=len(found.gaps)) if found.gaps else ""
        figures["seen"].set(percent(seen), note)

    def _change_of(self, found: Found) -> str:
        """Against the time that it is compared with, where both were seen."""
        if found.before is None:
            return ""
        pairs = [
            (now, then)
            for now, then in zip(found.whole.values, found.before.values, strict=True)
            if now is not None and then is not None
        ]
        then = sum(one[1] for one in pairs)
        if not then:
            return self._visit.say("counts.nothing_before")
        change = sum(one[0] for one in pairs) / then - 1
        return self._visit.say("counts.against", change=percent(change, sign=True), name=found.before.name.lower())

    def _draw(self, found: Found, bounds: Limits | None) -> None:
        visit = self._visit
        self._main.clear()
        with self._main:
            if not found.rows:
                said = visit.say
                empty(
                    "bar_chart",
                    said("counts.empty.title"),
                    said("counts.empty.text"),
                    (said("counts.empty.link"), "/"),
                )
                return
            note = period(visit, found.starts[0], min(found.end, datetime.now(UTC).astimezone(found.end.tzinfo)))
            with card(visit.say("counts.title"), note=note) as section:
                section.classes("counts-card")
                words = {name: visit.say(f"counts.{name}") for name in ("gap", "limits")}
                attributes(section, data_counts_words="", data_gap=words["gap"], data_limits=words["limits"])
                self._files()
                named = labels(visit, found.starts, found.step)
                drawn = over_time(found, named, bounds, words, self._colours(found))
                chart(drawn, self._said(found), classes="counts-chart")
                if bounds is not None:
                    tag("p", visit.say("counts.limits_note"), "note")
                details = counts_table(visit, found, named, bounds)
                attributes(details, **({"open": "open"} if self._open else {}))
                details.on("toggle", self._toggled, js_handler="(event) => emit(event.target.open)")

    def _toggled(self, event: GenericEventArguments) -> None:
        self._open = bool(event.args)

    def _colours(self, found: Found) -> tuple[str, ...]:
        if found.asked.split != "way":
            return ()
        return (_WAYS[found.asked.way == "out"],) if found.asked.way else _WAYS

    def _said(self, found: Found) -> str:
        """The chart in a sentence, for who does not see it."""
        visit = self._visit
        parts = ", ".join(f"{one.name} {number(visit, one.total)}" for one in found.series)
        return visit.say("counts.said", parts=parts, spans=len(found.starts), gaps=len(found.gaps))

    def _files(self) -> None:
        with ui.element("div").classes("row counts-files"):
            tag("span", self._visit.say("counts.export"), "note")
            for kind in FORMATS:
                made = tag("button", kind.upper(), "button")
                attributes(made, type="button", aria_label=self._visit.say("counts.export_as", kind=kind.upper()))
                made.on("click", partial(self._save, kind))

    async def _save(self, kind: str) -> None:
        found = self._found
        if found is None:
            return
        data = await asyncio.to_thread(content, found, kind)
        name = f"counts-{found.starts[0]:%Y-%m-%d}-{found.step}.{kind}"
        ui.download.content(data, name)

    async def _flows(self) -> None:
        with suppress(CamcountError):  # which the chart has told
            begin, end = self._asked.span(datetime.now(UTC), await self._zone())
            await flow_card(self._visit, self._more, self._asked.place[0], begin, end)

    def _trouble(self, error: CamcountError) -> None:
        self._main.clear()
        with self._main:
            empty("error_outline", self._visit.say("shell.failed"), coded(error))


async def build(visit: Visit) -> None:
    """The choices at once, the counts as soon as the database has them."""
    page = _Counts(visit)
    ui.timer(0, page.start, once=True)
    ui.timer(_AGAIN_S, page.again, immediate=False)


PAGE = Page("counts", "bar_chart", build)
