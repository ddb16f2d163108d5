// Order of two values of a column: numbers, or words; what is not there comes last, up or down.
const order = (a, b, down) => {
  if (a === "" || b === "") return (a === "") - (b === "");
  const numbers = a !== "" && b !== "" && !Number.isNaN(Number(a)) && !Number.isNaN(Number(b));
  const found = numbers ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
  return down ? -found : found;
};
const shows = (text, corpus, wanted, chosen) =>
  (chosen === "" || corpus === chosen) && text.toLowerCase().includes(wanted.trim().toLowerCase());

const start = () => {
  const table = document.getElementById("board");
  if (!table) return;
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const corpus = document.getElementById("corpus"), find = document.getElementById("find");
  let sorted = -1, down = false;
  const sort = (index) => {
    down = index === sorted ? !down : index > 2;  // numbers from the top, words from A
    sorted = index;
    const rows = [...body.rows];
    rows.sort((a, b) => order(a.cells[index].dataset.value, b.cells[index].dataset.value, down));
    body.append(...rows);
    heads.forEach((head, at) => head.setAttribute("aria-sort", at !== index ? "none" : down ? "descending" : "ascending"));
  };
  heads.forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(index));
    head.replaceChildren(button);
  });
  const filter = () => {
    for (const row of body.rows) {
      row.hidden = !shows(row.cells[0].textContent, row.dataset.corpus, find.value, corpus.value);
    }
  };
  corpus.addEventListener("change", filter);
  find.addEventListener("input", filter);
  document.getElementById("controls").hidden = false;
};
if (typeof document !== "undefined") start();
