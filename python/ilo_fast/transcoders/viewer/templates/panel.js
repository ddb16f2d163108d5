// What is known of the selected node.

function fillPanel(host, view, node, notes, hooks) {
  if (node < 0) {
    host.replaceChildren(element("h2", {}, "Nothing selected"),
      element("p", { class: "muted" }, "Click a node, or press the arrow keys in the graph and then Enter. Start with an output at the top right, and follow the largest shares down."));
    return;
  }
  const { graph } = view, kind = KINDS[graph.kind[node]], isFeature = kind === "feature";
  const note = isFeature && notes ? notes.find(graph.layer[node], graph.feature[node]) : null;
  const proposed = note && note.description;
  const pinned = view.pins.has(node), group = view.groups.find((one) => one.members.includes(node));
  const part = (...children) => element("div", { class: "part" }, ...children);
  host.replaceChildren(...[
    part(element("h2", {}, element("span", { class: "shape", "aria-hidden": "true" }, SHAPES[graph.kind[node]]), nodeName(graph, node, notes),
      proposed ? element("span", { class: "chip", title: "made by rule from the contexts below; nobody has checked it" }, "proposed") : null),
    element("p", { class: "muted small" }, where(graph, node)),
    element("p", { class: "row" },
      element("button", { type: "button", "aria-pressed": String(pinned), onclick: () => hooks.pin(node) }, pinned ? "Unpin" : "Pin"),
      group ? element("span", { class: "chip" }, `in ${group.name || "a supernode without a name"}`) : null,
      element("button", { type: "button", onclick: () => hooks.choose(-1) }, "Close")),
    facts(view, node, note),
    isFeature ? elsewhere(view, node, hooks) : element("p", { class: "small" }, ABOUT[kind])),
    ...(isFeature ? features(note, notes).map((one) => part(...one)) : []),
    ...edgeParts(view, node, notes, hooks).map((one) => part(one)),
  ]);
}

const FEW_CONTEXTS = 5;
const ABOUT = {
  rest: "What the other active features of this layer and position write, those that are not nodes of the graph.",
  error: "What the MLP adds here and the transcoder does not explain. Where this is large, the graph says little.",
  token: "The embedding of the token of the prompt.",
  position: "What is added at this position before the first block, whatever the token.",
  bias: "Constants of the model and of the transcoder: the same for every prompt.",
  target: "What the model predicts after the last token. The value of a token is its logit, less the mean of all logits.",
};

function where(graph, node) {
  const kind = KINDS[graph.kind[node]];
  if (kind === "feature") return `Feature ${graph.layer[node]}/${graph.feature[node]} (layer/number), at ${place(graph, node)}`;
  if (kind === "target") return `Predicted after ${place(graph, node)}`;
  return kind === "bias" ? "At all positions" : `At ${place(graph, node)}`;
}

function facts(view, node, note) {
  const { graph } = view, row = graph.rowOf(node), found = [];
  if (graph.kind[node] === TARGET) {
    if (probability(graph, node)) found.push(["Probability", probability(graph, node)]);
    found.push(["Value", shortNumber(graph.values[row])]);
  } else {
    if (graph.kind[node] === FEATURE) found.push(["Activation", shortNumber(graph.activation[node])], ["Pre-activation", shortNumber(graph.values[row])]);
    found.push(["Influence", `${influenceShare(view, node)} (${rank(view, node)})`]);
    if (note) found.push(["Largest seen", shortNumber(note.maxActivation)], ["Active in", `${percent(note.density)} of tokens`]);
  }
  if (!view.kept.nodes[node]) found.push(["Threshold", "below it: not in the graph"]);
  return element("dl", {}, ...found.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}
function rank(view, node) {
  const mine = view.influence[node];
  let above = 1;
  for (const other of view.influence) if (other > mine) above++;
  return `number ${above} of ${view.influence.length}`;
}

// The same feature at other positions and in the other prompt; how to switch it off.
function elsewhere(view, node, hooks) {
  const key = featureKey(view.graph, node), parts = [];
  for (const one of hooks.views) {
    const nodes = [];
    for (let i = 0; i < one.graph.nFeatures; i++) if (featureKey(one.graph, i) === key && !(one === view && i === node)) nodes.push(i);
    if (nodes.length) {
      parts.push(element("p", { class: "small" }, one === view ? "Also active at " : "Active in the other prompt, too, at ",
        ...nodes.slice(0, 24).flatMap((i, at) => [at ? ", " : "", element("button", { class: "link", type: "button", onclick: () => hooks.choose(i, one) }, place(one.graph, i))])));
    }
  }
  const command = `ilo-fast clt intervene PROMPT --feature ${key.replace(":", "/")}=0`;
  return element("div", {}, ...parts, element("p", { class: "small muted" }, "What the model says without it: ", element("code", {}, command)));
}

function features(note, notes) {
  if (!note) {
    const how = notes ? "Nothing is known of this feature beyond the prompt: it was active nowhere in the text that contexts were taken from."
      : "The contexts of features are not on this page. The end of the page says how they get here.";
    return [[element("p", { class: "note small" }, how)]];
  }
  const title = (text, meaning) => element("h3", { title: meaning }, text);
  return [
    [title("Where it is most active", "The darker, the more active; the strongest token is framed"),
      ...contextList(note.contexts, notes)],
    [title("Active in each language", "Share of the tokens of a language in which the feature is active"), rateBars(note, notes)],
    [title("What it writes towards", "What the feature's vectors add to logits at an activation of 1, where nothing else follows"),
      element("div", { class: "logits" }, logitList("More likely", note.logits.top), logitList("Less likely", note.logits.bottom))],
  ];
}

function contextList(contexts, notes) {
  if (!contexts.length) return [element("p", { class: "muted small" }, "No contexts.")];
  const list = element("ol", { class: "contexts" }, ...contexts.slice(0, FEW_CONTEXTS).map((context) => contextLine(context, notes)));
  const rest = contexts.slice(FEW_CONTEXTS);
  const more = element("button", { class: "link small", type: "button", onclick: () => { list.append(...rest.map((context) => contextLine(context, notes))); more.remove(); } }, `Show ${rest.length} more`);
  return rest.length ? [list, more] : [list];
}

function contextLine(context, notes) {
  const words = context.tokens.map((token, i) => {
    const strength = context.strength[i];
    return element("span", { class: i === context.peak ? "peak" : null, style: strength > 0 ? `--strength:${(100 * strength).toFixed(0)}%` : null,
      title: strength > 0 ? `${percent(strength)} of its largest activation` : null }, token);
  });
  return element("li", {}, languageMark(notes, context.language), element("span", { class: "text", dir: "auto" }, ...words));
}

function rateBars(note, notes) {
  const rows = note.rates.map((rate, l) => ({ rate: rate || 0, l })).filter(({ rate }) => rate > 0).sort((a, b) => b.rate - a.rate);
  const most = rows.length ? rows[0].rate : 1, shown = rows.slice(0, 12);
  return element("div", { class: "rates" }, ...shown.flatMap(({ rate, l }) => [
    element("span", {}, notes.languages[l].name),
    element("span", { class: "rate", style: `--share:${(rate / most).toFixed(4)};--mark:${languageColour(l)}` }),
    element("span", { class: "number" }, percent(rate))]),
  rows.length > shown.length ? element("span", { class: "muted small wide" }, `and ${rows.length - shown.length} more, all below ${percent(shown[shown.length - 1].rate)}`) : null);
}

function logitList(title, pairs) {
  return element("div", {}, element("h4", {}, title), element("ul", {}, ...pairs.slice(0, 8).map(({ token, value }) =>
    element("li", {}, element("span", { class: "text", dir: "auto" }, quoted(token)), element("span", { class: "muted number" }, `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`)))));
}

function edgeParts(view, node, notes, hooks) {
  const { into, from } = edgeEntries(view.graph, node), choose = (other) => hooks.choose(other, view);
  const parts = [];
  if (view.graph.rowOf(node) >= 0) parts.push(edgeTable(view, into, notes, { caption: "Comes from", shareTitle: "Of the absolute sum of all that comes into this node", choose }));
  if (node < view.graph.nSources) parts.push(edgeTable(view, from, notes, { caption: "Goes to", shareTitle: "Of the absolute sum of all that comes into the node of this line", choose }));
  return parts;
}
