"""What is known of one version: notes, measured figures, where it comes from, and its whole card when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from nicegui import ui

from camcount.dashboard.models_shelf import Entry, registry
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, tag
from camcount.errors import CamcountError, coded
from camcount.models.manifest import Manifest
from camcount.models.registered import lineage

_FIGURES = ("map", "counting_f1", "latency_ms", "memory_mb")


def figure(name: str, value: float | None) -> str:
    """One figure of a card for people.

    >>> figure("map", 0.258), figure("latency_ms", 12.34), figure("memory_mb", None)
    ('25.8 %', '12.3 ms', '–')
    """
    if value is None:
        return "–"
    if name == "latency_ms":
        return f"{value:.1f} ms"
    return f"{value:,.0f} MB" if name == "memory_mb" else f"{100 * value:.1f} %"


class Figures:
    """The measured figures of a version; `show` fills them in when the registry has told them."""

    def __init__(self, visit: Visit) -> None:
        self._values = {}
        with ui.element("dl").classes("measured"):
            for name in _FIGURES:
                with ui.element("div"):
                    tag("dt", visit.say(f"models.card.{name}"))
                    self._values[name] = tag("dd", "–", "num")

    def show(self, measured: Mapping[str, float]) -> None:
        """What was measured."""
        for name, shown in self._values.items():
            shown.set_text(figure(name, measured.get(name)))


def facts(visit: Visit, entry: Entry, everything: Sequence[Entry]) -> None:
    """Who registered it and when, its licence, and what it comes from."""
    kept, said = entry.kept, visit.say
    if kept is None:
        platform = entry.served.platform if entry.served else ""
        _list([(said("models.card.engine"), platform), (said("models.card.source"), said("models.configured"))])
        return
    versions = [other.kept for other in everything if other.kept]
    family = lineage(versions, kept.reference)
    _list(
        [
            (said("models.card.created"), f"{kept.created:%Y-%m-%d %H:%M} UTC"),
            (said("models.card.by"), kept.created_by),
            *((said(f"models.card.{name}"), kept.facts.get(name, "")) for name in ("engine", "licence", "dataset")),
            (said("models.card.code"), " ".join(filter(None, map(kept.facts.get, ("git_tag", "git_commit"))))),
            (said("models.card.parent"), " ← ".join(family["ancestors"])),
            (said("models.card.children"), ", ".join(family["descendants"])),
            (said("models.card.tags"), ", ".join(f"{key}={value}" for key, value in kept.tags.items())),
            (said("models.card.digest"), kept.digest[:12]),
        ]
    )


def whole_card(visit: Visit, entry: Entry) -> None:
    """What the package itself says; it is fetched when somebody opens this."""
    if entry.kept is None:
        return
    asked = False
    with ui.element("details").classes("whole") as details:
        tag("summary", visit.say("models.card.more"))
        box = ui.element("div").classes("whole-box")
        with box:
            tag("p", visit.say("models.card.fetching"), "note")

    async def opened() -> None:
        nonlocal asked
        if asked:
            return
        asked = True
        try:
            manifest = (await asyncio.to_thread(registry().resolve, entry.reference)).manifest
        except CamcountError as error:
            box.clear()
            with box:
                tag("p", coded(error), "version-trouble")
            asked = False
            return
        box.clear()
        with box:
            _told(visit, manifest)

    details.on("toggle", opened, args=[])


def _told(visit: Visit, manifest: Manifest) -> None:
    said, card = visit.say, manifest.card
    width, height = manifest.input.size
    labels = list(manifest.labels.values())
    few = ", ".join(labels[:12]) + (" …" if len(labels) > 12 else "")
    _list(
        [
            (said("models.card.description"), manifest.description),
            (said("models.card.machine"), card.machine),
            (said("models.card.data"), card.data),
            (said("models.card.measured"), card.measured),
            (said("models.card.input"), f"{width} × {height}"),
            (said("models.card.decoder"), manifest.output.decoder),
            (said("models.card.labels"), f"{len(labels)}: {few}"),
            (said("models.card.preparation"), ", ".join(step.name for step in manifest.preparation if step.kept)),
            (said("models.card.files"), ", ".join(manifest.files)),
        ]
    )


def _list(pairs: Sequence[tuple[str, str]]) -> None:
    with ui.element("dl").classes("facts"):
        for name, value in pairs:
            if value:
                with ui.element("div"):
                    tag("dt", name)
                    attributes(tag("dd", value), title=value)
