// Influence, pruning, and how much of a graph is explained: as attribution/scores.py. No page in here.

// What reaches every source of the targets' weights; features that are not kept (null: all are) have no
// sources. `lost` is what goes along edges that the page has not.
function flow(graph, nodes) {
  const { order, start, source, share, nFeatures, nSources, weights } = graph;
  const reached = new Float64Array(nSources);
  let lost = 0;
  for (const row of order) {
    const from = row < nFeatures ? reached[row] : weights[row - nFeatures];
    if (!from || !graph.total[row] || nodes && row < nFeatures && !nodes[row]) continue;
    let given = 0;
    for (let e = start[row]; e < start[row + 1]; e++) {
      const part = Math.abs(share[e]);
      reached[source[e]] += from * part;
      given += part;
    }
    lost += from * (1 - given);
  }
  return { reached, lost: Math.max(0, lost) }; // rounding may leave a little less than nothing
}

// What does not change with thresholds: nodes that can be dropped, and edges, the largest first. Plain
// loops: there may be millions of edges.
function ranking(graph) {
  const influence = flow(graph, null).reached, { kind, nSources, nFeatures, row, source, share, weights } = graph;
  const free = Uint32Array.from({ length: nSources }, (_, i) => i).filter((i) => !KEPT_ALWAYS.has(kind[i]));
  const nodes = free.sort((a, b) => influence[b] - influence[a] || a - b), m = share.length;
  const scores = new Float64Array(m), carried = new Float64Array(m), from = new Uint32Array(m), to = new Uint32Array(m);
  for (let e = 0; e < m; e++) scores[e] = Math.abs(share[e]) * (row[e] < nFeatures ? influence[row[e]] : weights[row[e] - nFeatures]);
  const edges = descending(scores);
  for (let k = 0; k < m; k++) { const e = edges[k]; carried[k] = scores[e]; from[k] = source[e]; to[k] = row[e]; }
  return { influence, scores, nodes, edges, carried, from, to };
}

// The order of numbers that are not negative, from the largest: by the bits of their float32, 16 at a time.
function descending(values) {
  const m = values.length, bits = new Uint32Array(new Float32Array(values).buffer);
  let order = new Uint32Array(m);
  for (let i = 0; i < m; i++) order[i] = i;
  for (const shift of [0, 16]) {
    const ends = new Uint32Array(65537), next = new Uint32Array(m);
    for (let k = 0; k < m; k++) ends[65536 - (bits[order[k]] >>> shift & 65535)]++;
    for (let b = 0; b < 65536; b++) ends[b + 1] += ends[b];
    for (let k = 0; k < m; k++) next[ends[65535 - (bits[order[k]] >>> shift & 65535)]++] = order[k];
    order = next;
  }
  return order;
}

// How many of an order's first hold a share of the sum of all; at least one, none of zero.
function firstOf(order, scores, threshold) {
  const n = order.length;
  let total = 0, sum = 0, count = 0;
  for (let k = 0; k < n; k++) total += scores[order[k]];
  while (count < n && scores[order[count]] > 0) {
    sum += scores[order[count++]];
    if (sum >= threshold * total * (1 - 1e-12)) break;
  }
  return count;
}

// The nodes with most influence, and the edges between them that carry most. Nodes from which no edge
// leads on go, too, and then the edges are chosen again.
function prune(graph, ranked, nodeThreshold, edgeThreshold) {
  const { n, nSources, nFeatures, kind, source } = graph, nodes = new Uint8Array(n);
  const { from, to, edges: order, carried } = ranked, most = firstOf(ranked.nodes, ranked.influence, nodeThreshold);
  for (let k = 0; k < most; k++) nodes[ranked.nodes[k]] = 1;
  for (let i = 0; i < n; i++) if (KEPT_ALWAYS.has(kind[i])) nodes[i] = 1;
  // Ranks of edges between kept nodes: fewer and fewer, in place.
  const ranks = new Uint32Array(order.length);
  let found = 0;
  for (let k = 0; k < order.length; k++) if (nodes[from[k]] && (to[k] >= nFeatures || nodes[to[k]])) ranks[found++] = k;
  for (;;) {
    const between = ranks.subarray(0, found), count = firstOf(between, carried, edgeThreshold), leads = new Uint8Array(nSources);
    for (let j = 0; j < count; j++) leads[from[between[j]]] = 1;
    let dropped = 0;
    for (let k = 0; k < most; k++) if (nodes[ranked.nodes[k]] && !leads[ranked.nodes[k]]) { nodes[ranked.nodes[k]] = 0; dropped++; }
    if (!dropped) {
      const edges = new Uint8Array(source.length), largest = new Uint32Array(count);
      for (let j = 0; j < count; j++) edges[largest[j] = order[between[j]]] = 1;
      return { nodes, edges, largest };
    }
    found = 0;
    for (const k of between) if (nodes[from[k]] && (to[k] >= nFeatures || nodes[to[k]])) ranks[found++] = k;
  }
}

// Replacement and completeness with these nodes (null: all). What is not kept counts as unexplained.
function graphScores(graph, nodes) {
  const { reached, lost } = flow(graph, nodes);
  const { nFeatures, nSources, kind, weights, start, source, share } = graph;
  const isUnexplained = (i) => UNEXPLAINED.has(kind[i]) || nodes && !nodes[i];
  const bad = Uint8Array.from(reached, (_, i) => isUnexplained(i) ? 1 : 0);
  let explained = 0, unexplained = lost, inputs = 0, known = 0;
  for (let i = 0; i < nSources; i++) if (bad[i]) unexplained += reached[i]; else if (kind[i] !== FEATURE) explained += reached[i];
  for (let row = 0; row < start.length - 1; row++) {
    const weight = row >= nFeatures ? weights[row - nFeatures] : bad[row] ? 0 : reached[row];
    if (!weight) continue;
    inputs += weight;
    for (let e = start[row]; e < start[row + 1]; e++) if (!bad[source[e]]) known += weight * Math.abs(share[e]);
  }
  return { replacement: explained / (explained + unexplained) || 0, completeness: known / inputs || 0 };
}
