// Curves over layers: means with their bands, what chance gives, single languages; a click sets the layer.

// spec: { series: [{ name, values, low, high, chance, lines, colour, dash }], layers, here (index), low, high,
//         label, title, zero, pick(share of the width) }; a value stands at its share of the width.
function drawCurves(host, spec) {
  const width = Math.max(280, host.clientWidth), height = spec.height || 260;
  const left = 46, right = 14, top = 12, bottom = spec.bare ? 10 : 36;
  const inner = width - left - right, tall = height - top - bottom;
  const x = (share) => left + share * inner;
  const y = (value) => top + tall * (1 - (value - spec.low) / (spec.high - spec.low || 1));
  const at = (i, n) => n > 1 ? i / (n - 1) : 0.5;
  const svg = drawn("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spec.label });

  const marks = ticks(spec.low, spec.high, spec.bare ? 3 : 5), texts = tickTexts(marks);
  for (const [i, mark] of marks.entries()) {
    svg.append(drawn("line", { x1: left, x2: width - right, y1: y(mark), y2: y(mark), class: spec.zero && mark === 0 ? "zero" : "rule" }));
    svg.append(drawn("text", { x: left - 7, y: y(mark) + 4, "text-anchor": "end", class: "tick" }, texts[i]));
  }
  const n = spec.layers.length;
  if (!spec.bare) {
    const step = everyOf(n, inner / 30);
    spec.layers.forEach((layer, i) => {
      if (i % step && i !== n - 1 || i !== n - 1 && n - 1 - i < step / 2) return;
      svg.append(drawn("text", { x: x(at(i, n)), y: height - bottom + 18, "text-anchor": "middle", class: "tick" }, layer));
    });
    svg.append(drawn("text", { x: x(0.5), y: height - 4, "text-anchor": "middle", class: "tick name" }, spec.axis));
  }
  if (spec.here !== undefined) svg.append(drawn("line", { x1: x(spec.here), x2: x(spec.here), y1: top, y2: top + tall, class: "here" }));

  // Gaps stay gaps: a path starts anew behind a value that is not there.
  const path = (values) => {
    if (values.length === 1) return Number.isNaN(values[0]) ? "" : `M${x(0.3)} ${y(values[0])}L${x(0.7)} ${y(values[0])}`;
    let text = "", open = false;
    values.forEach((value, i) => {
      if (Number.isNaN(value)) { open = false; return; }
      text += `${open ? "L" : "M"}${x(at(i, values.length)).toFixed(1)} ${y(value).toFixed(1)}`;
      open = true;
    });
    return text;
  };
  const band = (low, high) => {
    const known = Array.from(low).map((_, i) => i).filter((i) => !Number.isNaN(low[i]) && !Number.isNaN(high[i]));
    const point = (i, values) => `${x(at(i, low.length)).toFixed(1)} ${y(values[i]).toFixed(1)}`;
    return known.length ? `M${known.map((i) => point(i, high)).join("L")}L${known.reverse().map((i) => point(i, low)).join("L")}Z` : "";
  };
  for (const one of spec.series) {
    for (const { values, strong } of one.lines || []) {
      svg.append(drawn("path", { d: path(values), class: strong ? "language strong" : "language", style: `stroke:${strong ? "var(--ink)" : one.colour}` }));
    }
  }
  for (const one of spec.series) {
    if (one.low) svg.append(drawn("path", { d: band(one.low, one.high), class: "band", style: `fill:${one.colour}` }));
    if (one.chance) svg.append(drawn("path", { d: path(one.chance), class: "chance", style: `stroke:${spec.series.length > 1 ? one.colour : "var(--muted)"}` }));
    svg.append(drawn("path", { d: path(one.values), class: "mean", style: `stroke:${one.colour}`, "stroke-dasharray": one.dash || "none" }));
    Array.from(one.values).forEach((value, i, all) => {
      if (Number.isNaN(value) || all.length > 40) return;
      svg.append(drawn("circle", { cx: x(at(i, all.length)), cy: y(value), r: Math.abs(at(i, all.length) - spec.here) < 1e-6 ? 4.5 : 2.4, style: `fill:${one.colour}` }));
    });
  }
  const share = (event) => {
    const place = svg.getBoundingClientRect();
    return Math.min(1, Math.max(0, ((event.clientX - place.left) * width / place.width - left) / inner));
  };
  svg.addEventListener("click", (event) => spec.pick(share(event)));
  svg.addEventListener("pointermove", (event) => {
    if (event.buttons) spec.pick(share(event));
    showTip(spec.tip(share(event)), event.clientX, event.clientY);
  });
  svg.addEventListener("pointerleave", () => showTip(null));
  host.replaceChildren(svg);
}
