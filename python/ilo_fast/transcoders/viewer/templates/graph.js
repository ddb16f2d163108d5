// A graph as it was packed: nodes by number, edges by row and by source. No page in here.

const KINDS = ["feature", "rest", "error", "token", "position", "bias", "target"];
const KEPT_ALWAYS = new Set(["token", "position", "bias", "target"].map((kind) => KINDS.indexOf(kind)));
const UNEXPLAINED = new Set(["rest", "error"].map((kind) => KINDS.indexOf(kind)));
const FEATURE = 0, TARGET = 6;

// Nodes are the sources, then the targets. Row r is node r where it is a feature, else a target.
function openGraph(record) {
  const tokens = unpackTexts(record.tokens), targets = unpackTexts(record.targets);
  const nSources = record.feature.length, n = nSources + targets.length;
  const nFeatures = record.values.length - targets.length;
  const whole = (packed) => Int32Array.from(unpack(packed).values, (code) => code - 1);
  const padded = (values, rest) => Int32Array.from({ length: n }, (_, i) => i < nSources ? values[i] : rest(i - nSources));
  const kinds = unpack(record.kind).values;
  const graph = {
    prompt: unpackTexts(record.prompt)[0], tokens, targets, nSources, nFeatures, n, nLayers: record.layers,
    kind: padded(kinds, () => TARGET),
    layer: padded(whole(record.layer), () => record.layers),
    position: padded(whole(record.position), () => tokens.length - 1),
    feature: padded(record.feature, (t) => t),
    activation: record.activation, values: record.values, weights: record.probabilities, isToken: record.is_token,
    leftOut: meanLeftOut(record.edges), nAll: record.edges.n_all, residual: record.residual, supernodes: record.supernodes,
    rowOf: (node) => node < nFeatures ? node : node >= nSources ? node - nSources + nFeatures : -1,
    nodeOf: (row) => row < nFeatures ? row : row - nFeatures + nSources,
  };
  Object.assign(graph, openEdges(record.edges, nSources));
  graph.order = downwards(graph);
  return graph;
}

// start[row] .. start[row + 1]: its edges, each with its source and its share of the row's absolute sum.
function openEdges(record, nSources) {
  const counts = unpack(record.counts).values, steps = unpack(record.steps).values, roots = unpack(record.roots).values;
  const start = new Uint32Array(counts.length + 1);
  counts.forEach((count, row) => { start[row + 1] = start[row] + count; });
  const m = steps.length, source = new Uint32Array(m), row = new Uint32Array(m), share = new Float32Array(m);
  const total = Float64Array.from(record.totals, (value) => value || 0);
  const outStart = new Uint32Array(nSources + 1);
  for (let r = 0; r < counts.length; r++) {
    for (let e = start[r], at = 0; e < start[r + 1]; e++) {
      at += steps[e];
      source[e] = at; row[e] = r; share[e] = roots[e] * Math.abs(roots[e]);
      outStart[at + 1]++;
    }
    scale(share.subarray(start[r], start[r + 1]), record.held[r] || 0);
  }
  for (let s = 0; s < nSources; s++) outStart[s + 1] += outStart[s];
  const out = new Uint32Array(m), next = outStart.slice();
  for (let e = 0; e < m; e++) out[next[source[e]]++] = e;
  return { start, source, row, share, total, out, outStart };
}

// What rounding took from a row, or added, is made up for: no influence gets lost by it.
function scale(shares, sum) {
  const rounded = shares.reduce((a, b) => a + Math.abs(b), 0);
  if (rounded > 0) for (let i = 0; i < shares.length; i++) shares[i] *= sum / rounded;
}
function meanLeftOut({ held, totals }) {
  const missing = held.filter((_, row) => totals[row] > 0).map((share) => 1 - share);
  return missing.reduce((a, b) => a + b, 0) / Math.max(1, missing.length);
}

// Rows so that every row comes behind those that it feeds: targets, then features from the last layer.
function downwards({ nFeatures, values, layer }) {
  const rows = Uint32Array.from({ length: values.length }, (_, r) => r);
  const depth = (r) => r < nFeatures ? layer[r] : Infinity;
  return rows.sort((a, b) => depth(a) === depth(b) ? a - b : depth(b) - depth(a));
}

// A name for files: the same for the same node, however the graph was made.
function nodeId(graph, node) {
  const { kind, layer, position, feature, targets, nSources } = graph;
  if (kind[node] === TARGET) return `target:${node - nSources}:${targets[node - nSources]}`;
  return `${KINDS[kind[node]]}:${layer[node]}:${position[node]}:${feature[node]}`;
}
const featureKey = (graph, node) => graph.kind[node] === FEATURE ? `${graph.layer[node]}:${graph.feature[node]}` : null;

// Features that are active in both graphs.
function sharedFeatures(a, b) {
  const keys = (graph) => new Set(Array.from({ length: graph.nFeatures }, (_, i) => featureKey(graph, i)));
  const other = keys(b);
  return new Set([...keys(a)].filter((key) => other.has(key)));
}

// How probable a target is, where it is a token.
const probability = (graph, node) => graph.isToken[node - graph.nSources] ? percent(graph.weights[node - graph.nSources]) : "";
const quoted = (token) => `“${token.trim() === "" ? token.replace(/ /g, "␣") : token.trim()}”`;
function place(graph, node) {
  const at = graph.position[node];
  return at < 0 ? "all positions" : `${quoted(graph.tokens[at])} (${at})`;
}
// What a node is, in words.
function nodeName(graph, node, notes) {
  const kind = KINDS[graph.kind[node]], layer = graph.layer[node];
  const at = graph.position[node] >= 0 ? graph.tokens[graph.position[node]] : "";
  if (kind === "target") return `Output ${quoted(graph.targets[node - graph.nSources])}`;
  if (kind === "token") return `Token ${quoted(at)}`;
  if (kind === "position") return `Position ${graph.position[node]}`;
  if (kind === "bias") return layer < 0 ? "Bias of the embeddings" : layer >= graph.nLayers ? "Bias behind the last layer" : `Bias of layer ${layer}`;
  if (kind === "error") return `Error of layer ${layer} at ${quoted(at)}`;
  if (kind === "rest") return `Other features of layer ${layer} at ${quoted(at)}`;
  const note = notes && notes.find(layer, graph.feature[node]);
  return note && note.description ? note.description : `Feature ${graph.feature[node]} of layer ${layer}`;
}
// For lists: which of equal ones it is. Features are named as the command line names them: 3/28.
function longName(graph, node, notes) {
  const name = nodeName(graph, node, notes);
  if (graph.kind[node] !== FEATURE) return graph.kind[node] === TARGET || graph.position[node] < 0 || name.startsWith("Position ") ? name : `${name} (${graph.position[node]})`;
  const at = place(graph, node), id = `${graph.layer[node]}/${graph.feature[node]}`;
  return name.startsWith("Feature ") ? `${id} at ${at}` : `${id} at ${at}: ${name}`;
}
