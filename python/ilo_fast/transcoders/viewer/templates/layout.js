// Where nodes are drawn: columns are positions, rows are layers, from 0 to 1 each. No page in here.

// Columns (the first holds biases) as wide, and rows as high, as what they hold asks for.
// Row 0 is below: tokens, positions; then the layers; then the targets.
function layOut(graph, shown, aspect) {
  const columns = graph.tokens.length + 1, rows = graph.nLayers + 2;
  const columnOf = (node) => graph.position[node] + 1, rowOf = (node) => graph.layer[node] + 1;
  const cells = new Map();
  for (const node of shown) {
    const key = rowOf(node) * columns + columnOf(node);
    if (!cells.has(key)) cells.set(key, []);
    cells.get(key).push(node);
  }
  const most = (size) => new Array(size).fill(0), wide = most(columns), high = most(rows);
  for (const [key, nodes] of cells) {
    const column = key % columns, row = Math.floor(key / columns);
    if (row) wide[column] = Math.max(wide[column], nodes.length); // every column has inputs
    high[row] = Math.max(high[row], nodes.length);
  }
  const least = Math.min(1.4, Math.max(0.5, 28 / columns));
  const xs = ends(wide.map((count, i) => (i ? least : 0.7) + Math.sqrt(count) * 0.6));
  // Targets stand one above another, for there is a name beside each.
  const ys = ends(high.map((count, row) => row === rows - 1 ? 0.6 + 0.5 * graph.targets.length : 1 + Math.sqrt(count) * 0.35));
  const x = new Float32Array(graph.n).fill(NaN), y = new Float32Array(graph.n).fill(NaN), pitch = new Float32Array(graph.n);
  for (const [key, nodes] of cells) {
    const column = key % columns, row = Math.floor(key / columns);
    nodes.sort((a, b) => graph.kind[a] - graph.kind[b] || graph.feature[a] - graph.feature[b]);
    const width = (xs[column + 1] - xs[column]) * 0.86, height = (ys[row + 1] - ys[row]) * 0.8;
    const across = graph.kind[nodes[0]] === TARGET ? 1 : Math.min(nodes.length, Math.max(1, Math.ceil(Math.sqrt(nodes.length * width * aspect / height))));
    const down = Math.ceil(nodes.length / across);
    // Distances in parts of the height of the whole: `aspect` is its width over its height.
    const step = Math.min(width * aspect / across, height / down);
    nodes.forEach((node, k) => {
      const line = Math.floor(k / across), inLine = Math.min(across, nodes.length - line * across);
      x[node] = (xs[column] + xs[column + 1]) / 2 + (k % across - (inLine - 1) / 2) * step / aspect;
      y[node] = 1 - (ys[row] + ys[row + 1]) / 2 + (line - (down - 1) / 2) * step;
      pitch[node] = step;
    });
  }
  return { x, y, pitch, xs, ys };
}

function ends(sizes) {
  const total = sizes.reduce((a, b) => a + b, 0);
  let at = 0;
  return [0, ...sizes.map((size) => { at += size; return at / total; })];
}

// The node to which an arrow key leads from one place: near, and rather straight on.
function nextNode(layout, shown, from, dx, dy, aspect) {
  const { x, y } = layout;
  let best = -1, least = Infinity;
  for (const node of shown) {
    if (node === from) continue;
    const ahead = dx * (x[node] - x[from]) * aspect + dy * (y[node] - y[from]);
    const aside = Math.abs(dy * (x[node] - x[from]) * aspect) + Math.abs(dx * (y[node] - y[from]));
    if (ahead < 1e-6) continue;
    const cost = ahead + 2.5 * aside;
    if (cost < least) { least = cost; best = node; }
  }
  return best;
}
