// Pinned nodes, and supernodes: several nodes under one name.

// What a supernode is for: its members, all of them features as a rule, in the order of the graph.
function makeGroup(view, name, members) {
  const wanted = new Set(members);
  // A node is in one supernode at most.
  for (const group of view.groups) group.members = group.members.filter((node) => !wanted.has(node));
  view.groups = view.groups.filter((group) => group.members.length);
  view.groups.push({ name, members: [...wanted].sort((a, b) => a - b), proposed: false });
  for (const node of wanted) view.pins.delete(node);
}
function dissolve(view, group) {
  view.groups = view.groups.filter((one) => one !== group);
  for (const node of group.members) view.pins.add(node);
}
const drop = (view, group) => { view.groups = view.groups.filter((one) => one !== group); };
const accept = (group) => { group.proposed = false; };

// What one of two groups of nodes adds to the other, as shares of what comes into its members.
function shareBetween(graph, from, to) {
  const sources = new Set(from);
  let signed = 0, rows = 0;
  for (const node of to) {
    const row = graph.rowOf(node);
    if (row < 0) continue;
    rows++;
    for (let e = graph.start[row]; e < graph.start[row + 1]; e++) if (sources.has(graph.source[e])) signed += graph.share[e];
  }
  return rows ? signed / rows : 0;
}

// Groups of people first, then proposals; those of the largest influence first.
const influenceOf = (view, group) => group.members.reduce((sum, node) => sum + (view.influence[node] || 0), 0);
function inOrder(view) {
  return view.groups.map((group, g) => ({ group, g, influence: influenceOf(view, group) }))
    .sort((a, b) => a.group.proposed - b.group.proposed || b.influence - a.influence);
}
const FEW_PROPOSALS = 6;

function fillGroups(host, view, notes, hooks) {
  const { graph } = view, pins = [...view.pins].sort((a, b) => a - b);
  const line = (node, remove) => element("li", {},
    element("span", { class: "shape", "aria-hidden": "true" }, SHAPES[graph.kind[node]]),
    element("button", { class: "link", type: "button", onclick: () => hooks.choose(node, view) }, longName(graph, node, notes)),
    element("button", { class: "quiet", type: "button", "aria-label": `Remove ${longName(graph, node, notes)}`, onclick: remove }, "×"));
  const chosen = new Set(pins);
  const name = element("input", { type: "text", "aria-label": "Name of the supernode", placeholder: "Name", maxlength: "80" });
  const group = () => { if (chosen.size) { makeGroup(view, name.value.trim(), [...chosen]); hooks.changed(`${chosen.size} nodes are now a supernode`); } };
  name.addEventListener("keydown", (event) => { if (event.key === "Enter") group(); });
  const pinned = element("div", { class: "pinned" }, element("h3", {}, "Pinned"),
    pins.length ? element("ul", { class: "members" }, ...pins.map((node) => {
      const made = line(node, () => hooks.pin(node, view));
      const box = element("input", { type: "checkbox", checked: true, "aria-label": `Into the supernode: ${longName(graph, node, notes)}`,
        onchange: () => { if (box.checked) chosen.add(node); else chosen.delete(node); } });
      made.prepend(box);
      return made;
    })) : element("p", { class: "muted small" }, "Nothing yet. Select a node and press Pin, or the key P in the graph; pinned nodes stay drawn whatever the thresholds."),
    pins.length ? element("p", { class: "row" }, name, element("button", { type: "button", onclick: group }, "Group into a supernode")) : null);
  const all = inOrder(view), few = all.filter(({ group }) => !group.proposed).length + FEW_PROPOSALS;
  const more = element("button", { type: "button", onclick: () => { view.allGroups = true; fillGroups(host, view, notes, hooks); } }, `Show ${all.length - few} more proposals`);
  host.replaceChildren(pinned, ...all.slice(0, view.allGroups ? all.length : few).map((one) => groupCard(view, one, line, hooks)));
  if (!view.allGroups && all.length > few) host.append(more);
}

function groupCard(view, { group, g, influence }, line, hooks) {
  const { graph } = view;
  const name = element("input", { type: "text", value: group.name, "aria-label": "Name of this supernode", placeholder: "Name", maxlength: "80",
    onchange: () => { group.name = name.value.trim(); hooks.changed("Supernode renamed", true); } });
  const button = (text, act, said) => element("button", { type: "button", onclick: () => { act(); hooks.changed(said); } }, text);
  return element("div", { class: `group${group.proposed ? " proposed" : ""}`, style: `--mark:${groupColour(g)}` },
    element("p", { class: "row" }, element("span", { class: "swatch", "aria-hidden": "true" }), name,
      ...(group.proposed ? [button("Accept", () => accept(group), "Supernode accepted"), button("Drop", () => drop(view, group), "Supernode dropped")]
        : [button("Dissolve", () => dissolve(view, group), "Supernode dissolved; its nodes are pinned")])),
    element("details", group.members.length < 9 && !group.proposed ? { open: true } : {}, element("summary", {}, `${group.members.length} nodes, influence ${percent(influence / totalWeight(graph))}`,
      group.proposed ? element("span", { class: "chip", title: "by similarity of edges and contexts; nobody has checked it" }, "proposed") : null),
      element("ul", { class: "members" }, ...group.members.map((node) => line(node, () => {
        group.members = group.members.filter((one) => one !== node);
        if (!group.members.length) drop(view, group);
        hooks.changed("Node removed from its supernode");
      })))));
}
