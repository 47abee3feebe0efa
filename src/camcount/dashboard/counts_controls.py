"""What is chosen on the page of counts: period, place, label, way and how it is drawn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from nicegui import ui
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from camcount.dashboard.counts_asked import CHOICES, PERIODS, Asked
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, tag

Known = Mapping[tuple[str, str], Sequence[str]]
"""Camera and line -> labels."""
Chosen = Callable[[str], Awaitable[None] | None]


def choice(name: str, options: Sequence[tuple[str, str]], value: str, chosen: Chosen) -> Element:
    """A list to choose one from, with its name above it; ``options`` are values and what they are called."""
    with ui.element("label").classes("choice") as label:
        tag("span", name, "choice-name")
        with ui.element("select").classes("choice-list") as select:
            for known, shown in options:
                option = tag("option", shown)
                attributes(option, value=known, **({"selected": "selected"} if known == value else {}))

    async def heard(event: GenericEventArguments) -> None:
        if (result := chosen(str(event.args))) is not None:
            await result

    select.on("change", heard, js_handler="(event) => emit(event.target.value)")
    return label


def segments(name: str, options: Sequence[tuple[str, str]], value: str, chosen: Chosen) -> dict[str, Element]:
    """Buttons of which one is pressed."""
    buttons: dict[str, Element] = {}

    def press(known: str) -> Callable[[], Awaitable[None]]:
        async def pressed() -> None:
            for other, button in buttons.items():
                attributes(button, aria_pressed=str(other == known).lower())
            if (result := chosen(known)) is not None:
                await result

        return pressed

    with ui.element("div").classes("segments") as group:
        attributes(group, role="group", aria_label=name)
        for known, shown in options:
            buttons[known] = button = tag("button", shown, "segment")
            attributes(button, type="button", aria_pressed=str(known == value).lower())
            button.on("click", press(known))
    return buttons


class Controls:
    """All choices; ``changed`` is called with the view that is asked for now."""

    def __init__(self, visit: Visit, asked: Asked, changed: Callable[[Asked], Awaitable[None]]) -> None:
        self._visit, self._asked, self._changed = visit, asked, changed
        say = visit.say
        with ui.element("section").classes("card counts-controls") as section:
            attributes(section, aria_label=say("counts.choices"))
            with ui.element("div").classes("row counts-period"):
                periods = [(known, say(f"counts.period.{known}")) for known in PERIODS]
                segments(say("counts.period.name"), periods, asked.period, self._period)
                self._days = self._custom()
            self._box = ui.element("div").classes("choices")

    def fill(self, known: Known, labels: Sequence[str]) -> None:
        """What there is to choose from."""
        say, asked = self._visit.say, self._asked
        lines = [f"{camera}/{line}" for camera, line in known]
        self._box.clear()
        with self._box:
            cameras = list(dict.fromkeys(camera for camera, _ in known))
            every = say("counts.every")
            if len(cameras) > 1:
                self._choose("camera", [("", every), *((name, name) for name in cameras)])
            here = [line for line in lines if asked.camera in ("", line.partition("/")[0])]
            shown = [line if len(cameras) > 1 and not asked.camera else line.partition("/")[2] for line in here]
            self._choose("line", [("", every), *zip(here, shown, strict=True)])
            self._choose("label", [("", every), *((label, label) for label in labels)])
            for name in ("way", "split", "step", "kind", "compare"):
                self._choose(name, [(one, say(f"counts.{name}.{one or 'both'}")) for one in CHOICES[name]])

    def _choose(self, name: str, options: Sequence[tuple[str, str]]) -> None:
        value = getattr(self._asked, name)
        if value and value not in [known for known, _ in options]:
            options = [*options, (value, value)]

        async def chosen(text: str) -> None:
            more = {"line": ""} if name == "camera" else {}
            await self._ask(replace(self._asked, **{name: text, **more}))

        choice(self._visit.say(f"counts.{name}.name"), options, value, chosen)

    async def _period(self, period: str) -> None:
        self._days.set_visibility(period == "custom")
        asked = replace(self._asked, period=period)
        if period == "custom" and not (asked.since and asked.until):
            self._asked = asked
            return
        await self._ask(asked)

    def _custom(self) -> Element:
        """Two days, both included."""
        with ui.element("div").classes("row counts-days") as box:
            for name in ("since", "until"):
                with ui.element("label").classes("choice-inline"):
                    tag("span", self._visit.say(f"counts.{name}"), "choice-name")
                    field = ui.element("input").classes("choice-list")
                    attributes(field, type="date", value=getattr(self._asked, name))

                async def heard(event: GenericEventArguments, name: str = name) -> None:
                    asked = replace(self._asked, **{name: str(event.args)})
                    if asked.since and asked.until:
                        await self._ask(asked)
                    else:
                        self._asked = asked

                field.on("change", heard, js_handler="(event) => emit(event.target.value)")
        box.set_visibility(self._asked.period == "custom")
        return box

    async def _ask(self, asked: Asked) -> None:
        self._asked = asked
        await self._changed(asked)
