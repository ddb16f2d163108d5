// Languages: groups, filters, orders. No page in here.

const GROUPINGS = [["family", "Family"], ["region", "Region"], ["script", "Script"], ["resource", "Resource class"]];

const groupOf = (language, by) => {
  const value = language[by];
  return value === null || value === undefined || value === "" ? "unknown" : String(value);
};

// Names of the groups: the largest first, those of equal size by name; classes from 5 to 0.
function groupNames(languages, by) {
  const sizes = new Map();
  for (const language of languages) {
    const name = groupOf(language, by);
    sizes.set(name, (sizes.get(name) || 0) + 1);
  }
  const names = [...sizes.keys()];
  const order = by === "resource"
    ? (a, b) => (b === "unknown" ? -1 : a === "unknown" ? 1 : b < a ? -1 : 1)
    : (a, b) => sizes.get(b) - sizes.get(a) || (a < b ? -1 : 1);
  return names.sort(order);
}

// Positions of the languages that are shown, in order.
//   order: "tree" (leaves, an order of all), "group", "name" or "score" (means, the highest first)
function ordered(languages, { order, by, only, leaves, means }) {
  let positions = languages.map((_, l) => l);
  const byName = (a, b) => languages[a].name.localeCompare(languages[b].name, "en") || (languages[a].code < languages[b].code ? -1 : 1);
  const byMean = (a, b) => (means ? (means[b] || 0) - (means[a] || 0) : 0) || byName(a, b);
  if (order === "tree" && leaves) positions = Array.from(leaves);
  else if (order === "group") {
    const rank = new Map(groupNames(languages, by).map((name, i) => [name, i]));
    const of = (l) => rank.get(groupOf(languages[l], by));
    positions.sort((a, b) => of(a) - of(b) || byMean(a, b));
  } else positions.sort(order === "name" ? byName : byMean);
  return only ? positions.filter((l) => groupOf(languages[l], by) === only) : positions;
}

// Rows behind which another group begins.
function groupEnds(languages, positions, by) {
  const ends = [];
  for (let i = 1; i < positions.length; i++) {
    if (groupOf(languages[positions[i - 1]], by) !== groupOf(languages[positions[i]], by)) ends.push(i);
  }
  return ends;
}

const matches = (language, wanted) => {
  const { name, code, family, script, region } = language;
  return [name, code, family, script, region].join(" ").toLowerCase().includes(wanted.trim().toLowerCase());
};

// Rows of a table by one of their values: numbers or words, what is missing last in both directions.
function sortRows(rows, key, down) {
  const missing = (value) => value === null || value === undefined || Number.isNaN(value);
  return rows.map((row) => [key(row), row]).sort(([a], [b]) => {
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    const order = typeof a === "string" ? a.localeCompare(b, "en") : a - b;
    return down ? -order : order;
  }).map(([, row]) => row);
}

// The arms of a dendrogram: [height, from, to, height of the one, height of the other], in rows.
function treeArms(merges, heights, leaves) {
  const n = leaves.length, at = new Array(2 * n - 1).fill(0), tall = new Array(2 * n - 1).fill(0);
  leaves.forEach((leaf, row) => { at[leaf] = row + 0.5; });
  const arms = [];
  for (let i = 0; i < n - 1; i++) {
    const a = merges[2 * i], b = merges[2 * i + 1], height = heights[i];
    arms.push([height, at[a], at[b], tall[a], tall[b]]);
    at[n + i] = (at[a] + at[b]) / 2;
    tall[n + i] = height;
  }
  return arms;
}

// Where sentences lie: of each language, the kept ones one after the other (points), and the texts.
function pointTable(languages, stride, textStride) {
  const starts = [], textStarts = [], most = Math.max(...languages.map((l) => l.sentences));
  let points = 0, texts = 0;
  for (const { sentences } of languages) {
    starts.push(points); textStarts.push(texts);
    points += Math.ceil(sentences / stride);
    texts += Math.ceil(sentences / textStride);
  }
  const language = new Uint16Array(points), sentence = new Uint32Array(points);
  languages.forEach((one, l) => {
    for (let i = 0; i * stride < one.sentences; i++) {
      language[starts[l] + i] = l;
      sentence[starts[l] + i] = i * stride;
    }
  });
  return {
    language, sentence, most, size: points,
    point: (l, s) => s % stride === 0 && s < languages[l].sentences ? starts[l] + s / stride : -1,
    text: (l, s) => s % textStride === 0 ? textStarts[l] + s / textStride : -1,
  };
}
