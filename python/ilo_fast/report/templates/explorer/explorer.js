// The state of the page, and the views that follow it.

const data = JSON.parse(document.getElementById("data").textContent);
const runs = data.runs.map(openRun);
const first = runs[0], several = runs.length > 1;
const steps = Math.max(...runs.map((run) => run.layers.length));
const sameLayers = runs.every((run) => run.layers.join() === first.layers.join());
const id = (name) => document.getElementById(name);

const state = {
  depth: first.layers.length > 1 ? first.start / (first.layers.length - 1) : 0,
  score: first.scores[0].name, matrix: null, by: "family", only: "", order: first.tree ? "tree" : "group",
  colours: "group", picked: null, point: null, hovered: null,
};
const here = (run) => layerAt(state.depth, run.layers.length);
const runColour = (i) => several ? `var(--c${i % N_COLOURS})` : "var(--accent)";
const DASHES = ["", "6 3", "2 2.5", "8 3 2 3"];
const scoreOf = (run) => run.score(state.score);

// ---- controls

const slider = id("layer"), layerName = id("layer-name");
slider.max = Math.max(0, steps - 1);
slider.disabled = steps < 2;
slider.value = Math.round(state.depth * (steps - 1));
slider.addEventListener("input", () => change({ depth: steps > 1 ? slider.value / (steps - 1) : 0 }));

function options(select, pairs, value) {
  select.replaceChildren(...pairs.map(([key, text]) => element("option", { value: key }, text)));
  select.value = value;
}
const union = (lists) => [...new Map(lists.flat().map((one) => [one.name, one.title])).entries()];
options(id("score"), union(runs.map((run) => run.scores)), state.score);
id("score").addEventListener("change", (event) => change({ score: event.target.value }));
const matrices = union(runs.map((run) => run.matrices));
state.matrix = matrices.length ? matrices[0][0] : null;
options(id("matrix-choice"), matrices, state.matrix);
id("matrix-choice").addEventListener("change", (event) => change({ matrix: event.target.value }));
options(id("by"), GROUPINGS, state.by);
id("by").addEventListener("change", (event) => { change({ by: event.target.value, only: "" }); });
id("only").addEventListener("change", (event) => change({ only: event.target.value }));
const orders = [["group", "Group"], ["score", "Score"], ["name", "Name"]];
if (first.tree) orders.unshift(["tree", "Similarity"], ["leaves", "Similarity at this layer"]);
options(id("order"), orders, state.order);
id("order").addEventListener("change", (event) => change({ order: event.target.value }));
const hasParts = runs.some((run) => run.points && run.points.label);
options(id("colours"), [["group", "Group"], ["language", "Language picked"], ...(hasParts ? [["part", "Core and fragments"]] : [])], state.colours);
id("colours").addEventListener("change", (event) => change({ colours: event.target.value }));
id("find").addEventListener("input", () => drawTables());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target !== slider) return;
  const step = { "[": -1, "]": 1 }[event.key];
  if (step && steps > 1) change({ depth: Math.min(1, Math.max(0, state.depth + step / (steps - 1))) });
  if (event.key === "Escape") change({ picked: null });
});

// ---- views

const curves = id("curves"), differences = id("differences");
const places = (name, make) => {
  const host = id(name);
  return runs.map((run) => {
    const place = element("div", { class: "run" }, several ? element("h4", {}, run.name) : null);
    host.append(place);
    return make(run, place);
  });
};
const heats = places("heat", (run, place) => makeGrid(place, "heat"));
const grids = places("matrix", (run, place) => run.matrices.length ? makeGrid(place, "matrix") : null);
const pointed = runs.filter((run) => run.points);
const maps = places("map", (run, place) => {
  if (!run.points) return null;
  const plane = element("div", { class: "plane" }), note = element("p", { class: "muted small" }), card = element("div", { class: "card" });
  place.append(element("div", { class: "map-and-card" }, element("div", {}, plane, note), card));
  const choose = (point, hovering) => {
    const near = point && run.near(point);
    if (hovering) change({ hovered: near && { run: run.index, ...near } }, true);
    else change({ point: near, hovered: null }, true);
  };
  Object.assign(run, walkOver(run));
  return { map: run.points.x ? makeMap(plane, run, choose) : null, card: makeCard(card, run, choose), note };
});
id("matrix-part").hidden = !matrices.length;
id("map-part").hidden = !pointed.length;
if (pointed.length) state.point = pointed[0].near({ language: startLanguage(pointed[0]), sentence: 0 });

function startLanguage(run) {
  const english = run.languages.findIndex((language) => language.code.startsWith("eng"));
  return Math.max(0, english);
}
function walkOver(run) {
  return {
    moved: (languages, sentences) => {
      const { language, sentence } = pointOf(run), n = run.languages.length;
      const to = (language + languages + n) % n, many = run.languages[to].sentences;
      return { language: to, sentence: (sentence + sentences + many) % many };
    },
    randomPoint: () => {
      const language = Math.floor(Math.random() * run.languages.length);
      return { language, sentence: Math.floor(Math.random() * run.languages[language].sentences) };
    },
    tipOf: ({ language, sentence }) => {
      const text = run.text(language, sentence);
      return [`${run.languages[language].name}, sentence ${sentence + 1}`, ...(text === null ? [] : [text.length > 90 ? `${text.slice(0, 90)}…` : text])];
    },
  };
}
function pointOf(run) {
  const { hovered, point } = state;
  if (hovered && hovered.run === run.index) return hovered;
  return run.near({ language: Math.min(point.language, run.languages.length - 1), sentence: point.sentence });
}

const removals = places("removed", (run, place) => {
  const plot = element("div", { class: "plot" });
  if (run.removed) place.append(plot);
  return plot;
});
id("removed-part").hidden = !runs.some((run) => run.removed);

const tables = places("tables", (run, place) => {
  const table = element("table", {}, element("thead", {}, element("tr")), element("tbody"));
  table.setAttribute("aria-label", several ? `Languages of ${run.name}` : "Languages");
  place.append(element("div", { class: "scroll" }, table));
  return makeTable(table);
});

// ---- drawing

// Runs of the same languages share the order of the first: rows side by side are then one language.
const sharesLanguages = (run) => run.languages.map((one) => one.code).join() === first.languages.map((one) => one.code).join();
function order(run) {
  const { order, by, only } = state, leader = sharesLanguages(run) ? first : run;
  const leaves = order === "leaves" ? leader.leaves(here(leader)) : leader.leaves(leader.start);
  return ordered(run.languages, { order: order === "leaves" ? "tree" : order, by, only, leaves, means: leader.means(scoreOf(leader)) });
}
const endsOf = (run, rows) => state.order === "group" && !state.only ? groupEnds(run.languages, rows, state.by) : [];
const namesOf = (run, rows) => state.order === "group" && !state.only ? rows.map((l) => groupOf(run.languages[l], state.by)) : null;
const pickedIn = (run, rows) => state.picked === null ? -1 : rows.findIndex((l) => run.languages[l].code === state.picked);
const pickLanguage = (code) => change({ picked: state.picked === code ? null : code });

function drawControls() {
  const names = runs.map((run) => `${run.layers[here(run)]}`);
  layerName.textContent = sameLayers ? names[0] : names.join(" / ");
  slider.setAttribute("aria-valuetext", `layer ${layerName.textContent}`);
  slider.value = Math.round(state.depth * (steps - 1));
  if (id("only").dataset.by !== state.by) {
    const groups = groupNames(runs.flatMap((run) => run.languages), state.by);
    options(id("only"), [["", "All languages"], ...groups.map((name) => [name, name])], state.only);
    id("only").dataset.by = state.by;
  }
  const score = runs.map(scoreOf).find(Boolean);
  id("about").textContent = score.about;
  id("score-name").textContent = score.title;
}

// One scale for all runs: a colour means the same beside another run.
function scaleOf(score) {
  const same = runs.map((run) => run.score(score.name)).filter(Boolean);
  const low = Math.min(...same.map((one) => one.lowest)), most = Math.max(...same.map((one) => one.highest));
  const high = most > low ? most : low + 1;
  return { low, high, digits: Math.max(2, digitsFor(low, high)) };
}

function drawCurveView() {
  const shown = runs.filter((run) => scoreOf(run));
  let { low, high } = scaleOf(scoreOf(shown[0]));
  const series = shown.map((run) => {
    const score = scoreOf(run), field = (name) => { const found = run.get(score[name]); return found && Array.from(found.values); };
    const rows = order(run), n = run.layers.length, perLanguage = run.get(score.values);
    const line = (l) => Array.from({ length: n }, (_, h) => run.at(score, "values", h, l));
    const picked = pickedIn(run, rows);
    const all = field("means");
    const values = !state.only || !perLanguage ? all : Array.from({ length: n }, (_, h) => {
      const known = rows.map((l) => run.at(score, "values", h, l)).filter((value) => !Number.isNaN(value));
      return known.length ? known.reduce((a, b) => a + b, 0) / known.length : NaN;
    });
    return {
      name: run.name, values, chance: field("means_chance"), colour: runColour(run.index), dash: DASHES[run.index % DASHES.length],
      low: state.only ? null : field("means_low"), high: state.only ? null : field("means_high"), run,
      lines: !perLanguage || several ? (picked >= 0 ? [{ values: line(rows[picked]), strong: true }] : [])
        : rows.map((l, i) => ({ values: line(l), strong: i === picked })),
    };
  });
  // Data may leave the ends that a score promises: curves are drawn whole.
  for (const one of series) {
    for (const values of [one.values, one.low, one.high, one.chance, ...one.lines.map((line) => line.values)]) {
      for (const value of values || []) if (!Number.isNaN(value)) { low = Math.min(low, value); high = Math.max(high, value); }
    }
  }
  const digits = Math.max(2, digitsFor(low, high));
  drawCurves(curves, {
    height: !several && curves.clientWidth > 460 && innerWidth > 1000 ? 400 : 260,
    series, layers: sameLayers ? first.layers : [0, 25, 50, 75, 100].map((share) => `${share} %`), here: steps > 1 ? state.depth : 0.5, low, high,
    axis: sameLayers ? (data.embeddings ? "layer (0 = embeddings)" : "layer") : "depth",
    label: `${id("score-name").textContent} over layers: ${series.map((one) => `${one.name} ${one.values.map((value) => fixed(value, 2)).join(", ")}`).join("; ")}`,
    pick: (share) => change({ depth: Math.round(share * (steps - 1)) / Math.max(1, steps - 1) }),
    tip: (share) => series.flatMap((one) => {
      const h = layerAt(share, one.run.layers.length), range = one.low && !Number.isNaN(one.low[h]) ? ` (${fixed(one.low[h], digits)} – ${fixed(one.high[h], digits)})` : "";
      const lines = [`${several ? `${one.name}, l` : "L"}ayer ${one.run.layers[h]}: ${fixed(one.values[h], digits)}${range}`];
      if (one.chance && !several) lines.push(`${scoreOf(one.run).chance_name} ${fixed(one.chance[h], digits)}`);
      return lines;
    }),
  });
  const key = (shape, text, colour) => element("span", { class: "key" }, element("i", { class: shape, style: colour ? `--colour:${colour}` : null }), text);
  const score = scoreOf(shown[0]), level = first.level === null ? "" : `${Number((100 * first.level).toFixed(2))} % `;
  id("curve-keys").replaceChildren(...series.map((one) => key("mean", several ? one.name : state.only ? `mean of ${state.only}` : "mean over languages", one.colour)),
    ...(series.some((one) => one.low) ? [key("band", `${level}interval`, several ? "var(--muted)" : "var(--accent)")] : []),
    ...(series.some((one) => one.chance) ? [key("chance", score.chance_name === "chance" ? "what chance gives" : score.chance_name)] : []),
    ...(several || !series[0].lines.length ? [] : [key("language", "single languages")]),
    ...(series.some((one) => one.lines.some((line) => line.strong)) ? [key("picked", languageName(state.picked))] : []));
  drawDifferences();
}

function drawDifferences() {
  const found = (data.comparison || []).filter((one) => one.score === state.score);
  id("difference-part").hidden = !found.length;
  if (!found.length) return;
  const all = found.flatMap((one) => [...one.values, ...one.low, ...one.high, 0]).filter((value) => value !== null);
  const numbers = (values) => values.map((value) => value === null ? NaN : value);
  const series = found.map((one) => ({ name: one.b, colour: runColour(one.other), dash: DASHES[one.other % DASHES.length],
    values: numbers(one.values), low: numbers(one.low), high: numbers(one.high) }));
  drawCurves(differences, { series, layers: found[0].layers, here: state.depth, low: Math.min(...all), high: Math.max(...all), zero: true, height: 130, bare: true,
    label: `Difference to ${first.name} by layer`,
    pick: (share) => change({ depth: Math.round(share * (steps - 1)) / Math.max(1, steps - 1) }),
    tip: (share) => series.map((one) => { const h = layerAt(share, one.values.length); return `layer ${found[0].layers[h]}: ${first.name} − ${one.name} ${fixed(one.values[h], 3)} (${fixed(one.low[h], 3)} – ${fixed(one.high[h], 3)})`; }) });
}

function describe(run, h, l) {
  const score = scoreOf(run), { digits } = scaleOf(score), at = (field) => run.at(score, field, h, l);
  const lines = [`${run.languages[l].name}, layer ${run.layers[h]}`];
  const range = Number.isNaN(at("low")) ? "" : `  (${fixed(at("low"), digits)} – ${fixed(at("high"), digits)})`;
  lines.push(`${score.title} ${fixed(at("values"), digits)}${range}`);
  if (!Number.isNaN(at("chance"))) lines.push(`${score.chance_name} ${fixed(at("chance"), digits)}`);
  if (!Number.isNaN(at("z"))) lines.push(`z ${fixed(at("z"), 1)}`);
  if (!Number.isNaN(at("p"))) lines.push(at("p") < 0.001 ? "p < 0.001" : `p ${fixed(at("p"), 3)}`);
  return lines;
}

function drawHeat(run, i) {
  const score = scoreOf(run);
  if (!score || !score.values) { heats[i].draw({ rows: [], columns: [] }); return; }
  const { low, high } = scaleOf(score), ramp = sequential(low, high), rows = order(run), digits = high - low > 20 ? 0 : high - low > 2 ? 1 : 2;
  heats[i].draw({
    rows: rows.map((l) => run.languages[l].name), columns: run.layers.map(String), least: 9, most: 46, column: here(run), picked: pickedIn(run, rows), ends: endsOf(run, rows), names: namesOf(run, rows),
    label: `${score.title} of every language at every layer of ${run.name}. Arrow keys move, Enter chooses layer and language`,
    fill: (r, h) => ramp(run.at(score, "values", h, rows[r])),
    text: (r, h) => fixed(run.at(score, "values", h, rows[r]), digits).replace(/^(-?)0\./, "$1."),
    tip: (r, h) => describe(run, h, rows[r]),
    pick: (r, h) => {
      const code = run.languages[rows[r]].code;
      const depth = h === undefined || run.layers.length < 2 ? state.depth : h / (run.layers.length - 1);
      change({ depth, picked: h === undefined && state.picked === code ? null : code });
    },
  });
  if (run === runs.find(scoreOf)) colourBar(id("heat-bar"), ramp, low, high, score.title);
}

const LOG_REACH = 4;
function drawMatrix(run, i) {
  const matrix = run.matrix(state.matrix), grid = grids[i];
  if (!grid) return;
  if (!matrix) { grid.draw({ rows: [], columns: [] }); return; }
  const rows = order(run), h = here(run), n = run.languages.length, values = run.get(matrix.values).values;
  const at = (array, r, c) => array[(h * n + rows[r]) * n + rows[c]];
  const same = runs.map((one) => one.matrix(state.matrix)).filter(Boolean);
  const low = Math.min(...same.map((one) => one.lowest)), high = Math.max(...same.map((one) => one.highest));
  const ramp = matrix.ratio ? diverging(LOG_REACH, isDark()) : sequential(low, high);
  const share = matrix.ratio && run.get(matrix.share), z = matrix.ratio && run.get(matrix.z), expected = matrix.ratio && run.get(matrix.expected).values;
  const whole = rows.length === n && (run === first || !sharesLanguages(run)) && (state.order === "leaves" || state.order === "tree" && h === run.start);
  grid.draw({
    rows: rows.map((l) => run.languages[l].name), columns: rows.map((l) => run.languages[l].name), least: rows.length > 80 ? 5 : 8, most: 26, square: true, tall: true,
    picked: pickedIn(run, rows), ends: endsOf(run, rows), tree: whole ? run.arms(h) : null,
    label: `${matrix.title}, language by language, at layer ${run.layers[h]} of ${run.name}. Arrow keys move, Enter picks the language of the row`,
    fill: (r, c) => ramp(at(values, r, c)),
    tip: (r, c) => {
      const lines = [`${run.languages[rows[r]].name} → ${run.languages[rows[c]].name}, layer ${run.layers[h]}`], value = at(values, r, c);
      if (!matrix.ratio) return [...lines, `${matrix.title} ${fixed(value, 3)}`];
      lines.push(`${times(value)} as many links as by chance`);
      if (share) lines.push(`${percent(at(share.values, r, c))} of neighbours (chance ${percent(expected[rows[r] * n + rows[c]])})`);
      if (z) lines.push(`z ${fixed(at(z.values, r, c), 1)}`);
      return lines;
    },
    pick: (r) => pickLanguage(run.languages[rows[r]].code),
  });
  if (run !== runs.find((one) => one.matrix(state.matrix))) return;
  id("matrix-about").textContent = matrix.about;
  if (matrix.ratio) colourBar(id("matrix-bar"), ramp, -LOG_REACH, LOG_REACH, "links over chance", (value) => value < 0 ? `1/${2 ** -value}` : `${2 ** value}×`);
  else colourBar(id("matrix-bar"), ramp, low, high, matrix.title);
}

const packedColour = (text) => {
  const [r, g, b] = text.match(/\w\w/g).map((pair) => parseInt(pair, 16));
  return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
};
// Which colour each point has, and what the colours mean.
function colouring(run, h) {
  const { languages, points } = run, { table } = points, codes = new Uint8Array(table.size);
  const shown = languages.map((language) => !state.only || groupOf(language, state.by) === state.only);
  let names;
  if (state.colours === "part" && points.label) {
    const layer = run.parts.layers[h], big = layer.fragments.slice(0, N_COLOURS - 1), codeOf = new Map(big.map((one, i) => [one.label + 1, i + 1]));
    for (let i = 0; i < table.size; i++) { const label = run.label(h, i); codes[i] = label === 1 ? 0 : codeOf.get(label) || N_COLOURS; }
    names = [`core (${percent(layer.core)})`, ...big.map((one) => `${nameOf(run, one.name)} (${percent(one.share)})`)];
  } else if (state.colours === "language") {
    const picked = languages.findIndex((language) => language.code === state.picked);
    for (let i = 0; i < table.size; i++) codes[i] = table.language[i] === picked ? 1 : N_COLOURS;
    names = picked < 0 ? [] : [null, languages[picked].name];
  } else {
    const groups = groupNames(languages, state.by), of = languages.map((language) => Math.min(N_COLOURS, groups.indexOf(groupOf(language, state.by))));
    for (let i = 0; i < table.size; i++) codes[i] = of[table.language[i]];
    names = groups.slice(0, N_COLOURS);
  }
  return { codes, names, dim: shown.map((yes) => !yes), rest: codes.includes(N_COLOURS) };
}
const languageName = (code) => runs.flatMap((run) => run.languages).find((language) => language.code === code).name;
const nameOf = (run, name) => (run.languages.find((language) => language.code === name) || { name }).name;

function drawMap(run, i, still) {
  const view = maps[i];
  if (!view) return;
  const h = here(run), point = pointOf(run);
  if (view.map) {
    const { codes, names, dim, rest } = colouring(run, h);
    const palette = Uint32Array.from([...Array(N_COLOURS).keys()].map((c) => packedColour(colour(`--c${c}`))).concat([packedColour(colour("--faint"))]));
    view.map.draw({ h, codes, palette, dim, point, still });
    if (i === runs.indexOf(pointed[0])) {
      const keys = names.map((name, c) => name && element("span", { class: "key" }, element("i", { class: "dot", style: `--colour:var(--c${c})` }), name)).filter(Boolean);
      if (rest) keys.push(element("span", { class: "key" }, element("i", { class: "dot", style: "--colour:var(--faint)" }), state.colours === "part" ? "neither" : "others"));
      id("map-keys").replaceChildren(...keys);
    }
  }
  view.card.draw(h, point);
  const notes = [];
  if (run.parts) {
    const layer = run.parts.layers[h];
    notes.push(layer.core ? `Core: ${percent(layer.core)} of the sentences, ${layer.languages} of ${run.languages.length} languages (mixing by chance would give ${percent(layer.by_chance)}).` : "No core: too few languages are tied together.");
    if (layer.fragments.length) notes.push(`Fragments: ${layer.fragments.map((one) => nameOf(run, one.name)).join("; ")}${layer.more ? ` and ${layer.more} more` : ""}.`);
  }
  if (run.points.stride > 1) notes.push(`Shown: every ${run.points.stride}${run.points.stride === 2 ? "nd" : run.points.stride === 3 ? "rd" : "th"} sentence.`);
  view.note.textContent = notes.join(" ");
}

const REMOVED = [["ilo", "ILO", "var(--c0)", ""], ["translation_share", "Translations", "var(--c1)", "6 3"]];
function drawRemoved(run, i) {
  const { removed } = run, layer = run.layers[here(run)];
  if (!removed) return;
  const h = removed.layers.indexOf(layer), n = removed.layers.length;
  if (h < 0) { removals[i].replaceChildren(); return; }
  const series = REMOVED.map(([name, title, shade, dash]) => ({
    name: title, colour: shade, dash, values: removed.ranks.map((_, r) => run.get(removed[name]).values[r * n + h]),
  }));
  const names = removed.ranks.map((rank) => rank < 0 ? "none" : rank === 0 ? "means" : String(rank));
  const text = (share) => {
    const r = layerAt(share, names.length);
    return [names[r] === "none" ? "nothing removed" : names[r] === "means" ? "mean of each language removed" : `${names[r]} directions removed`, ...series.map((one) => `${one.name} ${fixed(one.values[r], 3)}`)];
  };
  drawCurves(removals[i], { series, layers: names, low: 0, high: 1, height: 220, axis: `directions removed, layer ${layer}`,
    label: `Scores at layer ${layer} by directions removed`, pick: () => {}, tip: text });
  id("removed-keys").replaceChildren(...REMOVED.map(([, title, shade]) => element("span", { class: "key" }, element("i", { style: `--colour:${shade}` }), title)));
}

function drawTables() {
  runs.forEach((run, i) => {
    const h = here(run), wanted = id("find").value, rows = order(run).filter((l) => matches(run.languages[l], wanted));
    const words = [["name", "Language"], ["code", "Code", "code"], ["family", "Family", "text"], ["script", "Script", "text"]];
    const columns = words.slice(0, several ? 1 : 4).map(([key, title, kind]) => ({ key, title, kind, get: (l) => run.languages[l][key] }));
    if (!several) columns.push({ key: "resource", title: "Resources", digits: 0, about: "Joshi et al. 2020: 0 least, 5 most resources", get: (l) => run.languages[l].resource });
    const names = several ? [] : ["bridge", "reach", "ilo", "translation_share"];
    if (!names.includes(state.score)) names.push(state.score);
    for (const name of names) {
      const score = run.score(name);
      if (!score || !score.values) continue;
      const { low, high } = scaleOf(score), digits = name === "translation_share" ? 4 : Math.max(3, digitsFor(low, high)), chosen = name === state.score;
      columns.push({ key: name, title: score.title, digits, about: score.about, get: (l) => run.at(score, "values", h, l), bar: chosen ? (value) => Math.min(1, Math.max(0, (value - low) / (high - low))) : null });
      if (chosen && score.low) columns.push({ key: `${name}_low`, title: `${Number((100 * (run.level || 0)).toFixed(2))} % interval`, digits, get: (l) => run.at(score, "low", h, l),
        show: (l) => Number.isNaN(run.at(score, "low", h, l)) ? "" : `${fixed(run.at(score, "low", h, l), digits)} – ${fixed(run.at(score, "high", h, l), digits)}` });
    }
    tables[i].draw({ columns, rows, sorted: state.score, pick: (l) => pickLanguage(run.languages[l].code), picked: run.languages.findIndex((language) => language.code === state.picked) });
  });
  id("table-layer").textContent = layerName.textContent;
}

function drawAll(still) {
  drawControls();
  drawCurveView();
  runs.forEach((run, i) => { drawHeat(run, i); drawMatrix(run, i); drawRemoved(run, i); });
  if (ready) runs.forEach((run, i) => drawMap(run, i, still));
  drawTables();
}

let queued = 0, pending = { all: false };
// One drawing a frame, however fast the slider moves; a new point alone draws the maps alone.
function change(parts, mapsOnly) {
  Object.assign(state, parts);
  pending.all = pending.all || !mapsOnly;
  if (queued) return;
  queued = requestAnimationFrame(() => {
    queued = 0;
    const { all } = pending;
    pending = { all: false };
    if (all) drawAll(); else runs.forEach((run, i) => drawMap(run, i, true));
  });
}

// What is folded up on the screen is wanted on paper.
addEventListener("beforeprint", () => document.querySelectorAll("details.printed").forEach((one) => { one.open = true; }));

document.documentElement.classList.add("live");
id("explore").hidden = false;
let ready = false; // points and texts are megabytes: they are unpacked behind the first picture
drawAll(true);
setTimeout(() => { ready = true; runs.forEach((run, i) => drawMap(run, i, true)); }, 30);
let wide = innerWidth;
addEventListener("resize", () => { if (innerWidth !== wide) { wide = innerWidth; drawAll(true); } });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { colours.clear(); drawAll(true); });
