// The drawing board: lines and zones over a picture. Points are shares of the picture, 0..1, everywhere but in `at`.
// What is drawn is told to the server as the event "drawn"; names, labels and anchors are kept there.
window.camcountDraw = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEAST = { line: 2, zone: 3 };
  const NEAR = 14, STEP = 0.005, LEAP = 0.025, LOOK_MS = 1000, TELL_MS = 350;
  let root, svg, picture, words, shapes, selected, tool, draft, drag, proposal, counts, told, looking, wide, high, redo;

  const clamp = (value) => Math.min(1, Math.max(0, value));
  const at = ([x, y]) => [x * wide, y * high];
  const shape = (id = selected) => shapes.find((one) => one.id === id);
  const path = (points) => points.map((point) => at(point).map((v) => v.toFixed(1)).join(",")).join(" ");
  const apart = (a, b) => Math.hypot(at(a)[0] - at(b)[0], at(a)[1] - at(b)[1]);

  function place(event) {
    const box = svg.getBoundingClientRect();
    return [clamp((event.clientX - box.left) / box.width), clamp((event.clientY - box.top) / box.height)];
  }

  function part(name, values, parent = svg, text = "") {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    parent.append(made);
    return made;
  }

  // The point half way along a line in pixels, and the direction of `in` there: to the right of first -> last.
  function middle(points) {
    const all = points.map(at);
    const long = all.slice(1).map(([x, y], k) => Math.hypot(x - all[k][0], y - all[k][1]));
    let rest = long.reduce((sum, one) => sum + one, 0) / 2, k = 0;
    while (k < long.length - 1 && rest > long[k]) rest -= long[k++];
    const [a, b] = [all[k], all[k + 1]], length = long[k] || 1;
    const along = [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
    return { x: a[0] + along[0] * rest, y: a[1] + along[1] * rest, in: [-along[1], along[0]] };
  }

  // ---------------------------------------------------------------------------------------------- what is seen

  function draw() {
    const focused = document.activeElement?.dataset?.key;
    ({ width: wide, height: high } = svg.getBoundingClientRect());
    svg.setAttribute("viewBox", `0 0 ${wide || 1} ${high || 1}`);
    svg.classList.toggle("drawing", tool !== "select");
    svg.replaceChildren();
    for (const one of shapes) drawShape(one);
    if (proposal) {
      part("polyline", { points: path(proposal), class: "proposed" });
      const { x, y } = middle(proposal);
      part("text", { x, y: y - 10, class: "said proposed-said" }, svg, words.proposed);
    }
    if (draft) drawDraft();
    if (shape()) drawHandles(shape());
    if (focused) svg.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  function drawShape(one) {
    const group = part("g", {
      class: `shape ${one.kind}${one.id === selected ? " selected" : ""}`,
      tabindex: 0, role: "button", "data-key": one.id, "data-shape": one.id,
      "aria-label": `${one.name}, ${words[one.kind]}`, "aria-pressed": one.id === selected,
    });
    const kind = one.kind === "zone" ? "polygon" : "polyline";
    const points = path(one.points);
    part(kind, { points, class: "hit" }, group);
    part(kind, { points, class: "under" }, group);
    part(kind, { points, class: "stroke" }, group);
    const top = one.points.reduce((a, b) => (one.kind === "zone" ? b[1] < a[1] : b[0] < a[0]) ? b : a);
    const [x, y] = at(top), right = x > wide * 0.7;
    const values = { x: x + (right ? -8 : 8), y: Math.max(18, y - 12), class: "said", "text-anchor": right ? "end" : "start" };
    part("text", values, group, [one.name, counts[one.name]].filter(Boolean).join("  "));
    if (one.kind === "line") drawArrow(one);
  }

  function drawArrow(one) {
    const { in: [u, v], ...from } = middle(one.points);
    // at the picture's edge the arrow ends at the line instead of beginning there
    const beyond = from.x + u * 58 < 0 || from.x + u * 58 > wide || from.y + v * 58 < 0 || from.y + v * 58 > high;
    const [x, y] = beyond ? [from.x - u * 46, from.y - v * 46] : [from.x, from.y];
    const tip = [x + u * 40, y + v * 40];
    const group = part("g", {
      class: "arrow", tabindex: 0, role: "button", "data-key": `${one.id}:flip`, "data-flip": one.id,
      "aria-label": words.flip.replace("…", one.name),
    });
    part("circle", { cx: x + u * 34, cy: y + v * 34, r: 24, class: "hit-fill" }, group);
    part("line", { x1: x, y1: y, x2: tip[0], y2: tip[1], class: "arrow-under" }, group);
    part("line", { x1: x, y1: y, x2: tip[0], y2: tip[1], class: "arrow-line" }, group);
    const side = (k) => `${(tip[0] - u * 11 + k * v * 7).toFixed(1)},${(tip[1] - v * 11 - k * u * 7).toFixed(1)}`;
    part("polygon", { points: `${tip.map((t) => t.toFixed(1)).join(",")} ${side(1)} ${side(-1)}`, class: "arrow-head" }, group);
    part("text", { x: beyond ? x - u * 12 : tip[0] + u * 14, y: (beyond ? y - v * 12 : tip[1] + v * 14) + 5, class: "said arrow-said", "text-anchor": "middle" }, group, words.in);
  }

  function drawHandles(one) {
    const closed = one.kind === "zone";
    if (one.points.length > 2) {
      for (let k = 0; k < one.points.length - (closed ? 0 : 1); k++) {
        const next = one.points[(k + 1) % one.points.length];
        const [cx, cy] = at([(one.points[k][0] + next[0]) / 2, (one.points[k][1] + next[1]) / 2]);
        part("circle", { cx, cy, r: 5, class: "between", "data-between": k });
      }
    }
    one.points.forEach((point, k) => {
      const [cx, cy] = at(point);
      const said = `${one.name}: ${words.point} ${k + 1}/${one.points.length}, ${point.map((v) => `${Math.round(v * 100)} %`).join(", ")}`;
      const group = part("g", {
        class: "handle", tabindex: 0, role: "button", "data-key": `${one.id}:${k}`, "data-point": k, "aria-label": said,
      });
      part("circle", { cx, cy, r: 20, class: "hit-fill" }, group);
      part("circle", { cx, cy, r: 8, class: "dot" }, group);
    });
  }

  function drawDraft() {
    const points = draft.hover ? [...draft.points, draft.hover] : draft.points;
    part(draft.kind === "zone" ? "polygon" : "polyline", { points: path(points), class: "draft" });
    for (const point of draft.points) {
      const [cx, cy] = at(point);
      part("circle", { cx, cy, r: 6, class: "draft-dot" });
    }
  }

  // ------------------------------------------------------------------------------------------- what is changed

  function tell(moving = false) {
    const now = performance.now();
    if (moving && now - told < TELL_MS) return;
    told = now;
    const plain = shapes.map(({ id, kind, name, points }) => ({ id, kind, name, points }));
    emitEvent("drawn", { shapes: plain, selected, moving, tool, drafting: draft ? draft.points.length : 0 });
  }

  function choose(id) {
    selected = id;
    draw();
    tell();
  }

  function take(name) {
    tool = name;
    draft = null;
    root.dataset.tool = name;
    draw();
    tell();
  }

  function add(kind, points) {
    let n = 1;
    while (shapes.some((one) => one.name === `${words[kind]} ${n}`)) n++;
    const one = { id: crypto.randomUUID?.() ?? String(Math.random()), kind, name: `${words[kind]} ${n}`, points };
    shapes.push(one);
    selected = one.id;
    take("select");
    svg.querySelector(`[data-key="${one.id}:0"]`)?.focus({ preventScroll: true });
  }

  function finish() {
    const { kind, points } = draft;
    if (points.length < LEAST[kind]) return;
    add(kind, points);
  }

  function flip(id = selected) {
    const one = shape(id);
    if (!one || one.kind !== "line") return;
    one.points.reverse();
    choose(id);
  }

  function remove(point = null) {
    const one = shape();
    if (!one) return;
    if (point !== null && one.points.length > LEAST[one.kind]) one.points.splice(point, 1);
    else {
      shapes = shapes.filter((other) => other !== one);
      selected = null;
    }
    draw();
    tell();
  }

  function shift(points, dx, dy) {
    const [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
    dx = Math.min(1 - Math.max(...xs), Math.max(-Math.min(...xs), dx));
    dy = Math.min(1 - Math.max(...ys), Math.max(-Math.min(...ys), dy));
    return points.map(([x, y]) => [x + dx, y + dy]);
  }

  // ------------------------------------------------------------------------------------- pointers and keyboard

  function pressed(event) {
    if (event.button) return;
    const where = place(event), target = event.target.closest("[data-point],[data-between],[data-flip],[data-shape]");
    if (tool !== "select") {
      event.preventDefault();
      svg.focus({ preventScroll: true });
      svg.setPointerCapture(event.pointerId);
      begin(where);
      return;
    }
    if (!target) return selected && choose(null);
    event.preventDefault();
    const { point, between, flip: turned, shape: id } = target.dataset;
    if (turned) {
      drag = { flip: turned };
    } else if (point !== undefined) {
      drag = { one: shape(), point: Number(point) };
      target.focus({ preventScroll: true });
    } else if (between !== undefined) {
      drag = { one: shape(), point: Number(between) + 1, moved: true };
      drag.one.points.splice(drag.point, 0, where);
    } else {
      drag = { one: shape(id), from: where, points: shape(id).points };
      if (selected !== id) choose(id);
      svg.querySelector(`[data-key="${id}"]`)?.focus({ preventScroll: true });
    }
    svg.setPointerCapture(event.pointerId);
    draw();
  }

  function begin(where) {
    if (!draft) {
      draft = { kind: tool === "zone" ? "zone" : "line", points: [where], hover: null };
    } else if (tool === "line") {
      if (apart(where, draft.points[0]) > NEAR) draft.points.push(where);
    } else if (draft.points.length >= LEAST[draft.kind] && apart(where, draft.points[draft.kind === "zone" ? 0 : draft.points.length - 1]) < NEAR) {
      return finish();
    } else {
      draft.points.push(where);
    }
    draft.down = where;
    draw();
    tell();
  }

  function moved(event) {
    const where = place(event);
    if (draft) {
      draft.hover = where;
      return draw();
    }
    if (!drag || drag.flip) return;
    drag.moved = true;
    if (drag.point !== undefined) drag.one.points[drag.point] = where;
    else drag.one.points = shift(drag.points, where[0] - drag.from[0], where[1] - drag.from[1]);
    draw();
    tell(true);
  }

  function released(event) {
    if (draft && tool === "line") {
      const where = place(event);
      if (draft.points.length === 1 && draft.down && apart(where, draft.points[0]) > NEAR) draft.points.push(where);
      if (draft.points.length === 2) finish();
      return;
    }
    const done = drag;
    drag = null;
    if (done?.flip) flip(done.flip);
    else if (done?.moved) tell();
  }

  function typed(event) {
    if (!root?.isConnected || event.target.closest?.("input, textarea, select, .q-menu")) return;
    const inside = svg.contains(event.target);
    const { point, flip: turned, shape: id } = inside ? event.target.closest("[data-key]")?.dataset ?? {} : {};
    const step = event.shiftKey ? LEAP : STEP;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key === "Escape" && (draft || tool !== "select")) take("select");
    else if (event.key === "Escape" && selected) choose(null);
    else if (event.key === "Enter" && draft && !event.target.closest("button")) finish();
    else if (!inside) return;
    else if ((event.key === "Enter" || event.key === " ") && turned) flip(turned);
    else if ((event.key === "Enter" || event.key === " ") && id) choose(id);
    else if (event.key === "Delete" || event.key === "Backspace") remove(point === undefined ? null : Number(point));
    else if (event.key in moves && shape() && (point !== undefined || id === selected)) nudge(point, moves[event.key]);
    else return;
    event.preventDefault();
  }

  function nudge(point, [dx, dy]) {
    const one = shape();
    if (point === undefined) one.points = shift(one.points, dx, dy);
    else one.points[point] = [clamp(one.points[point][0] + dx), clamp(one.points[point][1] + dy)];
    draw();
    tell(true);
    clearTimeout(redo);
    redo = setTimeout(tell, TELL_MS + 50);
  }

  // ------------------------------------------------------------------------------------------------ the picture

  function look(address) {
    clearTimeout(looking);
    const next = () => { looking = setTimeout(() => look(address), LOOK_MS); };
    if (!root.isConnected) return;
    if (document.hidden || drag) return next();
    const fresh = new Image();
    fresh.onload = () => { show(fresh.src); next(); };
    fresh.onerror = () => { looking = setTimeout(() => look(address), 4 * LOOK_MS); };
    fresh.src = address + Date.now();
  }

  function show(address) {
    picture.onload = () => {
      root.style.setProperty("--shape", `${picture.naturalWidth} / ${picture.naturalHeight}`);
      draw();
    };
    picture.src = address;
    root.classList.add("seen");
  }

  return {
    // `given`: shapes drawn before; `said`: the words that are shown on the picture.
    begin(id, given, said) {
      root = document.getElementById(id);
      svg = root.querySelector("svg");
      picture = root.querySelector("img");
      [words, shapes, selected, tool, draft, drag, proposal, counts, told] = [said, given, null, "select", null, null, null, {}, 0];
      svg.addEventListener("pointerdown", pressed);
      svg.addEventListener("pointermove", moved);
      svg.addEventListener("pointerup", released);
      svg.addEventListener("pointercancel", () => { drag = null; draw(); });
      svg.addEventListener("dblclick", () => { if (draft) finish(); });
      window.addEventListener("keydown", typed);
      new ResizeObserver(() => requestAnimationFrame(draw)).observe(svg);
      draw();
      root.dataset.ready = "true";
    },
    look,
    show(address) { clearTimeout(looking); show(address); },
    still(file) { if (file) this.show(URL.createObjectURL(file)); },
    // By keyboard a tool puts a shape into the middle, whose points the arrow keys then move.
    tool(name, byKeyboard) {
      if (!byKeyboard || name === "select") return take(tool === name ? "select" : name);
      const line = [[0.25, 0.5], [0.75, 0.5]];
      if (name === "polyline") line.splice(1, 0, [0.5, 0.6]);
      add(name === "zone" ? "zone" : "line", name === "zone" ? [[0.3, 0.3], [0.7, 0.3], [0.7, 0.7], [0.3, 0.7]] : line);
    },
    choose, flip, finish,
    cancel() { take("select"); },
    remove() { remove(); },
    name(id, name) { const one = shape(id); if (one) { one.name = name; draw(); } },
    move(id, points) { const one = shape(id); if (one) { one.points = points; proposal = null; draw(); tell(); } },
    propose(points) { proposal = points; draw(); },
    count(said) { counts = said; draw(); },
  };
})();
