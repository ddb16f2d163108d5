// Rows by columns of colours on a canvas: the heat map, the matrix. Pointer, keys, labels, a tree.

function makeGrid(host, name) {
  const canvas = element("canvas", { tabindex: "0", role: "application", "aria-roledescription": "heat map" });
  host.append(element("div", { class: "scroll" }, canvas));
  const small = document.createElement("canvas");
  let spec = null, box = null, cursor = null;

  function layout() {
    const { rows, columns } = spec, width = host.clientWidth;
    const narrow = width < 560;
    const labels = Math.min(narrow ? 92 : 190, 14 + Math.max(...rows.map((row) => labelWidth(row))));
    const tree = narrow ? 0 : spec.tree ? 70 : spec.names ? 12 + Math.max(...spec.names.map((text) => labelWidth(text))) : 0;
    const room = width - labels - tree - 4;
    const cellWidth = Math.max(spec.least, Math.min(spec.most, Math.floor(room / columns.length)));
    const cellHeight = spec.square ? cellWidth : rows.length > 60 ? 12 : 17;
    const head = spec.tall ? Math.min(110, 10 + Math.max(...columns.map((column) => labelWidth(column)))) : 20;
    box = {
      left: labels, top: head, cellWidth, cellHeight, tree,
      width: labels + cellWidth * columns.length + tree + 4,
      height: head + cellHeight * rows.length + 4,
    };
  }
  function draw(next) {
    if (next) spec = next;
    if (!spec || !spec.rows.length) { sized(canvas, 1, 1); return; }
    layout();
    canvas.setAttribute("aria-label", spec.label);
    const { rows, columns } = spec;
    const { left, top, cellWidth, cellHeight } = box;
    const pen = sized(canvas, box.width, box.height);
    const ink = colour("--ink"), muted = colour("--muted"), none = colour("--line");
    small.width = columns.length; small.height = rows.length;
    const brush = small.getContext("2d"), image = brush.createImageData(columns.length, rows.length);
    const empty = none.match(/\w\w/g).map((pair) => parseInt(pair, 16));
    for (let r = 0, at = 0; r < rows.length; r++) {
      for (let c = 0; c < columns.length; c++, at += 4) {
        const rgb = spec.fill(r, c) || empty;
        image.data[at] = rgb[0]; image.data[at + 1] = rgb[1]; image.data[at + 2] = rgb[2]; image.data[at + 3] = 255;
      }
    }
    brush.putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, left, top, cellWidth * columns.length, cellHeight * rows.length);

    pen.font = `11px ${FONT}`;
    pen.textBaseline = "middle"; pen.textAlign = "right";
    const stepDown = Math.ceil(10 / cellHeight), stepAcross = spec.tall ? Math.ceil(11 / cellWidth) : everyOf(columns.length, columns.length * cellWidth / 24);
    rows.forEach((row, r) => {
      if (r % stepDown) return;
      const strong = spec.picked === r;
      pen.fillStyle = strong ? colour("--accent") : ink;
      pen.font = `${strong ? "600 " : ""}${cellHeight < 13 ? 10 : 11}px ${FONT}`;
      pen.fillText(labelWidth(row) < left - 10 ? row : shortened(pen, row, left - 8), left - 6, top + (r + 0.5) * cellHeight);
    });
    pen.font = `11px ${FONT}`;
    columns.forEach((column, c) => {
      const here = spec.column === c;
      if (c % stepAcross && !here) return;
      if (!here && !spec.tall && spec.column !== undefined && Math.abs(spec.column - c) < stepAcross && stepAcross > 1) return;
      pen.fillStyle = here ? colour("--accent") : muted;
      const x = left + (c + 0.5) * cellWidth;
      if (spec.tall) {
        pen.save(); pen.translate(x, top - 5); pen.rotate(-Math.PI / 2); pen.textAlign = "left";
        pen.fillText(labelWidth(column) < top - 8 ? column : shortened(pen, column, top - 6), 0, 0); pen.restore();
      } else { pen.textAlign = "center"; pen.font = `${here ? "600 " : ""}11px ${FONT}`; pen.fillText(column, x, top - 9); }
    });
    if (spec.text && cellWidth >= 34 && cellHeight >= 15) {
      pen.textAlign = "center"; pen.font = `10px ${FONT}`;
      for (let r = 0; r < rows.length; r++) {
        for (let c = 0; c < columns.length; c++) {
          const rgb = spec.fill(r, c), text = spec.text(r, c);
          if (!rgb || !text) continue;
          pen.fillStyle = isLight(rgb) ? "#1b1b1b" : "#f4f4f4";
          pen.fillText(text, left + (c + 0.5) * cellWidth, top + (r + 0.5) * cellHeight + 0.5);
        }
      }
    }
    pen.strokeStyle = colour("--ground"); pen.lineWidth = 2;
    for (const end of spec.ends || []) {
      line(pen, left - 60, top + end * cellHeight, left + columns.length * cellWidth, top + end * cellHeight);
      if (spec.square) line(pen, left + end * cellWidth, top, left + end * cellWidth, top + rows.length * cellHeight);
    }
    if (spec.column !== undefined) {
      pen.strokeStyle = colour("--accent"); pen.lineWidth = 2;
      pen.strokeRect(left + spec.column * cellWidth, top, cellWidth, rows.length * cellHeight);
    }
    if (spec.picked >= 0) {
      pen.strokeStyle = colour("--accent"); pen.lineWidth = 1.5;
      pen.strokeRect(left, top + spec.picked * cellHeight, columns.length * cellWidth, cellHeight);
    }
    if (box.tree && spec.tree) drawTree(pen);
    else if (box.tree) drawNames(pen);
    if (cursor) {
      pen.strokeStyle = ink; pen.lineWidth = 2;
      pen.strokeRect(left + cursor[1] * cellWidth, top + cursor[0] * cellHeight, cellWidth, cellHeight);
    }
  }

  function drawTree(pen) {
    const { left, top, cellWidth, cellHeight, tree } = box;
    const from = left + spec.columns.length * cellWidth + 5;
    const highest = Math.max(...spec.tree.map(([height]) => height)) || 1;
    const x = (height) => from + (tree - 8) * height / highest;
    pen.strokeStyle = colour("--muted"); pen.lineWidth = 1;
    for (const [height, a, b, tallA, tallB] of spec.tree) {
      pen.beginPath();
      pen.moveTo(x(tallA), top + a * cellHeight); pen.lineTo(x(height), top + a * cellHeight);
      pen.lineTo(x(height), top + b * cellHeight); pen.lineTo(x(tallB), top + b * cellHeight);
      pen.stroke();
    }
  }

  // What the rows between two ends have in common, where they have room for it.
  function drawNames(pen) {
    const starts = [0, ...(spec.ends || [])];
    pen.fillStyle = colour("--muted"); pen.textAlign = "left"; pen.font = `11px ${FONT}`;
    let free = -Infinity;
    for (const start of starts) {
      const y = box.top + (start + 0.5) * box.cellHeight;
      if (y < free) continue;
      pen.fillText(spec.names[start], box.left + spec.columns.length * box.cellWidth + 8, y);
      free = y + 12;
    }
  }

  const cellAt = (event) => {
    const place = canvas.getBoundingClientRect();
    const c = Math.floor((event.clientX - place.left - box.left) / box.cellWidth);
    const r = Math.floor((event.clientY - place.top - box.top) / box.cellHeight);
    return r >= 0 && r < spec.rows.length && c < spec.columns.length && c >= -1 && event.clientX >= place.left ? [r, c] : null;
  };
  canvas.addEventListener("pointermove", (event) => {
    const cell = box && cellAt(event);
    showTip(cell && cell[1] >= 0 ? spec.tip(...cell) : null, event.clientX, event.clientY);
    canvas.style.cursor = cell ? "pointer" : "";
  });
  canvas.addEventListener("pointerleave", () => showTip(null));
  canvas.addEventListener("click", (event) => {
    const cell = box && cellAt(event);
    if (cell) spec.pick(cell[0], cell[1] < 0 ? undefined : cell[1]);
  });
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (move) {
      const [r, c] = cursor || [0, (spec.column || 0) - move[1]];
      cursor = [Math.min(spec.rows.length - 1, Math.max(0, r + (cursor ? move[0] : 0))), Math.min(spec.columns.length - 1, Math.max(0, c + move[1]))];
      event.preventDefault();
      draw();
      tell();
    } else if ((event.key === "Enter" || event.key === " ") && cursor) {
      event.preventDefault();
      spec.pick(...cursor);
    }
  });
  const tell = () => {
    const place = canvas.getBoundingClientRect();
    showTip(spec.tip(...cursor), place.left + box.left + (cursor[1] + 0.5) * box.cellWidth, place.top + box.top + (cursor[0] + 0.5) * box.cellHeight);
  };
  canvas.addEventListener("blur", () => { cursor = null; showTip(null); draw(); });
  return { draw, canvas, name };
}

function line(pen, x1, y1, x2, y2) {
  pen.beginPath(); pen.moveTo(x1, y1); pen.lineTo(x2, y2); pen.stroke();
}
