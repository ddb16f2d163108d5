// Elements, the tip under the pointer, colours of the theme.

const SVG = "http://www.w3.org/2000/svg";
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
function drawn(tag, attributes = {}, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Asking for a style may lay the page out: each colour is asked for once for a theme.
const colours = new Map();
function colour(name) {
  if (!colours.has(name)) colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return colours.get(name);
}
const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
const N_COLOURS = 8;

const tip = document.getElementById("tip");
// Lines of text near a place of the window; without lines, nothing.
function showTip(lines, x, y) {
  tip.hidden = !lines;
  if (!lines) return;
  tip.textContent = lines.join("\n");
  const room = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - room.width - 8))}px`;
  tip.style.top = `${y + 18 + room.height < innerHeight ? y + 18 : Math.max(4, y - room.height - 12)}px`;
}

// A canvas of so many CSS pixels, sharp on every screen.
function sized(canvas, width, height) {
  const scale = Math.min(3, devicePixelRatio || 1);
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

// The text, or as much of it as is so wide.
function shortened(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let low = 0, high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle; else high = middle - 1;
  }
  return `${text.slice(0, low)}…`;
}

const widths = new Map(), ruler = document.createElement("canvas").getContext("2d");
function labelWidth(text) {
  if (!widths.has(text)) { ruler.font = `11px ${FONT}`; widths.set(text, ruler.measureText(text).width); }
  return widths.get(text);
}

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

// A bar of colours with the values below it.
function colourBar(host, ramp, low, high, name, label) {
  const steps = Array.from({ length: 21 }, (_, i) => css(ramp(low + (high - low) * i / 20)));
  const values = ticks(low, high, 4), texts = label ? values.map(label) : tickTexts(values);
  const marks = values.map((value, i) =>
    element("span", { style: `left:${100 * (value - low) / (high - low || 1)}%` }, texts[i]));
  host.replaceChildren(
    element("span", { class: "bar-name" }, name),
    element("span", { class: "ramp" },
      element("span", { class: "ramp-colours", style: `background:linear-gradient(to right,${steps.join(",")})` }),
      element("span", { class: "ramp-marks" }, ...marks)));
}
