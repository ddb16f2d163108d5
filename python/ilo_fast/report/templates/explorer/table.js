// The languages of a run at one layer: sorted by a click or a key on a column, searched, filtered.

function makeTable(table, columnsOf) {
  const head = table.tHead.rows[0], body = table.tBodies[0];
  let sorted = null, down = true, columns = [], rows = [], pick = null, picked = null;

  function header() {
    head.replaceChildren(...columns.map((column) => {
      const button = element("button", { type: "button", onclick: () => {
        down = sorted === column.key ? !down : column.digits !== undefined;
        sorted = column.key;
        fill();
      } }, column.title);
      return element("th", { scope: "col", class: column.digits === undefined ? null : "number", title: column.about || null,
        "aria-sort": column.key !== sorted ? "none" : down ? "descending" : "ascending" }, button);
    }));
  }
  function fill() {
    const focused = document.activeElement && head.contains(document.activeElement) ? [...head.cells].indexOf(document.activeElement.parentElement) : -1;
    header();
    if (focused >= 0) head.cells[focused].firstChild.focus();
    const key = (columns.find((column) => column.key === sorted) || columns[0]).get;
    body.replaceChildren(...sortRows(rows, key, down).map((l) => {
      const cells = columns.map((column, i) => {
        const value = column.get(l);
        const shown = column.show ? column.show(l) : typeof value === "number" ? fixed(value, column.digits) : value === null || value === undefined ? "" : value;
        const cell = element(i ? "td" : "th", { scope: i ? null : "row", class: column.kind || null }, shown);
        if (column.bar) { cell.className = "bar"; cell.style.setProperty("--share", Number.isNaN(value) ? 0 : column.bar(value)); }
        return cell;
      });
      return element("tr", { class: l === picked ? "best" : null, onclick: () => pick(l) }, ...cells);
    }));
  }
  return {
    draw(next) {
      ({ columns, rows, pick, picked } = next);
      if (!columns.some((column) => column.key === sorted)) { sorted = next.sorted; down = true; }
      fill();
    },
  };
}
