// What ECharts asks of the page of counts: gaps, bounds, and what the tooltip says.
camcount.counts = (() => {
  const number = value => value.toLocaleString(document.documentElement.lang || "en");
  const safe = text => String(text).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);
  const words = () => document.querySelector("[data-counts-words]")?.dataset ?? {};
  const row = (colour, name, value) =>
    `<div class="counts-tip-row"><i style="background:${safe(colour)}"></i><span>${safe(name)}</span><b>${safe(value)}</b></div>`;
  return {
    number,
    // hatched from top to bottom, as wide as the span
    gap(params, api) {
      const [x] = api.coord([api.value(0), 0]);
      const [wide] = api.size([1, 0]);
      const { y, height } = params.coordSys;
      const left = x - wide / 2, right = x + wide / 2, step = 8;
      const lines = [];
      for (let at = Math.floor((left - height) / step) * step; at < right; at += step) {
        const from = Math.max(at, left), to = Math.min(at + height, right);
        if (from < to) lines.push({ type: "line", shape: { x1: from, y1: y + height - (from - at), x2: to, y2: y + height - (to - at) }, style: { stroke: "var(--line-strong)", lineWidth: 1 } });
      }
      return { type: "group", children: [{ type: "rect", shape: { x: left, y, width: wide, height }, style: { fill: "var(--sunken)" } }, ...lines] };
    },
    whisker(params, api) {
      const [x, low] = api.coord([api.value(0), api.value(1)]);
      const [, high] = api.coord([api.value(0), api.value(2)]);
      const arm = Math.min(5, api.size([1, 0])[0] / 5);
      const faint = arm > 1.5 ? 1 : 0.45;
      const line = (x1, y1, x2, y2) => ({ type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: "var(--text-2)", lineWidth: 1.25, opacity: faint } });
      const arms = arm > 1.5 ? [line(x - arm, high, x + arm, high), line(x - arm, low, x + arm, low)] : [];
      return { type: "group", children: [line(x, low, x, high), ...arms] };
    },
    tip(all) {
      const { gap, limits } = words();
      const shown = all.filter(one => one.seriesName && one.seriesType !== "custom" && one.seriesName !== limits);
      const seen = shown.some(one => one.value != null);
      const rows = shown.filter(one => one.value != null).map(one => row(one.color, one.seriesName, number(one.value)));
      const low = all.find(one => one.seriesType === "custom" && one.seriesName === limits);
      if (low) rows.push(row("var(--text-2)", limits, `${number(low.value[1])}–${number(low.value[2])}`));
      const at = all.findIndex(one => one.seriesName === limits && one.seriesType === "line");
      if (at > 0 && all[at].value != null) rows.push(row("var(--accent)", limits, `${number(all[at - 1].value)}–${number(all[at - 1].value + all[at].value)}`));
      return `<strong>${safe(all[0]?.axisValueLabel ?? "")}</strong>${seen ? rows.join("") : `<div>${safe(gap)}</div>`}`;
    },
    flow(one) {
      const place = name => name.slice(name.lastIndexOf("/") + 1);
      return one.dataType === "edge"
        ? `${safe(place(one.data.source))} → ${safe(place(one.data.target))}: <b>${number(one.data.value)}</b>`
        : `${safe(place(one.name))}: <b>${number(one.value)}</b>`;
    },
  };
})();
