"""The table that says what the chart shows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from nicegui import ui
from nicegui.element import Element

from camcount.dashboard.counts_found import Found, Limits
from camcount.dashboard.counts_words import number, percent
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, tag


def counts_table(visit: Visit, found: Found, named: Sequence[str], limits: Limits | None) -> Element:
    """A row for each span, folded up; one piece of HTML, for it may have thousands of cells."""
    say = visit.say
    titles = [say("counts.from"), *(one.name for one in found.series)]
    columns = [one.values for one in found.series]
    if len(found.series) != 1:
        titles.append(found.whole.name)
        columns.append(found.whole.values)
    if limits is not None:
        titles += [say("counts.low"), say("counts.high")]
        columns += [limits.low, limits.high]
    if found.before is not None:
        titles.append(found.before.name)
        columns.append(found.before.values)
    titles.append(say("counts.figure.seen"))
    rows = [
        [name, *(_cell(visit, column[k]) for column in columns), percent(found.seen[k])]
        for k, name in enumerate(named)
    ]
    with ui.element("details").classes("counts-details") as details:
        tag("summary", say("counts.as_table"))
        with ui.element("div").classes("table-box counts-table") as box:
            attributes(box, tabindex="0", role="region", aria_label=say("counts.as_table"))
            ui.html(_html(titles, rows, found.gaps, say("counts.gap")), sanitize=False, tag="div")
    return details


def _cell(visit: Visit, value: int | None) -> str:
    return "–" if value is None else number(visit, value)


def _html(titles: Sequence[str], rows: Sequence[Sequence[str]], gaps: Sequence[int], gap: str) -> str:
    """All texts are escaped: names of lines and labels are anybody's."""
    head = "".join(f'<th scope="col"{" class=number" if k else ""}>{escape(t)}</th>' for k, t in enumerate(titles))
    body = []
    for k, (name, *cells) in enumerate(rows):
        if k in gaps:
            cells = [gap] * len(cells)
        row = "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells)
        body.append(f'<tr{" class=gap" if k in gaps else ""}><th scope="row">{escape(name)}</th>{row}</tr>')
    return f'<table class="table"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
