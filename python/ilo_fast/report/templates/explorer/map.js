// The points of a layer in two dimensions, their neighbours, and a walk over them by pointer or keys.

function makeMap(host, run, choose) {
  const canvas = element("canvas", { tabindex: "0", role: "application", "aria-roledescription": "map of sentences",
    "aria-label": `Map of the sentences of ${run.name}; left and right arrows go to other sentences, up and down to other languages` });
  host.append(canvas);
  const { points } = run, table = points.table;
  const bytes = document.createElement("canvas");
  let size = 0, shown = null, frame = 0, last = null, style = null;
  // Points in a fixed random order: none of the languages lies on top everywhere.
  const shuffled = Uint32Array.from({ length: table.size }, (_, i) => i);
  for (let i = shuffled.length - 1, seed = 1; i > 0; i--) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    const j = seed % (i + 1), kept = shuffled[i];
    shuffled[i] = shuffled[j]; shuffled[j] = kept;
  }

  const extent = (values) => {
    let low = Infinity, high = -Infinity;
    for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
    return [low, high];
  };
  let range = null;
  // Places in CSS pixels of all points at a layer.
  function places(h) {
    const xs = run.get(points.x).values, ys = run.get(points.y).values, n = table.size;
    range = range || [extent(xs), extent(ys)];
    const [[x0, x1], [y0, y1]] = range, scale = (size - 24) / Math.max(x1 - x0, y1 - y0, 1e-9);
    const out = new Float32Array(2 * n);
    const dx = size / 2 - scale * (x0 + x1) / 2, dy = size / 2 + scale * (y0 + y1) / 2;
    for (let i = 0; i < n; i++) { out[2 * i] = dx + scale * xs[h * n + i]; out[2 * i + 1] = dy - scale * ys[h * n + i]; }
    return out;
  }

  // Squares without corners, written into the pixels: 40 000 of them take some milliseconds.
  function paint(at) {
    const pen = sized(canvas, size, size), scale = canvas.width / size;
    bytes.width = canvas.width; bytes.height = canvas.height;
    const image = bytes.getContext("2d").createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer), wide = canvas.width;
    const radius = Math.max(1, Math.round(scale * (table.size > 12000 ? 1 : table.size > 2500 ? 1.5 : 2.5)));
    const { codes, palette, dim } = style;
    for (let pass = 0; pass < 2; pass++) {
      for (let k = 0; k < shuffled.length; k++) {
        const i = shuffled[k], faint = dim[table.language[i]];
        if (faint ? pass : !pass) continue;
        const cx = Math.round(at[2 * i] * scale), cy = Math.round(at[2 * i + 1] * scale), value = faint ? palette[palette.length - 1] : palette[codes[i]];
        for (let dy = -radius; dy <= radius; dy++) {
          const y = cy + dy, reach = Math.abs(dy) === radius && radius > 0 ? radius - 1 : radius;
          if (y < 0 || y >= wide) continue;
          for (let x = Math.max(0, cx - reach); x <= Math.min(wide - 1, cx + reach); x++) pixels[y * wide + x] = value;
        }
      }
    }
    bytes.getContext("2d").putImageData(image, 0, 0);
    pen.drawImage(bytes, 0, 0, size, size);
    overlay(pen, at);
    shown = at;
  }

  function overlay(pen, at) {
    const chosen = style.point;
    if (!chosen) return;
    const from = table.point(chosen.language, chosen.sentence);
    if (from < 0) return;
    const ink = colour("--ink"), ground = colour("--ground");
    pen.lineWidth = 1.5;
    for (const { language, sentence } of run.neighbours(style.h, chosen)) {
      const to = table.point(language, sentence);
      if (to < 0) continue;
      pen.strokeStyle = ink;
      line(pen, at[2 * from], at[2 * from + 1], at[2 * to], at[2 * to + 1]);
      dot(pen, at[2 * to], at[2 * to + 1], 4, ground, ink);
    }
    dot(pen, at[2 * from], at[2 * from + 1], 6, ink, ground);
  }
  const dot = (pen, x, y, radius, fill, stroke) => {
    pen.beginPath(); pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fillStyle = fill; pen.fill(); pen.strokeStyle = stroke; pen.stroke();
  };

  // next: { h, codes (of each point), palette (packed colours, the last for the faint), dim (of each language), point, still }
  function draw(next) {
    const before = style && style.h;
    if (next) style = next;
    if (!style || !points.x) return;
    size = Math.max(240, Math.min(host.clientWidth - 2, 620));
    const target = places(style.h);
    cancelAnimationFrame(frame);
    const calm = style.still || matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!shown || shown.length !== target.length || before === style.h || calm || last !== size) { last = size; paint(target); return; }
    const from = shown, start = performance.now(), now = new Float32Array(target.length);
    const step = (time) => {
      const share = Math.min(1, (time - start) / 350), eased = share * share * (3 - 2 * share);
      for (let i = 0; i < now.length; i++) now[i] = from[i] + eased * (target[i] - from[i]);
      paint(share < 1 ? now.slice() : target);
      if (share < 1) frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
  }

  const nearest = (event) => {
    const place = canvas.getBoundingClientRect(), px = event.clientX - place.left, py = event.clientY - place.top;
    let best = -1, least = 14 * 14;
    for (let i = 0; shown && i < table.size; i++) {
      const dx = shown[2 * i] - px, dy = shown[2 * i + 1] - py, far = dx * dx + dy * dy;
      if (far < least && !style.dim[table.language[i]]) { least = far; best = i; }
    }
    return best;
  };
  const of = (i) => ({ language: table.language[i], sentence: table.sentence[i] });
  let hovered = -1;
  canvas.addEventListener("pointermove", (event) => {
    const i = nearest(event);
    canvas.style.cursor = i < 0 ? "" : "pointer";
    if (i === hovered) return;
    hovered = i;
    if (i >= 0) choose(of(i), true);
    showTip(i < 0 ? null : run.tipOf(of(i)), event.clientX, event.clientY);
  });
  canvas.addEventListener("pointerleave", () => { hovered = -1; showTip(null); choose(null, true); });
  canvas.addEventListener("click", (event) => { const i = nearest(event); if (i >= 0) choose(of(i), false); });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    choose(run.moved(step[0], step[1] * points.stride), false);
  });
  return { draw, paint: () => shown && paint(shown) };
}
