// One graph on a canvas: drawing, zoom, pan, pointer, keys.

const GUTTER = { left: 58, bottom: 46, top: 6 };
const MOST_EDGES = 300, MOST_ZOOM = 60;

// view: { graph, shown, layout, kept, influence, pins, groups, ... }, see viewer.js. hooks: choose(node), pin(node), said(text).
function makePlane(host, view, notes, hooks) {
  const { graph } = view;
  const canvas = element("canvas", { tabindex: "0", role: "application", "aria-roledescription": "attribution graph",
    "aria-label": `Graph of the prompt: ${graph.prompt}. Arrow keys move between nodes, Enter selects, P pins, plus and minus zoom, 0 shows all, slash searches` });
  host.append(canvas);
  let width = 0, height = 0, k = 1, panX = 0, panY = 0, cursor = -1, hovered = -1, queued = 0;
  const inner = () => ({ w: width - GUTTER.left - 4, h: height - GUTTER.bottom - GUTTER.top });
  const X = (u) => GUTTER.left + u * inner().w * k + panX, Y = (v) => GUTTER.top + v * inner().h * k + panY;
  const radius = (node) => Math.max(1.7, Math.min(9, view.layout.pitch[node] * inner().h * k * 0.42));
  const aspect = () => { const { w, h } = inner(); return w / h; };

  function measure() {
    const w = host.clientWidth, h = host.clientHeight;
    const changed = w !== width || h !== height;
    width = w; height = h;
    return changed;
  }
  function clamp() {
    const { w, h } = inner();
    k = Math.min(MOST_ZOOM, Math.max(1, k));
    panX = Math.min(0, Math.max(w * (1 - k), panX));
    panY = Math.min(0, Math.max(h * (1 - k), panY));
    canvas.style.touchAction = k > 1 ? "none" : "pan-y";
  }
  function zoom(factor, x = GUTTER.left + inner().w / 2, y = GUTTER.top + inner().h / 2) {
    const before = k, at = [x - GUTTER.left, y - GUTTER.top];
    k = Math.min(MOST_ZOOM, Math.max(1, k * factor));
    panX = at[0] - (at[0] - panX) * k / before;
    panY = at[1] - (at[1] - panY) * k / before;
    clamp(); draw();
  }
  const fit = () => { k = 1; panX = panY = 0; clamp(); draw(); };
  // Moves as little as brings a node into sight.
  function reveal(node) {
    const { x, y } = view.layout, { w, h } = inner();
    if (Number.isNaN(x[node])) return;
    panX += Math.max(0, 24 - (X(x[node]) - GUTTER.left)) - Math.max(0, X(x[node]) - GUTTER.left - w + 24);
    panY += Math.max(0, 24 - (Y(y[node]) - GUTTER.top)) - Math.max(0, Y(y[node]) - GUTTER.top - h + 24);
    clamp();
  }

  // One drawing a frame, and none where nothing changed.
  function draw() { if (!queued) queued = requestAnimationFrame(() => { queued = 0; paint(); }); }

  function paint() {
    if (!width) return;
    const began = performance.now(), pen = sized(canvas, width, height), { w, h } = inner();
    const focus = hovered >= 0 ? hovered : view.selected;
    pen.save();
    pen.beginPath(); pen.rect(GUTTER.left, 0, w + 4, h + GUTTER.top + 3); pen.clip();
    paintGround(pen);
    paintEdges(pen, focus);
    const near = focus >= 0 ? neighbours(view, focus) : null;
    for (const node of view.shown) paintNode(pen, node, near);
    if (view.selected >= 0 && !view.isShown[view.selected]) paintNode(pen, view.selected, null);
    paintRings(pen);
    pen.restore();
    paintAxes(pen);
    canvas.dataset.milliseconds = (performance.now() - began).toFixed(1);
  }

  function paintGround(pen) {
    const { xs, ys } = view.layout;
    pen.fillStyle = colour("--panel");
    for (let row = 0; row < ys.length - 1; row += 2) pen.fillRect(0, Y(1 - ys[row + 1]), width, Y(1 - ys[row]) - Y(1 - ys[row + 1]));
    pen.strokeStyle = colour("--line"); pen.lineWidth = 0.5;
    pen.beginPath();
    for (let i = 1; i < xs.length - 1; i++) { pen.moveTo(X(xs[i]), 0); pen.lineTo(X(xs[i]), height); }
    pen.stroke();
  }

  function paintEdges(pen, focus) {
    const { x, y } = view.layout;
    const line = (e, alpha, wide) => {
      const from = graph.source[e], to = graph.nodeOf(graph.row[e]);
      if (Number.isNaN(x[from]) || Number.isNaN(x[to])) return;
      pen.globalAlpha = alpha; pen.lineWidth = wide; pen.strokeStyle = signColour(graph.share[e]);
      const x0 = X(x[from]), y0 = Y(y[from]), x1 = X(x[to]), y1 = Y(y[to]), bend = (y1 - y0) * 0.35;
      pen.beginPath(); pen.moveTo(x0, y0); pen.bezierCurveTo(x0, y0 + bend, x1, y1 - bend, x1, y1); pen.stroke();
    };
    if (focus < 0) for (const e of view.strongest) line(e, 0.14 + 0.5 * view.strength(e), 0.6 + 2 * view.strength(e));
    else {
      for (const e of edgesOf(graph, focus)) {
        if (!view.kept.edges[e] && !(view.isShown[graph.source[e]] && Math.abs(graph.share[e]) > 0.01)) continue;
        const size = Math.sqrt(Math.abs(graph.share[e]));
        line(e, 0.25 + 0.65 * size, 0.7 + 4.5 * size);
      }
    }
    pen.globalAlpha = 1;
  }

  function paintNode(pen, node, near) {
    const { x, y } = view.layout, px = X(x[node]), py = Y(y[node]), r = radius(node);
    if (!(px > GUTTER.left - r && px < width + r && py > -r && py < height)) return;
    const dim = near && !near.has(node) && node !== view.selected;
    pathOf(pen, graph.kind[node], px, py, r);
    pen.globalAlpha = (dim ? 0.22 : 1) * (view.colourBy === "influence" ? 0.3 + 0.7 * view.weight(node) : 1);
    pen.fillStyle = hooks.fill(view, node);
    pen.fill();
    pen.globalAlpha = dim ? 0.35 : 1;
    if (view.shared.has(featureKey(graph, node))) { pen.strokeStyle = colour("--ink"); pen.lineWidth = 1.3; pen.stroke(); }
    pen.globalAlpha = 1;
  }

  function paintRings(pen) {
    const { x, y } = view.layout;
    const ring = (node, stroke, wide, more, dashes = []) => {
      if (node < 0 || Number.isNaN(x[node])) return;
      pen.setLineDash(dashes); pen.strokeStyle = stroke; pen.lineWidth = wide;
      pathOf(pen, graph.kind[node], X(x[node]), Y(y[node]), radius(node) + more); pen.stroke(); pen.setLineDash([]);
    };
    view.groups.forEach((group, g) => group.members.forEach((node) => ring(node, groupColour(g), 2, 1.5, group.proposed ? [3, 2] : [])));
    for (const node of view.pins) ring(node, colour("--ink"), 2, 2);
    for (const node of view.alike) ring(node, colour("--accent"), 2.5, 3.5);
    ring(view.selected, colour("--accent"), 3, 4);
    if (document.activeElement === canvas) ring(cursor, colour("--ink"), 1.5, 6, [2, 2]);
    const named = new Set([view.selected, hovered, ...(k > 1.5 || view.pins.size < 12 ? view.pins : [])]);
    for (let node = graph.nSources; node < graph.n; node++) named.add(node);
    pen.font = `12px ${FONT}`; pen.textAlign = "left"; pen.textBaseline = "middle";
    let below = -Infinity;
    for (const node of named) {
      if (node < 0 || Number.isNaN(x[node])) continue;
      const isTarget = graph.kind[node] === TARGET;
      if (isTarget && node !== view.selected && node !== hovered) {
        if (Y(y[node]) - below < 13) continue;
        below = Y(y[node]);
      }
      const name = isTarget ? `${quoted(graph.targets[node - graph.nSources])} ${probability(graph, node)}` : nodeName(graph, node, notes);
      const text = shortened(pen, name, 190), wide = pen.measureText(text).width;
      const right = X(x[node]) + radius(node) + 9, left = isTarget || right + wide > width - 4 ? X(x[node]) - radius(node) - 9 - wide : right;
      pen.fillStyle = colour("--ground"); pen.globalAlpha = 0.88;
      pen.fillRect(left - 3, Y(y[node]) - 7, wide + 6, 14);
      pen.globalAlpha = 1; pen.fillStyle = colour("--ink"); pen.fillText(text, left, Y(y[node]));
    }
  }

  // Names of rows and columns stay in sight.
  function paintAxes(pen) {
    const { xs, ys } = view.layout, { h } = inner(), below = GUTTER.top + h + 3;
    pen.font = `11.5px ${FONT}`; pen.fillStyle = colour("--muted"); pen.textBaseline = "middle"; pen.textAlign = "right";
    for (let row = 0, last = Infinity; row < ys.length - 1; row++) {
      const at = Y(1 - (ys[row] + ys[row + 1]) / 2);
      if (at < 8 || at > below - 6 || last - at < 13) continue;
      last = at;
      pen.fillText(row === 0 ? "input" : row === ys.length - 2 ? "output" : `layer ${row - 1}`, GUTTER.left - 8, at);
    }
    const chosen = view.selected >= 0 ? graph.position[view.selected] : -2;
    for (let i = 0, free = GUTTER.left - 20; i < xs.length - 1; i++) {
      const left = X(xs[i]), right = X(xs[i + 1]), middle = (left + right) / 2, room = right - left;
      if (middle < GUTTER.left || middle > width) continue;
      const token = i ? graph.tokens[i - 1].trim() || "␣" : "bias", level = room > 34 || !i || room > pen.measureText(token).width + 3;
      if (!i && room < 22) continue;
      pen.fillStyle = colour(i - 1 === chosen ? "--accent" : i ? "--ink" : "--muted");
      if (level) {
        pen.textAlign = "center";
        pen.fillText(i ? shortened(pen, token, room - 4) : token, middle, below + 11);
        if (i && room > 20) { pen.fillStyle = colour("--muted"); pen.fillText(String(i - 1), middle, below + 27); }
      } else if (middle - free >= 10) {
        free = middle;
        pen.save(); pen.translate(middle + 4, below + 4); pen.rotate(-Math.PI / 3.2); pen.textAlign = "right";
        pen.fillText(shortened(pen, token, 46), 0, 0); pen.restore();
      }
    }
  }

  function nearest(event) {
    const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
    const { x, y } = view.layout;
    let best = -1, least = Infinity;
    for (const node of view.shown) {
      const far = Math.hypot(X(x[node]) - px, Y(y[node]) - py);
      if (far < Math.max(9, radius(node) + 4) && far < least) { least = far; best = node; }
    }
    return best;
  }

  // ---- pointers: one pans, two zoom
  const held = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    held.set(event.pointerId, [event.clientX, event.clientY]);
    if (held.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (!before) {
      const node = nearest(event);
      canvas.style.cursor = node >= 0 ? "pointer" : "grab";
      if (node !== hovered) { hovered = node; draw(); }
      showTip(node < 0 ? null : hooks.tip(view, node), event.clientX, event.clientY);
      return;
    }
    const now = [event.clientX, event.clientY], dx = now[0] - before[0], dy = now[1] - before[1];
    moved += Math.abs(dx) + Math.abs(dy);
    if (moved < 5) return;
    if (!canvas.hasPointerCapture(event.pointerId)) canvas.setPointerCapture(event.pointerId);
    showTip(null); hovered = -1;
    if (held.size === 2) {
      const [other] = [...held].filter(([id]) => id !== event.pointerId).map(([, at]) => at), box = canvas.getBoundingClientRect();
      const far = ([ax, ay]) => Math.hypot(ax - other[0], ay - other[1]) || 1;
      zoom(far(now) / far(before), (now[0] + other[0]) / 2 - box.left, (now[1] + other[1]) / 2 - box.top);
    } else { panX += dx; panY += dy; clamp(); draw(); }
    held.set(event.pointerId, now);
  });
  const release = (event) => held.delete(event.pointerId);
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => { if (held.size) return; hovered = -1; showTip(null); draw(); });
  canvas.addEventListener("click", (event) => {
    if (moved >= 5) return;
    // A click has whole pixels: at its border the node is the one that the pointer was on.
    cursor = nearest(event);
    if (cursor < 0 && event.pointerType !== "touch") cursor = hovered;
    hooks.choose(cursor);
  });
  canvas.addEventListener("wheel", (event) => {
    if (event.deltaY > 0 && k === 1) return; // all is in sight: the wheel belongs to the page
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaMode ? event.deltaY * 20 : event.deltaY)) / 260), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });

  // ---- keys
  canvas.addEventListener("focus", draw);
  canvas.addEventListener("blur", draw);
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (arrow && event.shiftKey) { panX -= arrow[0] * 60; panY -= arrow[1] * 60; clamp(); draw(); }
    else if (arrow) {
      const from = cursor >= 0 && view.isShown[cursor] ? cursor : view.selected;
      const to = from < 0 || !view.isShown[from] ? graph.nSources : nextNode(view.layout, view.shown, from, ...arrow, aspect());
      if (to >= 0) { cursor = to; reveal(to); draw(); hooks.said(longName(graph, to, notes)); }
    } else if (event.key === "Enter" || event.key === " ") hooks.choose(cursor);
    else if (event.key === "p" || event.key === "P") hooks.pin(cursor >= 0 ? cursor : view.selected);
    else if (event.key === "+" || event.key === "=") zoom(1.4);
    else if (event.key === "-") zoom(1 / 1.4);
    else if (event.key === "0") fit();
    else return;
    event.preventDefault();
  });
  // What is drawn of a node, for those that cannot see it or wish to click on it.
  const spot = (node) => { const { x, y } = view.layout, box = canvas.getBoundingClientRect(); return [box.left + X(x[node]), box.top + Y(y[node])]; };
  return { draw, paint, measure, aspect, zoom, fit, spot, canvas, goTo: (node) => { cursor = node; reveal(node); draw(); } };
}

// Edges into a node and out of it.
function* edgesOf(graph, node) {
  const row = graph.rowOf(node);
  if (row >= 0) for (let e = graph.start[row]; e < graph.start[row + 1]; e++) yield e;
  if (node < graph.nSources) for (let i = graph.outStart[node]; i < graph.outStart[node + 1]; i++) yield graph.out[i];
}
function neighbours(view, node) {
  const found = new Set([node]), { graph, kept } = view;
  for (const e of edgesOf(graph, node)) if (kept.edges[e]) { found.add(graph.source[e]); found.add(graph.nodeOf(graph.row[e])); }
  return found;
}
