// The small graph: supernodes, pinned nodes and outputs as boxes, with what each adds to the others.

const FIRST_TARGETS = 3, MOST_BOXES = 10; // proposals beyond are not drawn
const BOX = { height: 38, across: 14, down: 46, widest: 190 };

// Boxes with their members, in lines: late layers above, early positions left. No page in here.
function summaryBoxes(view, nameOf, perLine) {
  const { graph, pins } = view, boxes = [];
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const add = (name, members, group) => boxes.push({ name, members, group,
    layer: mean(members.map((node) => graph.layer[node])), position: mean(members.map((node) => graph.position[node])) });
  const room = Math.max(0, MOST_BOXES - pins.size);
  for (const { group, g } of inOrder(view).filter(({ group }, at) => !group.proposed || at < room)) add(group.name || "without a name", group.members, g);
  for (const node of pins) add(nameOf(node), [node], -1);
  if (!boxes.length) return [];
  for (let node = graph.nSources; node < Math.min(graph.n, graph.nSources + FIRST_TARGETS); node++) if (!pins.has(node)) add(nameOf(node), [node], -1);
  boxes.sort((a, b) => b.layer - a.layer || a.position - b.position);
  const lines = [];
  for (const box of boxes) {
    const line = lines[lines.length - 1];
    if (line && line.length < perLine && line[0].layer - box.layer < 0.75) line.push(box); else lines.push([box]);
  }
  lines.forEach((line, at) => line.sort((a, b) => a.position - b.position).forEach((box, i) => Object.assign(box, { line: at, at: i, of: line.length })));
  return boxes;
}

function drawSummary(host, view, notes, hooks) {
  const width = Math.min(host.clientWidth || 600, 1100), perLine = Math.max(2, Math.floor(width / (BOX.widest + BOX.across)));
  const boxes = summaryBoxes(view, (node) => nodeName(view.graph, node, notes), perLine);
  if (!boxes.length) { host.replaceChildren(); return; }
  const lines = 1 + Math.max(...boxes.map((box) => box.line)), wide = Math.min(BOX.widest, width / perLine - BOX.across);
  const height = lines * (BOX.height + BOX.down) - BOX.down + 8;
  const X = (box) => width * (box.at + 0.5) / box.of, Y = (box) => 4 + box.line * (BOX.height + BOX.down);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "Supernodes and pinned nodes, and what each adds to the others" });
  const edges = [];
  for (const from of boxes) for (const to of boxes) {
    const share = from === to ? 0 : shareBetween(view.graph, from.members, to.members);
    if (Math.abs(share) >= 0.002) edges.push({ from, to, share });
  }
  for (const { from, to, share } of edges.sort((a, b) => Math.abs(a.share) - Math.abs(b.share)).slice(-40)) {
    const x0 = X(from), x1 = X(to), y0 = Y(from), y1 = Y(to) + BOX.height, bend = Math.max(18, (y0 - y1) / 2);
    const path = drawn("path", { d: `M${x0} ${y0}C${x0} ${y0 - bend} ${x1} ${y1 + bend} ${x1} ${y1}`, fill: "none",
      stroke: `var(--${share < 0 ? "minus" : "plus"})`, "stroke-width": 1 + 9 * Math.sqrt(Math.abs(share)), "stroke-opacity": 0.25 + 0.6 * Math.sqrt(Math.abs(share)) });
    path.append(drawn("title", {}, `${from.name} → ${to.name}: ${share < 0 ? "−" : "+"}${percent(Math.abs(share))} of what comes in`));
    svg.append(path);
  }
  for (const box of boxes) {
    const node = box.members.reduce((a, b) => (view.influence[b] || 0) > (view.influence[a] || 0) ? b : a);
    const go = () => hooks.choose(node, view), group = view.groups[box.group];
    const made = drawn("g", { class: "box", role: "button", tabindex: "0", transform: `translate(${X(box) - wide / 2} ${Y(box)})` });
    made.append(drawn("rect", { width: wide, height: BOX.height, rx: 7, fill: "var(--ground)", stroke: group ? groupColour(box.group) : "var(--muted)",
      "stroke-width": group ? 2.5 : 1.2, "stroke-dasharray": group && group.proposed ? "5 3" : "none" }));
    ruler.font = `13px ${FONT}`;
    made.append(drawn("text", { x: wide / 2, y: box.members.length > 1 ? 16 : 20 }, shortened(ruler, box.name, wide - 16)));
    if (box.members.length > 1) made.append(drawn("text", { x: wide / 2, y: 30, class: "tick" }, `${box.members.length} nodes${group && group.proposed ? ", proposed" : ""}`));
    made.append(drawn("title", {}, box.name));
    made.addEventListener("click", go);
    made.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); go(); } });
    svg.append(made);
  }
  host.replaceChildren(svg);
}
