"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const table = document.getElementById("languages");
  const body = table.tBodies[0];
  const layer = document.getElementById("layer");
  const find = document.getElementById("find");
  const fixed = (value, digits) => value.toFixed(digits);

  // One entry a column of the table: the value to sort by, and how to show it.
  const columns = [
    { get: (l) => data.languages[l].name },
    { get: (l) => data.languages[l].code, kind: "code" },
    { get: (l) => data.languages[l].family, kind: "text" },
    { get: (l) => data.languages[l].script, kind: "text" },
    { get: (l) => data.languages[l].resource, digits: 0 },
    { get: (l, h) => data.bridge[h][l], digits: 3 },
    { get: (l, h) => data.reach[h][l], digits: 3 },
    { get: (l, h) => data.ilo[h][l], digits: 3, bar: true },
  ];
  if (data.ends) {
    const ends = (l, h) => data.ends[h][l];
    columns.push({
      get: (l, h) => ends(l, h) && ends(l, h)[0],
      show: (l, h) => ends(l, h) ? ends(l, h).map((end) => fixed(end, 3)).join(" – ") : "",
    });
  }
  if (data.share) {
    columns.push({ get: (l, h) => data.share[h][l], digits: 4 });
  }
  let sorted = 7, down = true;

  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "string" ? a.localeCompare(b, "en") : a - b;
    return down ? -order : order;
  };

  const draw = () => {
    const h = Number(layer.value);
    const wanted = find.value.trim().toLowerCase();
    const shown = data.languages.map((_, l) => l).filter((l) => {
      const { name, code, family, script } = data.languages[l];
      return [name, code, family, script].join(" ").toLowerCase().includes(wanted);
    });
    const key = columns[sorted].get;
    shown.sort((a, b) => compare(key(a, h), key(b, h)) || (data.languages[a].code < data.languages[b].code ? -1 : 1));
    body.replaceChildren(...shown.map((l) => {
      const row = document.createElement("tr");
      columns.forEach(({ get, show, digits, kind, bar }, index) => {
        const cell = document.createElement(index ? "td" : "th");
        const value = get(l, h);
        if (!index) cell.scope = "row";
        if (kind) cell.className = kind;
        if (bar) { cell.className = "bar"; cell.style.setProperty("--share", value); }
        cell.textContent = show ? show(l, h) : value === null ? "" : digits === undefined ? value : fixed(value, digits);
        row.append(cell);
      });
      return row;
    }));
    [...table.tHead.rows[0].cells].forEach((cell, index) => {
      cell.setAttribute("aria-sort", index !== sorted ? "none" : down ? "descending" : "ascending");
    });
  };

  [...table.tHead.rows[0].cells].forEach((cell, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = cell.textContent;
    button.addEventListener("click", () => {
      down = index === sorted ? !down : columns[index].digits !== undefined;
      sorted = index;
      draw();
    });
    cell.replaceChildren(button);
  });
  layer.addEventListener("change", draw);
  find.addEventListener("input", draw);
  document.querySelector(".controls").hidden = false;
  draw();

  // The value under the pointer in the heat map.
  const map = document.getElementById("heatmap");
  const svg = map.querySelector("svg");
  const tip = document.getElementById("tip");
  const cellAt = (event) => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    for (const { box: [left, top, width, height], languages } of data.panels) {
      const column = Math.floor(((x - left) / width) * data.layers.length);
      const row = Math.floor(((y - top) / height) * languages.length);
      if (column >= 0 && column < data.layers.length && row >= 0 && row < languages.length) {
        return [column, languages[row]];
      }
    }
    return null;
  };
  map.addEventListener("pointermove", (event) => {
    const cell = cellAt(event);
    tip.hidden = !cell;
    if (!cell) return;
    const [h, l] = cell;
    const lines = [
      `${data.languages[l].name}, layer ${data.layers[h]}`,
      `ILO ${fixed(data.ilo[h][l], 3)}   bridge ${fixed(data.bridge[h][l], 3)}   reach ${fixed(data.reach[h][l], 3)}`,
    ];
    if (data.ends) {
    const ends = (l, h) => data.ends[h][l];
    columns.push({
      get: (l, h) => ends(l, h) && ends(l, h)[0],
      show: (l, h) => ends(l, h) ? ends(l, h).map((end) => fixed(end, 3)).join(" – ") : "",
    });
  }
  if (data.share) {
      lines.push(`translations ${fixed(data.share[h][l], 4)}   chance ${fixed(data.languages[l].chance, 4)}`);
    }
    tip.textContent = lines.join("\n");
    const room = tip.getBoundingClientRect();
    tip.style.left = `${Math.min(event.clientX + 14, window.innerWidth - room.width - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 16, window.innerHeight - room.height - 8)}px`;
  });
  map.addEventListener("pointerleave", () => { tip.hidden = true; });
})();
