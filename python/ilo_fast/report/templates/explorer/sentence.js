// A sentence and its neighbours, in words.

function makeCard(host, run, choose) {
  const { points, languages } = run;
  if (!points.n_neighbors) return { draw() {} };
  const which = element("select", { "aria-label": "Language of the sentence", onchange: () => choose({ language: Number(which.value), sentence: Number(number.value) - 1 || 0 }) },
    ...languages.map((language, l) => [language.name, l]).sort(([a], [b]) => a.localeCompare(b, "en")).map(([name, l]) => element("option", { value: l }, name)));
  const number = element("input", { type: "number", min: 1, max: points.table.most, step: points.stride, "aria-label": "Number of the sentence",
    onchange: () => choose({ language: Number(which.value), sentence: Number(number.value) - 1 || 0 }) });
  const other = element("button", { type: "button", onclick: () => choose(run.randomPoint()) }, "Another");
  const body = element("div", { class: "sentences" });
  host.append(element("div", { class: "row" }, which, element("label", {}, "Sentence ", number), other), body);

  const quoted = ({ language, sentence }) => {
    const text = run.text(language, sentence);
    return text === null ? element("span", { class: "muted" }, `sentence ${sentence + 1}`) : element("span", { dir: "auto", class: "text" }, text);
  };
  function draw(h, point) {
    which.value = point.language; number.value = point.sentence + 1;
    const found = run.neighbours(h, point);
    const items = found.map((one) => {
      const same = one.language === point.language, translation = points.parallel && one.sentence === point.sentence && !same;
      const kind = translation ? "translation" : same ? "same language" : "other";
      return element("li", {},
        element("button", { type: "button", class: "link", onclick: () => choose(one), title: "Look from here" }, languages[one.language].name),
        element("span", { class: `chip ${kind.split(" ")[0]}` }, kind), element("br"), quoted(one));
    });
    body.replaceChildren(
      element("blockquote", {}, quoted(point)),
      element("p", { class: "muted small" }, `Its ${found.length} nearest neighbours at layer ${run.layers[h]}, the nearest first:`),
      element("ol", {}, ...items));
  }
  return { draw };
}
