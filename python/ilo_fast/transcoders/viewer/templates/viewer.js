// The state of the page, and the views that follow it.

const data = JSON.parse(document.getElementById("data").textContent);
const id = (name) => document.getElementById(name);
const notes = openNotes(data.notes);
const state = { nodes: 0.8, edges: 0.98, colourBy: "influence" };
let chosen = null; // { view, node }

const views = data.graphs.map((record, index) => {
  const graph = openGraph(record), ranked = ranking(graph), { influence } = ranked;
  const largest = influence.subarray(0, graph.nFeatures).reduce((a, b) => Math.max(a, b), 1e-12);
  return {
    index, graph, ranked, influence, pins: new Set(record.pinned), groups: record.supernodes.map((one) => ({ ...one })), colourBy: state.colourBy,
    selected: -1, alike: [], shared: new Set(), whole: graphScores(graph, null),
    weight: (node) => node < graph.nSources ? Math.sqrt(Math.min(1, influence[node] / largest)) : 1,
  };
});
if (views.length > 1) {
  const both = sharedFeatures(views[0].graph, views[1].graph);
  for (const view of views) view.shared = both;
}

// ---- thresholds, what they leave, where it is drawn

function pruneView(view) {
  const { graph, ranked } = view, { scores } = ranked;
  view.kept = prune(graph, ranked, state.nodes, state.edges);
  view.left = graphScores(graph, view.kept.nodes);
  view.nEdges = view.kept.largest.length;
  view.strongest = view.kept.largest.slice(0, MOST_EDGES).reverse();
  const most = view.strongest.length ? scores[view.strongest[view.strongest.length - 1]] : 1;
  view.strength = (e) => Math.sqrt(scores[e] / most);
  arrange(view);
}
function arrange(view) {
  const { graph, kept, pins, groups } = view, shown = new Uint8Array(graph.n);
  for (let node = 0; node < graph.n; node++) shown[node] = kept.nodes[node] && (graph.kind[node] !== 0 || influenceful(view, node)) ? 1 : 0;
  for (const node of pins) shown[node] = 1;
  for (const group of groups) if (!group.proposed) for (const node of group.members) shown[node] = 1;
  view.isShown = shown;
  view.shown = Array.from(shown.keys()).filter((node) => shown[node]);
  view.plane.measure();
  view.layout = layOut(graph, view.shown, view.plane.aspect());
  if (view.selected >= 0 && !shown[view.selected]) ghost(view, view.selected);
}
const influenceful = (view, node) => view.influence[node] > 0;
// A selected node below the threshold is drawn at the side of its cell.
function ghost(view, node) {
  const { xs, ys } = view.layout, column = view.graph.position[node] + 1, row = view.graph.layer[node] + 1;
  view.layout.x[node] = xs[column] + 0.06 * (xs[column + 1] - xs[column]);
  view.layout.y[node] = 1 - (ys[row] + 0.08 * (ys[row + 1] - ys[row]));
  view.layout.pitch[node] = 0.02;
}

function tell() {
  id("nodes-value").textContent = percent(state.nodes);
  id("edges-value").textContent = percent(state.edges);
  id("nodes").value = state.nodes; id("edges").value = state.edges;
  for (const { graph, kept, left, whole, nEdges, caption } of views) {
    let features = 0;
    for (let i = 0; i < graph.nFeatures; i++) features += kept.nodes[i];
    const score = (name, title) => element("span", { title }, `${name} `, element("strong", { "data-score": name }, fixed(left[name], 3)), ` (all: ${fixed(whole[name], 3)})`);
    caption.replaceChildren(
      score("replacement", "Of the influence that ends in tokens, positions, biases or errors: what does not end in errors"),
      score("completeness", "Of what comes into features and outputs, by influence: what is no error"),
      element("span", { "data-count": "features" }, `${features} of ${graph.nFeatures} features`), element("span", {}, `${nEdges} of ${graph.nAll} edges`),
      element("span", { title: "Largest difference of a node's value and the sum of its edges, relative to the value" }, `residual ${graph.residual === null ? "–" : graph.residual.toExponential(1)}`));
  }
}

// ---- selection, pins, groups

function choose(node, view = chosen ? chosen.view : views[0]) {
  chosen = node >= 0 ? { view, node } : null;
  const key = chosen ? featureKey(view.graph, node) : null;
  for (const one of views) {
    one.selected = one === view ? node : -1;
    one.alike = [];
    for (let i = 0; key && i < one.graph.nFeatures; i++) {
      if (featureKey(one.graph, i) === key && one.isShown[i] && !(one === view && i === node)) one.alike.push(i);
    }
  }
  if (chosen && !view.isShown[node]) ghost(view, node);
  if (chosen) view.plane.goTo(node);
  for (const one of views) one.plane.draw();
  refilled(() => fillPanel(id("panel"), view, node, notes, hooks));
  id("panel").scrollTop = 0;
  say(chosen ? `Selected: ${longName(view.graph, node, notes)}` : "Nothing selected");
}
function pin(node, view = chosen ? chosen.view : views[0]) {
  if (node < 0) return;
  if (!view.pins.delete(node)) view.pins.add(node);
  changed(`${view.pins.has(node) ? "Pinned" : "Unpinned"}: ${longName(view.graph, node, notes)}`);
}
function changed(said, small) {
  for (const view of views) { if (!small) arrange(view); view.plane.draw(); }
  refilled(() => { drawGroups(); if (chosen) fillPanel(id("panel"), chosen.view, chosen.node, notes, hooks); });
  say(said);
}
// Who was in a part that is written anew stays in it.
function refilled(fill) {
  const within = [id("panel"), id("groups")].find((part) => part.contains(document.activeElement));
  fill();
  if (within && !within.contains(document.activeElement)) within.focus({ preventScroll: true });
}
function drawGroups() {
  views.forEach((view, i) => {
    const [, summary, cards] = id("groups").children[i].children;
    drawSummary(summary, view, notes, hooks);
    fillGroups(cards, view, notes, hooks);
  });
}
const say = (text) => { id("said").textContent = text; };
const hooks = { choose, pin, changed, views };

function fill(view, node) {
  const { graph } = view, kind = KINDS[graph.kind[node]];
  if (kind === "error" || kind === "rest") return colour("--error");
  if (kind !== "feature") return colour("--muted");
  if (state.colourBy === "language" && notes) return languageColour(notes.mainLanguage(graph.layer[node], graph.feature[node]));
  return colour("--accent");
}
function tipOf(view, node) {
  const { graph } = view, lines = [nodeName(graph, node, notes), where(graph, node)];
  if (graph.kind[node] === TARGET) lines.push(probability(graph, node) && `probability ${probability(graph, node)}`);
  else lines.push(`influence ${influenceShare(view, node)}${graph.kind[node] === FEATURE ? `, activation ${shortNumber(graph.activation[node])}` : ""}`);
  if (view.shared.has(featureKey(graph, node))) lines.push("active in both prompts");
  return lines.filter(Boolean);
}

// ---- the page

document.documentElement.classList.add("live");
id("app").hidden = false;
for (const view of views) {
  const host = element("div", { class: "plane" }), title = () => element("p", { class: "prompt" }, `${view.index + 1} · `, element("span", { dir: "auto" }, view.graph.prompt));
  view.caption = element("p", { class: "caption" });
  id("planes").append(element("div", { class: "graph" }, views.length > 1 ? title() : null, host, view.caption));
  id("groups").append(element("div", {}, views.length > 1 ? title() : element("span"), element("div", { class: "summary" }), element("div", { class: "cards" })));
  view.plane = makePlane(host, view, notes, { choose: (node) => choose(node, view), pin: (node) => pin(node, view), said: say, fill, tip: tipOf });
}
id("stage").classList.toggle("two", views.length > 1);
const leftOut = Math.max(...views.map((view) => view.graph.leftOut));
if (leftOut > 0.0005) id("left-out").textContent = `To keep this page small, the smallest edges are left out of it: ${percent(leftOut)} of what comes into a node, on average. Scores on this page count them as unexplained.`;

function legend() {
  const key = (shape, text, style) => element("span", { class: "key" }, element("span", { class: "shape", "aria-hidden": "true", style }, shape), text);
  const kinds = KINDS.map((_, kind) => kind).filter((kind) => views.some(({ graph }) => graph.kind.includes(kind)));
  const shapes = kinds.map((kind) => key(SHAPES[kind], SHAPE_NAMES[kind], kind === 0 ? "color:var(--accent)" : UNEXPLAINED.has(kind) ? "color:var(--error)" : null));
  const both = views.length > 1 ? [key("◉", `active in both prompts (${views[0].shared.size} features)`)] : [];
  const edges = [key("━", "adds", "color:var(--plus)"), key("━", "takes away", "color:var(--minus)")];
  const languages = state.colourBy === "language" && notes ? notes.languages.slice(0, 24).map(({ name }, l) => key("●", name, `color:${languageColour(l)}`)) : [];
  id("legend").replaceChildren(...shapes, ...both, ...edges, ...languages);
}

// One pruning a frame, however fast a slider moves.
let waiting = 0;
function thresholds(parts) {
  Object.assign(state, parts);
  if (!waiting) waiting = requestAnimationFrame(() => { waiting = 0; for (const view of views) { pruneView(view); view.plane.draw(); } tell(); });
}
id("nodes").addEventListener("input", (event) => thresholds({ nodes: Number(event.target.value) }));
id("edges").addEventListener("input", (event) => thresholds({ edges: Number(event.target.value) }));
id("colours").disabled = !notes || !notes.languages.length;
id("colours").addEventListener("change", (event) => {
  state.colourBy = event.target.value;
  for (const view of views) { view.colourBy = state.colourBy; view.plane.draw(); }
  legend();
});
for (const [name, act] of [["zoom-in", (plane) => plane.zoom(1.5)], ["zoom-out", (plane) => plane.zoom(1 / 1.5)], ["fit", (plane) => plane.fit()]]) {
  id(name).addEventListener("click", () => { for (const view of views) act(view.plane); });
}

// ---- search

function search() {
  const wanted = id("find").value.trim().toLowerCase(), host = id("found");
  host.hidden = !wanted;
  if (!wanted) { host.replaceChildren(); return; }
  const all = views.flatMap((view) => Array.from({ length: view.graph.n }, (_, node) => ({ view, node, name: longName(view.graph, node, notes) }))
    .filter(({ name }) => name.toLowerCase().includes(wanted)));
  all.sort((a, b) => b.view.kept.nodes[b.node] - a.view.kept.nodes[a.node] || (b.view.influence[b.node] || 1) - (a.view.influence[a.node] || 1));
  host.replaceChildren(...all.slice(0, 30).map(({ view, node, name }) => element("li", {},
    element("button", { class: "link", type: "button", onclick: () => { id("find").value = ""; search(); choose(node, view); view.plane.canvas.focus({ preventScroll: true }); } },
      views.length > 1 ? `${name} · prompt ${view.index + 1}` : name))));
  if (!all.length) host.append(element("li", { class: "muted" }, "Nothing found"));
  say(`${all.length} found`);
}
id("find").addEventListener("input", search);
id("find").addEventListener("keydown", (event) => {
  if (event.key === "Enter") { const first = id("found").querySelector("button"); if (first) first.click(); }
  if (event.key === "ArrowDown") { const first = id("found").querySelector("button"); if (first) { first.focus(); event.preventDefault(); } }
  if (event.key === "Escape") { event.target.value = ""; search(); event.stopPropagation(); }
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName || "")) return;
  if (event.key === "/") { id("find").focus(); event.preventDefault(); }
  if (event.key === "Escape") choose(-1);
});

// ---- files

id("save").addEventListener("click", () => {
  const text = JSON.stringify(stateOf(views, { nodes: state.nodes, edges: state.edges }), null, 1);
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "application/json" })), download: "graph-state.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  say("Saved as graph-state.json");
});
id("load").addEventListener("click", () => id("file").click());
id("file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  try {
    const { missing, thresholds: { nodes, edges } } = applyState(views, await file.text());
    state.nodes = nodes === null ? state.nodes : nodes;
    state.edges = edges === null ? state.edges : edges;
    views.forEach(pruneView); tell();
    changed(missing ? `Opened; ${missing} of its nodes are not in this graph` : "Opened");
  } catch (error) { say(`Cannot open ${file.name}: ${error.message}`); }
});

function redraw() { for (const view of views) { view.plane.measure(); arrange(view); view.plane.paint(); } }
views.forEach(pruneView);
tell(); legend(); drawGroups();
redraw();
fillPanel(id("panel"), views[0], -1, notes, hooks);
const observer = new ResizeObserver(() => { if (views.some((view) => view.plane.measure())) redraw(); });
for (const view of views) observer.observe(view.plane.canvas.parentElement);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { colours.clear(); redraw(); legend(); drawGroups(); });
