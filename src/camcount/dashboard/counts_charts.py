"""Charts of counts as options of ECharts. Colours are tokens of the style, so that they follow the theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from camcount.dashboard.counts_found import Found, Limits, Series
from camcount.storage.flow_log import Flow

COLOURS = tuple(f"var(--c{k})" for k in range(1, 9))
_QUIET = {"show": False}


def over_time(
    found: Found, labels: Sequence[str], limits: Limits | None, words: Mapping[str, str], ways: Sequence[str]
) -> dict[str, Any]:
    """Bars or curves, gaps hatched, low to high as a band, and what it is compared with as a broken curve.

    Args:
        labels: of the spans.
        words: for ``gap``, ``limits``.
        ways: the colours of the series, if they are not those of lines.
    """
    bars = found.asked.kind == "bar"
    colours = ways or COLOURS
    series: list[dict[str, Any]] = [_gaps(found, words["gap"])]
    for k, one in enumerate(found.series):
        series.append((_bar if bars else _curve)(one, colours[k % len(colours)]))
    if limits is not None:
        # the whole is what stacked bars add up to; a curve of its own has a band of its own
        series += _whiskers(limits, words["limits"]) if bars else _band(found, limits, words["limits"])
    if found.before is not None:
        series.append(_before(found.before))
    legend = [one["name"] for one in series if one["name"]]
    return {
        "animation": False,
        "aria": {"enabled": False},
        "grid": {"left": 4, "right": 8, "top": 40, "bottom": 4, "containLabel": True},
        "legend": _legend(legend),
        "tooltip": _tooltip(),
        "xAxis": {
            "type": "category",
            "data": list(labels),
            "boundaryGap": True,
            "axisTick": _QUIET,
            "axisLine": {"lineStyle": {"color": "var(--line-strong)"}},
            "axisLabel": {
                "color": "var(--text-3)",
                "hideOverlap": True,
                "fontSize": 12,
                "margin": 10,
                "alignMinLabel": "left",
                "alignMaxLabel": "right",
            },
        },
        "yAxis": {
            "type": "value",
            "minInterval": 1,
            "axisLabel": {"color": "var(--text-3)", "fontSize": 12, ":formatter": "v => camcount.counts.number(v)"},
            "splitLine": {"lineStyle": {"color": "var(--line)"}},
        },
        "series": series,
    }


def ways_between(flows: Sequence[Flow], *, several: bool) -> dict[str, Any]:
    """A Sankey chart: from where on the left to where on the right."""
    nodes: dict[str, dict[str, Any]] = {}
    links = []
    for flow in flows:
        ends = []
        for side, place in (("from", flow.origin), ("to", flow.destination)):
            shown = f"{flow.camera_id} · {place}" if several else place
            name = f"{side} {flow.camera_id}/{flow.kind}/{place}"
            nodes[name] = {
                "name": name,
                "label": {"formatter": _plain(shown), "position": "right" if side == "from" else "left"},
                "itemStyle": {"color": COLOURS[_number(place, flows) % len(COLOURS)]},
            }
            ends.append(name)
        links.append({"source": ends[0], "target": ends[1], "value": flow.count})
    return {
        "animation": False,
        "tooltip": {**_tooltip(), "trigger": "item", ":formatter": "p => camcount.counts.flow(p)"},
        "series": [
            {
                "type": "sankey",
                "data": list(nodes.values()),
                "links": links,
                "left": 0,
                "right": 0,
                "top": 8,
                "bottom": 8,
                "nodeWidth": 10,
                "nodeGap": 14,
                "draggable": False,
                "label": {"color": "var(--text)", "fontSize": 12},
                "lineStyle": {"color": "source", "opacity": 0.3, "curveness": 0.5},
                "emphasis": {"disabled": True},
            }
        ],
    }


def _number(place: str, flows: Sequence[Flow]) -> int:
    return sorted({name for flow in flows for name in (flow.origin, flow.destination)}).index(place)


def _plain(text: str) -> str:
    """A name that ECharts does not take for a template."""
    return text.replace("{", "(").replace("}", ")")


def _bar(one: Series, colour: str) -> dict[str, Any]:
    style = {"color": colour}
    return {
        "type": "bar",
        "name": one.name,
        "data": list(one.values),
        "stack": "all",
        "itemStyle": style,
        "barMaxWidth": 40,
        "barCategoryGap": "28%",
        "emphasis": {"disabled": True},
    }


def _curve(one: Series, colour: str) -> dict[str, Any]:
    return {
        "type": "line",
        "name": one.name,
        "data": list(one.values),
        "connectNulls": False,
        "showSymbol": _lonely(one),
        "symbolSize": 5,
        "itemStyle": {"color": colour},
        "lineStyle": {"color": colour, "width": 2},
        "emphasis": {"disabled": True},
    }


def _lonely(one: Series) -> bool:
    """Whether a span stands between gaps: of that a line alone shows nothing."""
    around = [None, *one.values, None]
    return any(
        here is not None and around[k - 1] is None and around[k + 1] is None for k, here in enumerate(around[1:-1], 1)
    )


def _before(one: Series) -> dict[str, Any]:
    curve = _curve(one, "var(--text-3)")
    return curve | {"lineStyle": {"color": "var(--text-3)", "width": 1.5, "type": "dashed"}, "z": 5}


def _gaps(found: Found, name: str) -> dict[str, Any]:
    return {
        "type": "custom",
        "name": name if found.gaps else "",
        "data": [[k, 0] for k in found.gaps],
        ":renderItem": "(p, api) => camcount.counts.gap(p, api)",
        "itemStyle": {"color": "var(--line-strong)"},
        "silent": True,
        "z": 1,
    }


def _whiskers(limits: Limits, name: str) -> list[dict[str, Any]]:
    """A thin line from low to high on each bar."""
    known = [[k, low, high] for k, (low, high) in enumerate(zip(limits.low, limits.high, strict=True))]
    return [
        {
            "type": "custom",
            "name": name,
            "data": [one for one in known if None not in one and one[1] != one[2]],
            "encode": {"x": 0, "y": [1, 2]},
            ":renderItem": "(p, api) => camcount.counts.whisker(p, api)",
            "itemStyle": {"color": "var(--text-2)"},
            "silent": True,
            "z": 6,
        }
    ]


def _band(found: Found, limits: Limits, name: str) -> list[dict[str, Any]]:
    """The room between low and high; with it the sum, where the curves are parts of it."""
    pairs = list(zip(limits.low, limits.high, strict=True))
    room = [None if low is None or high is None else high - low for low, high in pairs]
    low = [None if wide is None else one[0] for wide, one in zip(room, pairs, strict=True)]
    hidden = {"type": "line", "stack": "band", "symbol": "none", "silent": True, "lineStyle": {"opacity": 0}, "z": 0}
    band = [
        hidden | {"name": "", "data": low},
        hidden
        | {
            "name": name,
            "data": room,
            "areaStyle": {"color": "var(--accent)", "opacity": 0.14},
            "itemStyle": {"color": "var(--accent)"},
        },
    ]
    if len(found.series) > 1:
        sums = _curve(found.whole, "var(--text-2)")
        band.append(sums | {"lineStyle": {"color": "var(--text-2)", "width": 1.5}})
    return band


def _legend(names: Sequence[str]) -> dict[str, Any]:
    return {
        "data": list(names),
        "type": "scroll",
        "left": 0,
        "top": 0,
        "icon": "roundRect",
        "itemWidth": 12,
        "itemHeight": 8,
        "itemGap": 16,
        "textStyle": {"color": "var(--text-2)", "fontSize": 12},
        "inactiveColor": "var(--line-strong)",
        "pageTextStyle": {"color": "var(--text-3)"},
        "pageIconColor": "var(--text-2)",
        "pageIconInactiveColor": "var(--line-strong)",
        "selectedMode": len(names) > 1,
    }


def _tooltip() -> dict[str, Any]:
    return {
        "trigger": "axis",
        "confine": True,
        "axisPointer": {"type": "line", "lineStyle": {"color": "var(--line-strong)"}},
        "backgroundColor": "var(--surface)",
        "borderColor": "var(--line-strong)",
        "textStyle": {"color": "var(--text)", "fontSize": 12},
        "className": "counts-tip",
        ":formatter": "p => camcount.counts.tip(p)",
    }
