// A run as the views ask for it: arrays are unpacked when first wanted.

function openRun(record, index) {
  const kept = new Map();
  const get = (packed) => {
    if (!packed) return null;
    if (!kept.has(packed)) kept.set(packed, unpack(packed));
    return kept.get(packed);
  };
  const run = { ...record, index, get };
  const n = record.languages.length;
  run.score = (name) => record.scores.find((one) => one.name === name) || null;
  run.matrix = (name) => record.matrices.find((one) => one.name === name) || null;
  // One value of a score: of its field, a layer, a language; NaN where there is none.
  run.at = (score, field, h, l) => {
    const found = score && get(score[field]);
    return found ? found.values[h * n + l] : NaN;
  };
  run.mean = (score, field, h) => {
    const found = score && get(score[field]);
    return found ? found.values[h] : NaN;
  };
  // Plain means over layers, for an order.
  run.means = (score) => {
    const found = score && get(score.values);
    if (!found) return null;
    return record.languages.map((_, l) => {
      let total = 0, known = 0;
      for (let h = 0; h < record.layers.length; h++) {
        const value = found.values[h * n + l];
        if (!Number.isNaN(value)) { total += value; known++; }
      }
      return known ? total / known : NaN;
    });
  };
  run.leaves = (h) => record.tree ? get(record.tree.orders).values.subarray(h * n, (h + 1) * n) : null;
  run.arms = (h) => {
    if (!record.tree) return null;
    const merges = get(record.tree.merges).values, heights = get(record.tree.heights).values;
    return treeArms(merges.subarray(2 * h * (n - 1), 2 * (h + 1) * (n - 1)), heights.subarray(h * (n - 1), (h + 1) * (n - 1)), Array.from(run.leaves(h)));
  };
  if (record.points) openPoints(run, record.points);
  return run;
}

function openPoints(run, points) {
  const { languages, get } = run;
  points.table = pointTable(languages, points.stride, points.text_stride);
  const table = points.table, k = points.n_neighbors;
  let texts = null;
  run.text = (language, sentence) => {
    if (!points.texts) return null;
    texts = texts || unpackTexts(points.texts);
    const at = table.text(language, sentence);
    return at < 0 ? null : texts[at];
  };
  run.neighbours = (h, { language, sentence }) => {
    const point = table.point(language, sentence);
    if (!k || point < 0) return [];
    const of = get(points.neighbor_language).values, steps = get(points.neighbor_step).values;
    return Array.from({ length: k }, (_, j) => {
      const at = (h * table.size + point) * k + j;
      return { language: of[at], sentence: (sentence + steps[at]) % table.most };
    });
  };
  run.label = (h, point) => get(points.label).values[h * table.size + point];
  // The kept sentence that is nearest to one of a language.
  run.near = ({ language, sentence }) => {
    const last = Math.ceil(languages[language].sentences / points.stride) - 1;
    const i = Math.max(0, Math.min(last, Math.round(sentence / points.stride) || 0));
    return { language, sentence: i * points.stride };
  };
}
