// Colours, ticks and numbers as text: no page in here, so that these can be tried without one.

const VIRIDIS = [
  [68, 1, 84], [72, 36, 117], [65, 68, 135], [53, 95, 141], [42, 120, 142], [33, 145, 140],
  [34, 168, 132], [66, 190, 113], [122, 209, 81], [189, 223, 38], [253, 231, 37],
];
// Blue: fewer than by chance; orange: more. Told apart by the colour-blind, too.
const DIVERGING = {
  light: [[92, 150, 198], [136, 181, 215], [190, 215, 233], [243, 243, 241], [250, 196, 135], [224, 122, 31], [138, 61, 4]],
  dark: [[50, 104, 152], [41, 80, 116], [34, 58, 82], [36, 42, 50], [112, 66, 22], [206, 117, 38], [255, 190, 120]],
};

function mix(stops, share) {
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(at)), f = at - i;
  return stops[i].map((value, channel) => Math.round(value + f * (stops[i + 1][channel] - value)));
}

// value -> [r, g, b], or null where there is no value.
function sequential(low, high) {
  const width = high - low || 1;
  return (value) => Number.isNaN(value) ? null : mix(VIRIDIS, (value - low) / width);
}
function diverging(reach, dark) {
  const stops = dark ? DIVERGING.dark : DIVERGING.light;
  return (value) => Number.isNaN(value) ? null : mix(stops, 0.5 + value / reach / 2);
}

const css = (rgb) => `rgb(${rgb.join(" ")})`;
const isLight = ([r, g, b]) => 0.299 * r + 0.587 * g + 0.114 * b > 140;

// Round numbers from low to high, about `wanted` of them.
function ticks(low, high, wanted) {
  if (!(high > low)) return [low];
  const raw = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 2.5, 5, 10].find((m) => m * power >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

// Marks as text, with as many decimals as the finest of them needs.
function tickTexts(marks) {
  const decimals = Math.max(0, ...marks.map((mark) => (String(Number(mark.toFixed(6))).split(".")[1] || "").length));
  return marks.map((mark) => mark.toFixed(decimals));
}

// As many digits as tell the values of a scale apart.
function digitsFor(low, high) {
  const width = high - low;
  return width > 0 ? Math.min(5, Math.max(0, 2 - Math.floor(Math.log10(width)))) : 3;
}
const fixed = (value, digits) => Number.isNaN(value) ? "–" : value.toFixed(digits).replace(/^-(0(\.0*)?)$/, "$1");

function times(log2) {
  if (Number.isNaN(log2)) return "–";
  const ratio = 2 ** log2;
  return ratio >= 9.95 ? `${ratio.toFixed(0)}×` : ratio >= 0.095 ? `${ratio.toFixed(1)}×` : `${ratio.toPrecision(1)}×`;
}
const percent = (share) => `${(100 * share).toFixed(share && share < 0.0995 ? 1 : 0)} %`;

// Which of n layers a place from 0 to 1 stands for; runs of other depths go along.
const layerAt = (depth, n) => Math.round(depth * (n - 1));

// Every how many of n labels can be written where there is room for so many.
const everyOf = (n, room) => [1, 2, 4, 5, 8, 10, 20, 25, 50].find((step) => n / step <= room) || n;
