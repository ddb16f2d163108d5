// How nodes look: one shape a kind, colours of languages and groups.

const SHAPES = ["●", "▢", "◆", "■", "▲", "✚", "⬢"];
const SHAPE_NAMES = ["feature", "other features, not shown singly", "error: what the transcoder misses", "token", "position", "bias", "output"];

function pathOf(pen, kind, x, y, r) {
  pen.beginPath();
  if (kind === 0) pen.arc(x, y, r, 0, 2 * Math.PI);
  else if (kind === 1 || kind === 3) pen.rect(x - r * 0.85, y - r * 0.85, r * 1.7, r * 1.7);
  else if (kind === 2) polygon(pen, [[0, -1.15], [1.15, 0], [0, 1.15], [-1.15, 0]], x, y, r);
  else if (kind === 4) polygon(pen, [[0, -1.05], [1.05, 0.85], [-1.05, 0.85]], x, y, r);
  else if (kind === 5) polygon(pen, [[-0.35, -1], [0.35, -1], [0.35, -0.35], [1, -0.35], [1, 0.35], [0.35, 0.35], [0.35, 1], [-0.35, 1], [-0.35, 0.35], [-1, 0.35], [-1, -0.35], [-0.35, -0.35]], x, y, r);
  else polygon(pen, [[-1, -0.58], [0, -1.16], [1, -0.58], [1, 0.58], [0, 1.16], [-1, 0.58]], x, y, r);
}
function polygon(pen, corners, x, y, r) {
  corners.forEach(([dx, dy], i) => pen[i ? "lineTo" : "moveTo"](x + dx * r, y + dy * r));
  pen.closePath();
}

// The same colour for a language everywhere on the page. Beyond eight, hues between them.
function languageColour(l) {
  if (l < 0) return colour("--muted");
  return l < N_COLOURS ? colour(`--c${l}`) : `hsl(${(l * 137.5) % 360} 55% ${isDark() ? 66 : 42}%)`;
}
const groupColour = (g) => colour(`--c${(g * 3 + 1) % N_COLOURS}`);
function languageMark(notes, l) {
  const { code, name } = notes.languages[l];
  return element("span", { class: "language", title: name, style: `--mark:${languageColour(l)}` }, code.split("_")[0]);
}
// Of what is predicted, the share that reaches a node: as in the terminal.
const totalWeight = (graph) => graph.weights.reduce((a, b) => a + b, 0);
const influenceShare = (view, node) => percent((view.influence[node] || 0) / totalWeight(view.graph));
const signColour = (weight) => colour(weight < 0 ? "--minus" : "--plus");
const shortNumber = (value) => value === null || Number.isNaN(value) ? "–" : Math.abs(value) >= 1000 || (value && Math.abs(value) < 0.001) ? value.toExponential(1) : value.toPrecision(3);
