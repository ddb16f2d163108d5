// Tables of the edges of a node: what it comes from, what it goes to. They sort, and their names lead on.

const EDGE_ROWS = 12;

// entries: [{ node, weight, share, kept }]; share is of the absolute sum of the row that the edge goes to.
function edgeEntries(graph, node) {
  const row = graph.rowOf(node), into = [], from = [];
  const entry = (e, other) => ({ node: other, share: graph.share[e], weight: graph.share[e] * graph.total[graph.row[e]] });
  if (row >= 0) for (let e = graph.start[row]; e < graph.start[row + 1]; e++) into.push(entry(e, graph.source[e]));
  if (node < graph.nSources) {
    for (let i = graph.outStart[node]; i < graph.outStart[node + 1]; i++) from.push(entry(graph.out[i], graph.nodeOf(graph.row[graph.out[i]])));
  }
  return { into, from };
}

function edgeTable(view, entries, notes, { caption, shareTitle, choose }) {
  const { graph } = view;
  let sorted = "size", up = false, most = EDGE_ROWS;
  const named = entries.map((one) => ({ ...one, name: longName(graph, one.node, notes) }));
  const keys = { name: (a, b) => a.name.localeCompare(b.name, "en"), weight: (a, b) => a.weight - b.weight, size: (a, b) => Math.abs(a.share) - Math.abs(b.share) };
  const body = element("tbody"), more = element("button", { class: "link small", type: "button", onclick: () => { most += 50; fill(); } });
  const heads = [["name", "Node", ""], ["weight", "Weight", "What the edge adds to the value of the node that it goes to"], ["size", "Share", shareTitle]].map(([key, text, title]) =>
    element("th", { scope: "col", class: key === "name" ? null : "number", title: title || null, "data-key": key },
      element("button", { type: "button", onclick: () => { up = sorted === key ? !up : key === "name"; sorted = key; fill(); } }, text)));
  function fill() {
    named.sort((a, b) => keys[sorted](a, b) * (up ? 1 : -1) || a.node - b.node);
    body.replaceChildren(...named.slice(0, most).map((one) => element("tr", { class: view.kept.nodes[one.node] ? null : "pruned" },
      element("th", { scope: "row" }, element("span", { class: "entry" }, element("span", { class: "shape", "aria-hidden": "true" }, SHAPES[graph.kind[one.node]]),
        element("button", { class: "link", type: "button", title: view.kept.nodes[one.node] ? null : "below the threshold: not drawn", onclick: () => choose(one.node) }, one.name))),
      element("td", { class: one.weight < 0 ? "minus" : "plus" }, (one.weight < 0 ? "−" : "+") + shortNumber(Math.abs(one.weight))),
      element("td", { class: `bar ${one.weight < 0 ? "minus" : "plus"}`, style: `--share:${Math.abs(one.share).toFixed(4)}` }, percent(Math.abs(one.share))))));
    for (const head of heads) head.setAttribute("aria-sort", head.dataset.key !== sorted ? "none" : up ? "ascending" : "descending");
    more.textContent = `Show more (${named.length - most} left)`;
    more.hidden = named.length <= most;
  }
  fill();
  return element("div", {}, element("h3", {}, caption),
    named.length ? element("div", { class: "scroll" }, element("table", { class: "edges" }, element("thead", {}, element("tr", {}, ...heads)), body)) : element("p", { class: "muted small" }, "None."), more);
}
