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

// What does not change with thresholds: nodes that can be dropped, and edges, the largest first.
function ranking(graph) {
  const influence = flow(graph, null).reached, { kind, nSources, nFeatures, row, share, weights } = graph;
  const scores = Float64Array.from(share, (part, e) => Math.abs(part) * (row[e] < nFeatures ? influence[row[e]] : weights[row[e] - nFeatures]));
  const free = Uint32Array.from({ length: nSources }, (_, i) => i).filter((i) => !KEPT_ALWAYS.has(kind[i]));
  return { influence, scores, nodes: free.sort((a, b) => influence[b] - influence[a] || a - b), edges: descending(scores) };
}

// The order of numbers that are not negative, from the largest: by the bits of their float32, 16 at a time.
function descending(values) {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  let order = Uint32Array.from(values, (_, i) => i);
  for (const shift of [0, 16]) {
    const ends = new Uint32Array(65537), next = new Uint32Array(order.length);
    for (const i of order) ends[65536 - (bits[i] >>> shift & 65535)]++;
    for (let b = 0; b < 65536; b++) ends[b + 1] += ends[b];
    for (const i of order) next[ends[65535 - (bits[i] >>> shift & 65535)]++] = i;
    order = next;
  }
  return order;
}

// Marks the first of an order that hold a share of the sum of all `allowed`; at least one, none of zero.
function markFirst(order, scores, allowed, threshold, marks) {
  let total = 0, sum = 0;
  for (const i of order) if (allowed(i)) total += scores[i];
  for (const i of order) {
    if (!allowed(i) || !(scores[i] > 0)) continue;
    marks[i] = 1;
    sum += scores[i];
    if (sum >= threshold * total * (1 - 1e-12)) break;
  }
}

// The nodes with most influence, and the edges between them that carry most. Nodes from which no edge
// leads on go, too, and then the edges are chosen again.
function prune(graph, ranked, nodeThreshold, edgeThreshold) {
  const { n, nSources, nFeatures, kind, row, source } = graph, nodes = new Uint8Array(n);
  markFirst(ranked.nodes, ranked.influence, () => true, nodeThreshold, nodes);
  for (let i = 0; i < n; i++) if (KEPT_ALWAYS.has(kind[i])) nodes[i] = 1;
  for (;;) {
    const edges = new Uint8Array(source.length), leads = new Uint8Array(nSources);
    markFirst(ranked.edges, ranked.scores, (e) => nodes[source[e]] && (row[e] >= nFeatures || nodes[row[e]]), edgeThreshold, edges);
    for (let e = 0; e < edges.length; e++) if (edges[e]) leads[source[e]] = 1;
    let dropped = 0;
    for (const i of ranked.nodes) if (nodes[i] && !leads[i]) { nodes[i] = 0; dropped++; }
    if (!dropped) return { nodes, edges };
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
