// What was pinned, grouped and set, as JSON and back. No page in here.

const STATE_KIND = "ilo_fast.graph_state", STATE_VERSION = 1; // as in page_state.py

function stateOf(views, thresholds) {
  return {
    kind: STATE_KIND, schema_version: STATE_VERSION, thresholds,
    graphs: views.map(({ graph, pins, groups }) => ({
      prompt: graph.prompt,
      pins: [...pins].sort((a, b) => a - b).map((node) => nodeId(graph, node)),
      supernodes: groups.map(({ name, members, proposed }) => ({ name, proposed, members: members.map((node) => nodeId(graph, node)) })),
    })),
  };
}

// Sets pins and groups of the views; how many nodes the graphs have not. Throws where it is another file.
function applyState(views, text) {
  let state;
  try { state = JSON.parse(text); } catch { throw new Error("the file is not JSON"); }
  if (!state || state.kind !== STATE_KIND || !Array.isArray(state.graphs)) throw new Error("the file was not saved by a page like this");
  if (state.schema_version !== STATE_VERSION) throw new Error(`the file has version ${state.schema_version}, this page reads ${STATE_VERSION}`);
  let missing = 0, found = 0;
  const readings = views.map((view) => {
    const saved = state.graphs.find((one) => one && one.prompt === view.graph.prompt);
    if (!saved) return null;
    found++;
    const numbers = new Map(Array.from({ length: view.graph.n }, (_, node) => [nodeId(view.graph, node), node]));
    const nodes = (ids) => (Array.isArray(ids) ? ids : []).map((id) => numbers.get(id)).filter((node) => node !== undefined || (missing++, false));
    return {
      view, pins: new Set(nodes(saved.pins)),
      groups: (Array.isArray(saved.supernodes) ? saved.supernodes : []).map((one) => ({ name: String(one.name || "").slice(0, 80), proposed: one.proposed === true, members: nodes(one.members) })).filter((one) => one.members.length),
    };
  });
  if (!found) throw new Error("the file belongs to another prompt");
  for (const one of readings) if (one) Object.assign(one.view, { pins: one.pins, groups: one.groups });
  const share = (value, before) => typeof value === "number" && value >= 0 && value <= 1 ? value : before;
  const { nodes, edges } = state.thresholds || {};
  return { missing, thresholds: { nodes: share(nodes, null), edges: share(edges, null) } };
}
