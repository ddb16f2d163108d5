// Influence, pruning, and how much of a graph is explained: as attribution/scores.py. No page in here.

// What reaches every source of the targets' weights along kept edges between kept nodes; `lost` is what
// would go on to a node or along an edge that is not kept, or that the page has not.
function flow(graph, kept) {
  const { order, start, source, share, nFeatures, nSources, weights } = graph;
  const reached = new Float64Array(nSources);
  let lost = 0;
  for (const row of order) {
    const from = row < nFeatures ? reached[row] : weights[row - nFeatures];
    if (!from || !graph.total[row] || kept && row < nFeatures && !kept.nodes[row]) continue;
    let given = 0;
    for (let e = start[row]; e < start[row + 1]; e++) {
      if (kept && !(kept.edges[e] && kept.nodes[source[e]])) continue;
      const part = Math.abs(share[e]);
      reached[source[e]] += from * part;
      given += part;
    }
    lost += from * (1 - given);
  }
  return { reached, lost };
}

// The fewest of `candidates` (indices) whose scores sum to a share of the sum of all.
function fewest(scores, candidates, threshold) {
  let total = 0;
  for (const i of candidates) total += scores[i];
  const sorted = Float64Array.from(candidates, (i) => scores[i]).sort();
  let sum = 0, at = sorted.length;
  while (at > 0 && sum < threshold * total * (1 - 1e-12)) sum += sorted[--at];
  // Of equal scores at the border, as many as are needed: the first in order.
  const border = at < sorted.length ? sorted[at] : Infinity;
  let room = 0;
  for (let i = at; i < sorted.length && sorted[i] === border; i++) room++;
  return candidates.filter((i) => scores[i] > border || (scores[i] === border && room-- > 0));
}

// The sources with most influence, and the edges between them with most of it.
function prune(graph, influence, nodeThreshold, edgeThreshold) {
  const { n, nSources, nFeatures, kind, weights, start, source, share } = graph;
  const nodes = new Uint8Array(n), edges = new Uint8Array(source.length);
  for (const i of fewest(influence, Uint32Array.from({ length: nSources }, (_, i) => i), nodeThreshold)) nodes[i] = 1;
  for (let i = 0; i < n; i++) if (KEPT_ALWAYS.has(kind[i])) nodes[i] = 1;
  const scores = new Float64Array(source.length), between = [];
  for (let row = 0; row < start.length - 1; row++) {
    const isFeature = row < nFeatures;
    if (isFeature && !nodes[row]) continue;
    const from = isFeature ? influence[row] : weights[row - nFeatures];
    for (let e = start[row]; e < start[row + 1]; e++) {
      if (!nodes[source[e]]) continue;
      scores[e] = from * Math.abs(share[e]);
      if (scores[e] > 0) between.push(e);
    }
  }
  for (const e of fewest(scores, Uint32Array.from(between), edgeThreshold)) edges[e] = 1;
  return { nodes, edges, scores };
}

// Replacement and completeness of what is kept (null: of all). What is not kept counts as unexplained.
function graphScores(graph, kept) {
  const { reached, lost } = flow(graph, kept);
  const { nFeatures, nSources, kind, weights, start, source, share } = graph;
  let explained = 0, unexplained = Math.max(0, lost); // rounding may leave a little less than nothing
  for (let i = nFeatures; i < nSources; i++) {
    if (UNEXPLAINED.has(kind[i])) unexplained += reached[i]; else explained += reached[i];
  }
  let inputs = 0, known = 0;
  for (let row = 0; row < start.length - 1; row++) {
    const weight = row < nFeatures ? reached[row] : weights[row - nFeatures];
    if (!weight || !graph.total[row]) continue;
    inputs += weight;
    for (let e = start[row]; e < start[row + 1]; e++) {
      if (UNEXPLAINED.has(kind[source[e]])) continue;
      if (!kept || (kept.edges[e] && kept.nodes[source[e]])) known += weight * Math.abs(share[e]);
    }
  }
  return {
    replacement: explained + unexplained > 0 ? explained / (explained + unexplained) : NaN,
    completeness: inputs > 0 ? known / inputs : NaN,
  };
}
